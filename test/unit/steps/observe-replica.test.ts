import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { systemClock, systemRandom } from "../../../src/base/system.ts";
import type { Fence } from "../../../src/config/settings.ts";
import { LEASE_KEY } from "../../../src/replica/lease/content.ts";
import { writeLeaseMemory } from "../../../src/replica/lease/memory.ts";
import { takeLease } from "../../../src/replica/lease/take.ts";
import { observeReplica } from "../../../src/steps/observe-replica.ts";
import { stateDirectory } from "../../../src/steps/places.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { createMemoryStore } from "../../support/memory-store.ts";
import { stepContext } from "../../support/step-context.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { settings } from "../plan/facts.ts";

const signal = new AbortController().signal;
const FIRST = "ltx/0/0000000000000001-0000000000000001.ltx";
const SECOND = "ltx/0/0000000000000002-0000000000000002.ltx";

/** A volume and a replica; what is asked of the replica is noted, and something may happen before the answer. */
function world({ fence = "auto" as Fence, before = async (_: string) => {} } = {}) {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const databasePath = join(directory.path, "app.db");
  mkdirSync(stateDirectory(databasePath));
  const memory = createMemoryStore([[FIRST, { bytes: new Uint8Array(1), modifiedMs: 0 }]]);
  const asked: string[] = [];
  const store: ObjectStore = {
    ...memory,
    async list(prefix, options) {
      const found = await memory.list(prefix, options); // what another machine writes meanwhile is not in it
      asked.push("list");
      await before("list answered");
      return found;
    },
    async readVersioned(key, options) {
      asked.push(`read ${key}`);
      await before("lease read");
      return memory.readVersioned(key, options);
    },
    replace: () => Promise.reject(new Error("a look must change nothing")),
    put: () => Promise.reject(new Error("a look must change nothing")),
  };
  const context = stepContext({
    settings: { ...settings, fence: { value: fence, source: "--fence" } },
    signal,
    replica: async () => ({ store, source: "--replica" }),
  });
  return {
    asked,
    memory,
    look: () => observeReplica({ fileName: "app.db", databasePath }, context),
    /** Takes the lease, for this volume or for another one. */
    async take(by: "this volume" | "another", { replica = memory.address } = {}) {
      const facts = { seen: undefined, memory: undefined, owner: undefined };
      const world = { clock: systemClock, random: systemRandom, signal };
      const taken = await takeLease(memory, { facts, machine: by, ttlMs: 45_000, ...world });
      if (taken === undefined) throw new Error("it was not taken");
      if (by === "this volume") await writeLeaseMemory(stateDirectory(databasePath), { ...taken.content, replica });
    },
  };
}

describe("a look at the replica", () => {
  it("costs a start on a volume that had the lease last one request more than the listing, and both at once", async () => {
    const { asked, look, take } = world();
    await take("this volume");
    const { replica, lease } = await look();
    expect(asked.toSorted()).toEqual(["list", `read ${LEASE_KEY}`]);
    expect(replica).toMatchObject({ address: "memory:", lastTxid: 1n });
    expect(lease).toMatchObject({ seen: { content: { epoch: 1, machine: "this volume" } }, memory: { epoch: 1 } });
    expect(lease?.memory?.owner).toBe(lease?.owner);
  });

  it("lists anew after the lease was read where another machine has it, or had it last", async () => {
    // It wrote between the listing and the reading of the lease, and released that: then nothing tells of it later.
    const told = { memory: createMemoryStore(), done: false };
    const { asked, look, take, memory } = world({
      before: async (step) => {
        if (step !== "lease read" || told.done) return;
        told.done = true;
        told.memory.objects.set(SECOND, { bytes: new Uint8Array(1), modifiedMs: 0 });
      },
    });
    told.memory = memory;
    await take("another");
    expect((await look()).replica?.lastTxid).toBe(2n);
    expect(asked.filter((request) => request === "list")).toHaveLength(2);
    expect(asked.at(-1)).toBe("list");
  });

  it("needs no second listing where there never was a lease: who writes makes one first", async () => {
    const { asked, look } = world();
    expect((await look()).lease).toEqual({ seen: undefined, memory: undefined, owner: undefined });
    expect(asked.toSorted()).toEqual(["list", `read ${LEASE_KEY}`]);
  });

  it("does not ask for a lease where none is wanted", async () => {
    const { asked, look, take } = world({ fence: "off" });
    await take("another");
    expect((await look()).lease).toBeUndefined();
    expect(asked).toEqual(["list"]);
  });

  it("counts no memory of another replica's lease, but for the volume's id", async () => {
    const { look, take } = world();
    await take("this volume", { replica: "s3://elsewhere/app" });
    const { lease } = await look();
    expect(lease).toMatchObject({ seen: { content: { epoch: 1 } }, memory: undefined });
    expect(lease?.owner).toBe(lease?.seen?.content.owner);
  });

  it("tells a lease that can't be read, and takes it for nobody's", async () => {
    const { look, memory } = world();
    memory.objects.set(LEASE_KEY, { bytes: new TextEncoder().encode("{}"), modifiedMs: 0 });
    await expect(look()).rejects.toMatchObject({ code: "E_REPLICA_CORRUPT" });
  });
});
