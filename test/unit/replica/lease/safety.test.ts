// Many short histories of three machines on one replica, each drawn from a seed: they look, take, write, release, crash
// and are suspended, also in the middle of a request, with clocks that disagree and run differently fast; requests get
// lost, answers get lost, and some requests arrive late; a volume is copied. At no moment may two of the machines be sure
// of the lease.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../../../src/base/context.ts";
import { systemRandom } from "../../../../src/base/system.ts";
import { type LeaseContent, parseLease } from "../../../../src/replica/lease/content.ts";
import { holdLease, type Lease } from "../../../../src/replica/lease/hold.ts";
import { readLeaseMemory, writeLeaseMemory } from "../../../../src/replica/lease/memory.ts";
import { createPatience, type Patience } from "../../../../src/replica/lease/patience.ts";
import { type LeaseFacts, standingOf } from "../../../../src/replica/lease/rules.ts";
import { readLease, takeLease } from "../../../../src/replica/lease/take.ts";
import type { ObjectStore } from "../../../../src/storage/store.ts";
import { createMemoryStore } from "../../../support/memory-store.ts";
import { seededRandom } from "../../../support/random.ts";
import { temporaryDirectory } from "../../../support/temporary.ts";
import { signal, TTL_MS } from "./support.ts";

const STEPS = 100;

type Machine = {
  readonly name: string;
  /** The clock's speed beside the true time's, within a hundredth. */
  readonly rate: number;
  readonly clock: Clock;
  readonly patience: Patience;
  readonly stateDirectory: string;
  monotonicMs: number;
  /** What its start has found, where it may take the lease as it was then. */
  found: LeaseFacts | undefined;
  lease: Lease | undefined;
};

/** Requests are refused while somebody only looks whether a machine is sure. */
type Network = { isDown: boolean };

function world(seed: number, root: string) {
  const random = seededRandom(seed);
  const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(random.unit() * values.length)] as Value;
  let trueMs = 1_000_000;
  const memory = createMemoryStore();
  const network: Network = { isDown: false };
  const late: (() => Promise<unknown>)[] = [];

  const store: ObjectStore = {
    ...memory,
    async readVersioned(...call) {
      if (network.isDown || random.unit() < 0.05) throw new Error("connection refused");
      return memory.readVersioned(...call);
    },
    async replace(key, bytes, options) {
      if (network.isDown) throw new Error("connection refused");
      const chance = random.unit();
      if (chance < 0.05) throw new Error("connection refused");
      takeTime();
      if (chance < 0.1) {
        late.push(() => memory.replace(key, bytes, { ...options, signal }));
        throw new Error("no answer");
      }
      const stored = await memory.replace(key, bytes, options);
      if (stored !== undefined) showOthers(bytes, stored);
      takeTime();
      if (chance < 0.2) throw new Error("connection reset");
      return stored;
    },
  };

  const machines = ["a", "b", "c"].map((name): Machine => {
    const stateDirectory = join(root, `${seed}-${name}`);
    mkdirSync(stateDirectory);
    const rate = 0.99 + 0.02 * random.unit();
    const wallOffsetMs = Math.floor((random.unit() - 0.5) * 1e9);
    const machine = { name, rate, stateDirectory, monotonicMs: 0, found: undefined, lease: undefined };
    const clock: Clock = {
      now: () => wallOffsetMs + trueMs * rate,
      monotonic: () => made.monotonicMs,
      sleep: () => new Promise(() => {}),
    };
    const times = { ttlMs: TTL_MS, waitMs: Number.POSITIVE_INFINITY };
    const made: Machine = { ...machine, clock, patience: createPatience({ times, clock, log: () => {}, signal }) };
    return made;
  });

  /** Time goes on for all but who is suspended. */
  function pass(ms: number, suspended?: Machine): void {
    trueMs += ms;
    for (const machine of machines) if (machine !== suspended) machine.monotonicMs += ms * machine.rate;
  }

  /** Others may see what was stored before who stored it has the answer. */
  function showOthers(bytes: Uint8Array, version: string): void {
    if (random.unit() < 0.5) pick(machines).patience.watch({ content: parseLease(bytes, ""), version });
  }

  /** A request is under way for a moment, or for long, and its machine may be suspended meanwhile. */
  function takeTime(): void {
    if (random.unit() < 0.7) pass(random.unit() * 200);
    else pass(random.unit() * TTL_MS * 1.5, random.unit() < 0.5 ? pick(machines) : undefined);
  }

  return {
    machines,
    random,
    pick,
    network,
    store,
    pass,
    deliver: async () => late.splice(Math.floor(random.unit() * late.length), 1)[0]?.(),
  };
}

