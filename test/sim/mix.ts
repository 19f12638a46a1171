// What happens in a simulation, drawn from its seed: which faults there are at all, how often each, and what the app is
// like. With all faults at once hardly any would get far; with some of them each gets its turn.

import type { Random } from "../../src/base/context.ts";
import type { Action } from "./app-process.ts";
import { CALM, type Network } from "./bucket.ts";
import { disturbedPair, drawPair, type Pair } from "./pair.ts";

export type Mix = {
  readonly pageSize: number;
  readonly autoVacuum: number;
  readonly syncIntervalMs: number;
  /** Whether the keeper takes the replica's lease. */
  readonly fence: "required" | "off";
  /** How long the app goes on, in milliseconds. */
  readonly durationMs: number;
  /** Mean time between two things that the app does, in milliseconds. */
  readonly tempoMs: number;
  /** How often the app does something between two steps of the protocol, from 0 to 1. */
  readonly interjections: number;
  /** What the app does, and how often in comparison. */
  readonly actions: readonly (readonly [number, () => Action])[];
  readonly network: Network;
  /** Times in which the bucket is away: from, to. */
  readonly outages: readonly (readonly [number, number])[];
  /** Mean time between two deaths of the keeper at a point of its protocol or while it waits, in milliseconds. */
  readonly keeperDeathMs: number;
  /** Likewise of the whole container, of the machine with all that is not durable, and of the volume. */
  readonly containerDeathMs: number;
  readonly powerCutMs: number;
  readonly volumeLossMs: number;
  /** How often a write on the volume fails, from 0 to 1. */
  readonly writeFailure: number;
  /** Times in which the volume is full: from, to. */
  readonly full: readonly (readonly [number, number])[];
  /** How often a change of the log is not told, from 0 to 1. */
  readonly missedNews: number;
  /**
   * The app may empty a log that it has just emptied. Where it does so twice between two captures, nothing tells that
   * from two restarts of a log with something in it, and the database is copied.
   */
  readonly emptiesTwice: boolean;
  /** Where there are two machines, which only a lease keeps apart. */
  readonly pair: Pair | undefined;
};

/** How many of the worlds with a lease have two machines, by default. */
export const PAIRS = 0.25;

const NEVER = Number.POSITIVE_INFINITY;

/** No faults: what has to be copied whole then is the database at the first start, and nothing else. */
export function undisturbed(random: Random, pairs = PAIRS): Mix {
  const pick = <Value>(...values: readonly [Value, ...Value[]]): Value =>
    values[Math.floor(random.unit() * values.length)] ?? values[0];
  const fence = pairs === 1 ? "required" : pick("off", "required");
  const drawn = fence === "required" && random.unit() < pairs ? drawPair(random) : undefined;
  const durationMs = drawn?.durationMs ?? pick(2000, 6000, 20_000);
  return {
    pageSize: pick(512, 512, 1024, 4096),
    autoVacuum: pick(0, 0, 1, 2),
    syncIntervalMs: pick(100, 1000, 1000, 3000),
    durationMs,
    tempoMs: durationMs / (drawn === undefined ? pick(15, 30, 60) : pick(30, 60, 120)),
    // Where there is much time, each would find something to ship, and lead to the next.
    interjections: pick(0, 0.05, 0.2) * Math.min(1, 20_000 / durationMs),
    actions: actions(random),
    network: { ...CALM, latencyMs: pick(2, 8, 100) },
    outages: [],
    keeperDeathMs: NEVER,
    containerDeathMs: NEVER,
    powerCutMs: NEVER,
    volumeLossMs: NEVER,
    writeFailure: 0,
    full: [],
    missedNews: 0,
    emptiesTwice: false,
    fence,
    pair: drawn?.pair,
  };
}

/** Some of all faults. */
export function disturbed(random: Random, pairs = PAIRS): Mix {
  const mix = undisturbed(random, pairs);
  const { durationMs } = mix;
  const sometimes = (chance: number) => random.unit() < chance;
  // A real store tries again by itself; with the worst of networks no start would come to take a lease from another.
  const worst = mix.pair === undefined ? 0.3 : 0.05;
  const rate = () => (sometimes(0.4) ? random.unit() * worst : 0);
  const spans = () =>
    sometimes(0.3)
      ? [0, 1].map(() => {
          const from = random.unit() * durationMs;
          return [from, from + random.unit() * Math.max(10_000, durationMs / 4)] as const;
        })
      : [];
  const every = (chance: number) => (sometimes(chance) ? durationMs / (1 + Math.floor(random.unit() * 4)) : NEVER);
  return {
    ...mix,
    network: {
      ...mix.network,
      lost: rate(),
      answerLost: rate(),
      late: (rate() / worst) * 0.1,
      broken: rate(),
      slow: rate(),
    },
    outages: spans(),
    keeperDeathMs: every(0.5),
    containerDeathMs: every(0.25),
    powerCutMs: every(0.25),
    volumeLossMs: every(0.15),
    writeFailure: sometimes(0.15) ? random.unit() * 0.1 : 0,
    full: spans(),
    missedNews: sometimes(0.3) ? random.unit() : 0,
    emptiesTwice: true,
    pair: mix.pair && disturbedPair(mix.pair, { random, durationMs }),
  };
}

/** Some of what apps do, each with a weight of its own. */
function actions(random: Random): Mix["actions"] {
  const weight = (most: number) => (random.unit() < 0.6 ? random.unit() * most : 0);
  const pick = <Value>(...values: readonly [Value, ...Value[]]): Value =>
    values[Math.floor(random.unit() * values.length)] ?? values[0];
  return [
    [
      10,
      () => ({ kind: "commit", rows: 1 + Math.floor(random.unit() * 4), bytes: Math.floor(random.unit() ** 3 * 4000) }),
    ],
    [weight(4), () => ({ kind: "burst", times: pick(3, 3, 10, 20) })],
    [random.unit() < 0.1 ? 2 : 0, () => ({ kind: "burst", times: 80 })], // until the log must be sealed
    [weight(2), () => ({ kind: "thin out" })],
    [weight(1), () => ({ kind: "change schema" })],
    [weight(1), () => ({ kind: "vacuum" })],
    [weight(3), () => ({ kind: "spill", end: pick("commit", "rollback", "later") })],
    [
      weight(6),
      () => ({
        kind: "checkpoint",
        mode: pick("PASSIVE", "FULL", "RESTART", "TRUNCATE"),
        by: pick("writer", "helper"),
      }),
    ],
    [weight(1), () => ({ kind: "autocheckpoint", frames: pick(0, 1, 20, 1000) })],
    [weight(3), () => ({ kind: "begin to read" })],
    [weight(1), () => ({ kind: "close" })],
  ];
}
