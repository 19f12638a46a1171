// What two machines with one bucket do to one another: deploys, in which one is to take over from the other, halts,
// partitions, and clocks that are set.

import type { Random } from "../../src/base/context.ts";
import type { OnStaleVolume } from "../../src/config/settings.ts";
import { LEASE_TIMES, type LeaseTimes } from "../../src/replica/lease/rules.ts";
import type { Halt, Machine } from "./machine.ts";

export type Pair = {
  readonly leaseTimes: LeaseTimes;
  /** What a start does with a volume that is older than the bucket. Where it is refused, somebody says so soon after. */
  readonly onStaleVolume: OnStaleVolume;
  /** Speed of each machine's clocks beside the true time's. */
  readonly rates: readonly [number, number];
  /** What their wall clocks are off by, in milliseconds. */
  readonly wallOffsetsMs: readonly [number, number];
  /** Mean times between two of a kind, in milliseconds. */
  readonly deployMs: number;
  readonly haltMs: number;
  /** How often a keeper is halted where it was sure of the lease and is about to write, from 0 to 1. */
  readonly slips: number;
  readonly cutMs: number;
  readonly jumpMs: number;
  /** A machine that went down without being told stays so for up to this long, in milliseconds. */
  readonly absenceMs: number;
};

const NEVER = Number.POSITIVE_INFINITY;

/** What platforms give a machine to end, in milliseconds; the first is the shortest that one would choose. */
const STOP_BUDGETS_MS = [1000, 4500, 30_000] as const;

/** The lease holds for clocks that differ by a tenth. */
const SLOWEST = 0.96;
const FASTEST = 1.04;

const HOUR_MS = 3_600_000;

/** Long enough for some changes of the lease. */
export function drawPair(random: Random): { readonly pair: Pair; readonly durationMs: number } {
  const pick = <Value>(...values: readonly [Value, ...Value[]]): Value =>
    values[Math.floor(random.unit() * values.length)] ?? values[0];
  const leaseTimes = pick(LEASE_TIMES, { ttlMs: 9000, waitMs: 12_000 }, { ttlMs: 9000, waitMs: 12_000 });
  const durationMs = leaseTimes === LEASE_TIMES ? leaseTimes.ttlMs * pick(3, 5) : leaseTimes.ttlMs * pick(4, 8, 16);
  const rate = () => SLOWEST + (FASTEST - SLOWEST) * random.unit();
  const offset = () => (random.unit() - 0.5) * pick(0, 1000, HOUR_MS, 48 * HOUR_MS);
  return {
    pair: {
      leaseTimes,
      onStaleVolume: pick("restore", "restore", "refuse"),
      rates: [rate(), rate()],
      wallOffsetsMs: [offset(), offset()],
      deployMs: durationMs / pick(2, 4, 8),
      haltMs: NEVER,
      slips: 0,
      cutMs: NEVER,
      jumpMs: NEVER,
      absenceMs: 0,
    },
    durationMs,
  };
}

/** Some of all that may go wrong between them. */
export function disturbedPair(
  pair: Pair,
  { random, durationMs }: { readonly random: Random; readonly durationMs: number },
): Pair {
  const every = (chance: number) => (random.unit() < chance ? durationMs / (1 + Math.floor(random.unit() * 6)) : NEVER);
  return {
    ...pair,
    deployMs: random.unit() < 0.7 ? pair.deployMs : durationMs / 2,
    haltMs: every(0.6),
    slips: random.unit() < 0.6 ? random.unit() ** 2 * 0.3 : 0,
    cutMs: every(0.5),
    jumpMs: every(0.3),
    absenceMs: random.unit() < 0.5 ? pair.leaseTimes.ttlMs * 2 : 0,
  };
}

export function drawHalt(random: Random): Halt {
  const kinds = ["keeper", "machine", "suspended"] as const;
  return kinds[Math.floor(random.unit() * kinds.length)] ?? "keeper";
}

/** What may happen to two machines, each with its mean time in milliseconds. */
export function happenings(
  { leaseTimes: { ttlMs }, deployMs, haltMs, cutMs, jumpMs }: Pair,
  {
    machines,
    random,
    after,
  }: {
    readonly machines: readonly Machine[];
    readonly random: Random;
    readonly after: (ms: number, run: () => void) => void;
  },
): readonly (readonly [number, () => void])[] {
  const any = <Value>(values: readonly Value[]): Value | undefined => values[Math.floor(random.unit() * values.length)];

  /** One starts, and another one is told to stop; the start most often comes first, as it may be the second that waits. */
  function deploy(): void {
    const next = any(machines.filter(({ isDown }) => isDown));
    const old = any(machines.filter(({ isDown }) => !isDown));
    if (next !== undefined) after(random.unit() < 0.8 ? 0 : random.unit() * ttlMs, next.start);
    if (old === undefined || random.unit() < 0.2) return;
    after(random.unit() * ttlMs * 1.3, () => old.stop({ budgetMs: any(STOP_BUDGETS_MS) ?? STOP_BUDGETS_MS[0] }));
  }

  return [
    [deployMs, deploy],
    [haltMs, () => any(machines)?.halt(drawHalt(random), random.unit() * ttlMs * 3)],
    [cutMs, () => any(machines)?.cutOff(random.unit() * ttlMs * 3)],
    [jumpMs, () => any(machines)?.clocks.jump((random.unit() - 0.5) * (any([1000, ttlMs, ttlMs * 2, HOUR_MS]) ?? 0))],
  ];
}
