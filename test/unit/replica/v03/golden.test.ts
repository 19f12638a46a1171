import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { listGenerations, type V03Target } from "../../../../src/replica/v03/plan.ts";
import { temporaryDirectory } from "../../../support/temporary.ts";
import { copyFixture, FIXTURE, HAS_LITESTREAM, listReplica, openStore, restoreOurs, restoreTheirs } from "./support.ts";

const directory = temporaryDirectory();
afterAll(() => directory[Symbol.dispose]());
const replica = copyFixture(directory.path);
const store = openStore(replica);
const files = await listReplica(store);
const generations = listGenerations(files);

describe("the replica made by Litestream v0.3.13", () => {
  it("restores to the latest state, byte for byte", async () => {
    const expected = JSON.parse(readFileSync(join(FIXTURE, "expected.json"), "utf8")).latest;
    const { bytes, position, notes } = await restoreOurs(store, { kind: "latest" }, directory.path, {
      integrity: "full",
    });
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(expected.sha256);
    expect(bytes.length).toBe(expected.bytes);
    expect(position).toEqual({ format: "v03", generation: "51b1559c57ce0921", index: 1, offset: 1080 });
    expect(notes).toEqual([]);
  });

  it("has two generations, the newer one first", () => {
    expect(generations.map(({ generation }) => generation)).toEqual(["51b1559c57ce0921", "5e563ceac96e2547"]);
  });
});

describe.skipIf(!HAS_LITESTREAM)("at every position of it, the restore equals Litestream's own", () => {
  const targets: [string, V03Target, readonly string[]][] = [];
  for (const { generation, snapshots, segments, updatedMs } of generations) {
    const of = ["-generation", generation];
    targets.push([`the end of ${generation}`, { kind: "latest", generation }, of]);
    for (const index of new Set(segments.map((segment) => segment.index))) {
      const hex = index.toString(16);
      targets.push([`${generation}, log ${hex}`, { kind: "index", generation, index }, [...of, "-index", hex]]);
    }
    for (const ms of new Set([...snapshots, ...segments].map(({ createdMs }) => createdMs))) {
      if (ms === updatedMs) continue; // half a millisecond later there is no generation
      const text = new Date(ms).toISOString().replace("Z", "500Z");
      targets.push([text, { kind: "timestamp", ms }, ["-timestamp", text]]);
    }
  }

  it.each(targets)("%s", async (_, target, arguments_) => {
    const theirs = await restoreTheirs(replica, arguments_, directory.path);
    const ours = await restoreOurs(store, target, directory.path, { integrity: "full" });
    expect(theirs?.equals(ours.bytes)).toBe(true);
  });
});
