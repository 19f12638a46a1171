// Two volumes on one replica in memory, under a clock that stands still until it is moved.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished, vi } from "vitest";
import type { Event } from "../../../../src/base/events.ts";
import { systemRandom } from "../../../../src/base/system.ts";
import { LEASE_KEY, type LeaseContent, parseLease } from "../../../../src/replica/lease/content.ts";
import { holdLease, type Lease } from "../../../../src/replica/lease/hold.ts";
import { readLeaseMemory, writeLeaseMemory } from "../../../../src/replica/lease/memory.ts";
import type { LeaseFacts } from "../../../../src/replica/lease/rules.ts";
import { readLease, takeLease } from "../../../../src/replica/lease/take.ts";
import type { ObjectStore } from "../../../../src/storage/store.ts";
import { createManualClock, type ManualClock } from "../../../support/manual-clock.ts";
import { createMemoryStore } from "../../../support/memory-store.ts";
import { temporaryDirectory } from "../../../support/temporary.ts";

export const signal = new AbortController().signal;

export const TTL_MS = 45_000;

export function content(changed: Partial<LeaseContent> = {}): LeaseContent {
  return {
    epoch: 3,
    owner: "00000000-0000-4000-8000-000000000001",
    taking: "00000000-0000-4000-8000-0000000000a1",
    renewal: 0,
    state: "held",
    ttlMs: TTL_MS,
    sinceMs: Date.UTC(2026, 10, 24, 9, 30),
    machine: "m1",
    ...changed,
  };
}

/** Waits until the condition holds. */
export async function eventually(condition: () => void | Promise<void>): Promise<void> {
  await vi.waitFor(condition, { timeout: 10_000, interval: 1 });
}

/** A store whose next writes fail, or arrive without an answer; and what was asked of it. */
export function unreliable(store: ObjectStore) {
  const faults: ("before" | "after" | "hang")[] = [];
  let writes = 0;
  let reads = 0;
  return {
    get writes() {
      return writes;
    },
    get reads() {
      return reads;
    },
    /** Lets the next writes fail so, one after the other. */
    fail: (...kinds: ("before" | "after" | "hang")[]) => void faults.push(...kinds),
    heal: () => void faults.splice(0),
    store: {
      ...store,
      async readVersioned(...call: Parameters<ObjectStore["readVersioned"]>) {
        reads += 1;
        if (faults[0] === "before") {
          faults.shift();
          throw new Error("connection refused");
        }
        return store.readVersioned(...call);
      },
      async replace(...[key, bytes, options]: Parameters<ObjectStore["replace"]>) {
        writes += 1;
        const fault = faults.shift();
        if (fault === "before") throw new Error("connection refused");
        if (fault === "hang") {
          return new Promise<never>((_, reject) => {
            options.signal.addEventListener("abort", () => reject(options.signal.reason), { once: true });
          });
        }
        const stored = await store.replace(key, bytes, options);
        if (fault === "after") throw new Error("connection reset");
        return stored;
      },
    } satisfies ObjectStore,
  };
}

export type Volume = ReturnType<typeof createVolume>;

/** A volume, which remembers what it took. */
export function createVolume({
  store,
  clock = createManualClock(),
  machine = "m1",
}: {
  readonly store: ObjectStore;
  readonly clock?: ManualClock;
  readonly machine?: string;
}) {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const stateDirectory = join(directory.path, "state");
  mkdirSync(stateDirectory);
  const events: Event[] = [];
  const ended = new AbortController();
  onTestFinished(() => ended.abort());
  async function look(): Promise<LeaseFacts> {
    const memory = readLeaseMemory(stateDirectory);
    return { seen: await readLease(store, { signal }), memory, owner: memory?.owner };
  }

  async function take(found?: LeaseFacts): Promise<Lease | undefined> {
    const facts = found ?? (await look());
    const taken = await takeLease(store, { facts, machine, ttlMs: TTL_MS, clock, random: systemRandom, signal });
    if (taken === undefined) return undefined;
    await writeLeaseMemory(stateDirectory, { ...taken.content, replica: store.address });
    return holdLease({ store, taken, stateDirectory, clock: prompt(clock), log: (event) => void events.push(event) });
  }

  return {
    clock,
    stateDirectory,
    events,
    look,
    /** Takes the lease as it is, whoever has it. Undefined where somebody was faster. */
    take,
    memory: () => readLeaseMemory(stateDirectory),

    /** The same, where it can't fail, with its renewals under way. */
    async hold(): Promise<Lease> {
      const lease = await take();
      if (lease === undefined) throw new Error("somebody else has it");
      void lease.renew({ until: ended.signal });
      return lease;
    },
  };
}

/** No wait is none, as with a real clock. */
function prompt(clock: ManualClock): ManualClock {
  return { ...clock, sleep: (ms, options) => (ms > 0 ? clock.sleep(ms, options) : Promise.resolve()) };
}

export function newStore() {
  const store = createMemoryStore();
  return {
    store,
    /** The lease as it is in the store. */
    stored(): LeaseContent {
      const object = store.objects.get(LEASE_KEY);
      if (object === undefined) throw new Error("there is no lease");
      return parseLease(object.bytes, store.address);
    },
  };
}
