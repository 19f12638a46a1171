import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { inspectReplica } from "../../../src/replica/inspect.ts";
import { formatLtxName } from "../../../src/replica/ltx/names.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import { isWrittenHere, readNewest } from "../../../src/replica/newest.ts";
import { forgetPlaces, type ReplicationState, readState, settleState, writeState } from "../../../src/replica/state.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { installedDriver } from "../../support/driver.ts";
import { never, type Replicated, rangesAt, replicated } from "./support.ts";

const driver = await installedDriver();

const nameOf = (txid: bigint) => formatLtxName({ min: toTxid(txid), max: toTxid(txid) });

/** A replicator that died after its last upload, as far as its volume knows in the middle of it. */
async function stopped(): Promise<Replicated> {
  const replica = await replicated(driver);
  for (let i = 0; i < 3; i += 1) {
    await replica.app.commit();
    await replica.sync();
  }
  return replica;
}

async function stateOf({ stateDirectory }: Replicated): Promise<ReplicationState> {
  const state = readState(stateDirectory);
  if (state === undefined) throw new Error("there is no state");
  return state;
}

async function whose(
  { store }: Pick<Replicated, "store">,
  state: ReplicationState,
): Promise<"ours" | "another's" | "not looked at"> {
  const content = await inspectReplica(store, { signal: never });
  const newest = await readNewest(store, { content, state, signal: never });
  if (newest === undefined) return "not looked at";
  return isWrittenHere(newest, state) ? "ours" : "another's";
}

/** Puts other bytes in the place of the newest file, as if somebody else had written it. */
async function replaceNewest(store: ObjectStore, change: (header: DataView) => void): Promise<void> {
  const { files, lastTxid } = await inspectReplica(store, { signal: never });
  const file = files.find(({ level, max }) => level === 0 && max === lastTxid);
  if (file === undefined) throw new Error("there is no file");
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await store.get(file.key, { signal: never })) ?? []) chunks.push(chunk);
  const bytes = new Uint8Array(Buffer.concat(chunks));
  change(new DataView(bytes.buffer));
  await store.put(file.key, [bytes], { signal: never });
}

const COMMIT = 12;
const TIMESTAMP = 32;
const WAL_SIZE = 56;
const SALT = 64;

describe("the replica's newest file, after an upload whose answer is not known", () => {
  it("is this volume's own where it has its part of the log", async () => {
    await using replica = await stopped();
    expect(await whose(replica, await stateOf(replica))).toBe("ours");
  });

  it("is this volume's own also where it was a copy of the whole database", async () => {
    await using replica = await replicated(driver);
    await replica.sync();
    const state = await stateOf(replica);
    expect(state.acked).toBeUndefined();
    expect(await whose(replica, state)).toBe("ours");
  });

  it.each([
    ["another log", (header: DataView) => header.setUint32(SALT, header.getUint32(SALT) ^ 1)],
    ["another end in the log", (header: DataView) => header.setBigInt64(WAL_SIZE, header.getBigInt64(WAL_SIZE) + 1n)],
    [
      "another time, as a copy of the volume writes to the same log",
      (header: DataView) => header.setBigInt64(TIMESTAMP, header.getBigInt64(TIMESTAMP) + 1n),
    ],
    ["another size", (header: DataView) => header.setUint32(COMMIT, header.getUint32(COMMIT) + 1)],
  ])("is another machine's where it has %s", async (_, change) => {
    await using replica = await stopped();
    await replaceNewest(replica.store, change);
    expect(await whose(replica, await stateOf(replica))).toBe("another's");
  });

  it("is this volume's own also where a power cut left other files of that name on the volume, or none", async () => {
    await using replica = await stopped();
    const staged = join(replica.stateDirectory, "ltx/0");
    const { lastTxid } = await inspectReplica(replica.store, { signal: never });
    writeFileSync(join(staged, nameOf(lastTxid)), "torn");
    expect(await whose(replica, await stateOf(replica))).toBe("ours");
    rmSync(join(replica.stateDirectory, "ltx"), { recursive: true });
    expect(await whose(replica, await stateOf(replica))).toBe("ours");
  });

  it("is known also after it was merged, and the database was replaced", async () => {
    await using replica = await stopped();
    await replica.replicator.compactor.compact({ level: 1, signal: never });
    expect(await rangesAt(replica.store, 1)).not.toEqual([]);
    expect(await whose(replica, await stateOf(replica))).toBe("ours");
    await forgetPlaces(replica.stateDirectory);
    expect(await whose(replica, await stateOf(replica))).toBe("ours");
  });

  it("is not looked at where the volume knows that it arrived, or where the replica is behind or ahead", async () => {
    await using replica = await stopped();
    const state = await stateOf(replica);
    expect(await whose(replica, { ...state, acked: state.pending })).toBe("not looked at");
    expect(await whose(replica, { ...state, pending: undefined, begun: [] })).toBe("not looked at");
    expect(await whose(replica, { ...state, databaseId: "another" })).toBe("not looked at");
    const directory = join(replica.directory, "replica/ltx/0");
    rmSync(join(directory, readdirSync(directory).sort().at(-1) ?? ""));
    expect(await whose(replica, state)).toBe("not looked at");
  });
});

describe("a clean end", () => {
  it("notes that the last upload arrived, so that the next start need not ask", async () => {
    await using replica = await stopped();
    const before = await stateOf(replica);
    await settleState(replica.stateDirectory, replica.replicator.lastTxid);
    expect(await stateOf(replica)).toEqual({ ...before, acked: before.pending, pending: undefined, begun: [] });
    await replica.restart();
    await replica.app.commit();
    await replica.sync();
    expect(replica.fullCopies).toHaveLength(1);
  });

  it("notes nothing of another transaction than the one that was under way", async () => {
    await using replica = await stopped();
    const before = await stateOf(replica);
    await settleState(replica.stateDirectory, toTxid(99n));
    expect(await stateOf(replica)).toEqual(before);
    const settled = { ...before, pending: undefined };
    await writeState(replica.stateDirectory, settled);
    await settleState(replica.stateDirectory, replica.replicator.lastTxid);
    expect(await stateOf(replica)).toEqual(settled);
  });
});