describe("three machines and one lease", () => {
  it.each(Array.from({ length: 60 }, (_, index) => index + 1))(
    "seed %d: are never two of them sure of it",
    async (seed) => {
      using directory = temporaryDirectory();
      const { machines, random, pick, network, store, pass, deliver } = world(seed, directory.path);
      const epochs: number[] = [];

      /** A start looks whether the lease is free, its own, or has not changed for its time. */
      async function look(machine: Machine): Promise<void> {
        machine.found = undefined;
        const memory = readLeaseMemory(machine.stateDirectory);
        const seen = await readLease(store, { signal });
        const facts = { seen, memory, owner: memory?.owner };
        if (seen !== undefined && standingOf(facts).kind === "held") {
          machine.patience.watch(seen);
          if (!machine.patience.hasRunOut(seen)) return;
        }
        machine.found = facts;
      }

      /** Then it plans, and takes it as it was. */
      async function take(machine: Machine): Promise<void> {
        const { clock, name, stateDirectory, found } = machine;
        if (found === undefined || machine.lease !== undefined) return look(machine);
        machine.found = undefined;
        const taken = await takeLease(store, {
          ...{ facts: found, machine: name, ttlMs: TTL_MS, clock },
          random: systemRandom,
          signal,
        });
        if (taken === undefined) return;
        await remember(stateDirectory, taken.content, store);
        epochs.push(taken.content.epoch);
        machine.lease = holdLease({ store, taken, stateDirectory, clock, log: () => {} });
      }

      /** One that has, or had, the lease, and one that wants it. */
      const couple = () => [
        pick(machines.filter(({ lease }) => lease !== undefined && !lease.lost.aborted)),
        pick(machines.filter(({ lease }) => lease === undefined)),
      ];

      /** One renews, and another one takes the lease at the first moment at which it may. */
      async function contest(): Promise<void> {
        const [machine, other] = couple();
        if (machine?.lease === undefined || other === undefined) return;
        pass(TTL_MS * 0.92);
        await machine.lease.guard({ signal });
        await look(other);
        await takeAfter(pick([0.86, 0.95, 1]) * TTL_MS, other, {
          suspended: random.unit() < 0.3 ? machine : undefined,
        });
      }

      /** Time by the other's own clock. */
      async function takeAfter(ms: number, other: Machine, { suspended }: { suspended?: Machine | undefined } = {}) {
        pass((ms + 1) / other.rate, suspended);
        await look(other);
        await take(other);
      }

      /** The volume of one that goes on for a while, from which another one starts. */
      async function copy(): Promise<void> {
        const [machine, other] = couple();
        if (machine?.lease === undefined || other === undefined) return;
        const copied = readLeaseMemory(machine.stateDirectory);
        if (copied === undefined) return;
        for (let renewals = 0; renewals < 2; renewals += 1) {
          pass(TTL_MS * 0.92);
          await machine.lease.guard({ signal });
        }
        await writeLeaseMemory(other.stateDirectory, copied);
        await look(other);
        await take(other);
        await takeAfter(TTL_MS, other);
        await machine.lease.guard({ signal });
      }

      const acts: readonly (readonly [weight: number, (machine: Machine) => unknown])[] = [
        [4, look],
        [6, take],
        [4, (machine) => machine.lease?.guard({ signal })],
        [4, contest],
        [2, copy],
        [
          1,
          async (machine) => {
            await machine.lease?.release({ signal });
            machine.lease = undefined;
          },
        ],
        [
          1,
          (machine) => {
            machine.lease = undefined; // it crashed
            machine.found = undefined;
          },
        ],
        [1, deliver],
        [1, (machine) => pass(random.unit() * TTL_MS * 2, machine)],
        [2, () => pass(random.unit() * TTL_MS)],
        [2, () => pass(TTL_MS * (0.98 + 0.04 * random.unit()))],
      ];
      const drawn = acts.flatMap(([weight, act]) => Array.from({ length: weight }, () => act));

      for (let step = 0; step < STEPS; step += 1) {
        pass(random.unit() * 2000);
        try {
          await pick(drawn)(pick(machines));
        } catch {
          // the network, or a lease that is lost
        }
        network.isDown = true;
        const sure: string[] = [];
        for (const { name, lease } of machines) {
          await lease?.guard({ signal }).then(
            () => sure.push(name),
            () => {},
          );
        }
        network.isDown = false;
        expect(sure.length, `step ${step}: ${sure.join(" and ")}`).toBeLessThanOrEqual(1);
      }
      expect(new Set(epochs).size).toBe(epochs.length);
      expect(epochs.toSorted((a, b) => a - b)).toEqual(epochs);
    },
  );
});

async function remember(stateDirectory: string, content: LeaseContent, { address }: ObjectStore): Promise<void> {
  await writeLeaseMemory(stateDirectory, { ...content, replica: address });
}
