// One simulation, from its seed to its verdict.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Random } from "../../src/base/context.ts";
import type { Driver } from "../../src/sqlite/driver.ts";
import { seededRandom } from "../support/random.ts";
import type { Apps } from "./app.ts";
import { CALM } from "./bucket.ts";
import type { Death } from "./machine.ts";
import { disturbed, type Mix, undisturbed } from "./mix.ts";
import { happenings } from "./pair.ts";
import { Violation } from "./violation.ts";
import { createWorld, type World } from "./world.ts";

export type Verdict = {
  readonly seed: number;
  /** What must never be, and was. */
  readonly violation: string | undefined;
  readonly machines: number;
  /** Why the whole database was copied, each time but the first. */
  readonly fullCopies: readonly string[];
  readonly warnings: readonly string[];
  readonly states: number;
  /** All that happened, in turn; empty unless asked for. */
  readonly trace: readonly string[];
};

/** How long a world without faults may take to have everything in its bucket, in virtual milliseconds. */
const HEALING_MS = 300_000;

/** Transactions that are restored in the end besides the last. */
const SAMPLE = 3;

export type SimulationOptions = {
  readonly seed: number;
  /** Without faults: then no copy of the whole database is needed but the first. */
  readonly calm: boolean;
  readonly withTrace: boolean;
  /** How many of the worlds with a lease have two machines, from 0 to 1. With 1 all have both. */
  readonly pairs?: number | undefined;
};

export async function simulate({
  seed,
  calm,
  withTrace,
  pairs,
  apps,
  driver,
}: SimulationOptions & { readonly apps: Apps; readonly driver: Driver }): Promise<Verdict> {
  const random = seededRandom(seed);
  let mix = calm ? undisturbed(random, pairs) : disturbed(random, pairs);
  // In memory: nothing here has to outlive a real power cut.
  const directory = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "flysqlite-sim-"));
  const trace: string[] = [];
  const say = (what: string) => {
    if (withTrace) trace.push(`${Math.round(world.timeline.nowMs)} ms  ${what}`);
  };
  const world: World = createWorld({ directory, apps, driver, random, mix: () => mix, say });
  const { timeline } = world;
  let violation: string | undefined;
  try {
    world.begin();
    plan(world, mix, random);
    await timeline.runUntil(mix.durationMs, () => world.violation !== undefined);
    if (world.violation !== undefined) throw world.violation;

    mix = healed(mix);
    say("all is well from here on");
    world.heal();
    await timeline.runUntil(timeline.nowMs + HEALING_MS, () => world.violation !== undefined || world.isReplicated());
    if (world.violation !== undefined) throw world.violation;
    if (!world.isReplicated()) throw new Violation("not everything is in the bucket, though all is well");
    world.stop();
    await timeline.runUntil(timeline.nowMs + HEALING_MS, () => world.violation !== undefined || world.hasEnded);
    if (world.violation !== undefined) throw world.violation;
    if (!world.hasEnded) throw new Violation("the keeper does not end");
    const restored = await world.check();
    await world.checkSome(SAMPLE);
    if (!world.isEnd(restored))
      throw new Violation(`the end is state ${world.history.now}, and ${restored} is restored`);
    if (calm && world.fullCopies.length > 1) throw new Violation(`a needless copy: ${world.fullCopies[1]}`);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error.message;
  } finally {
    world.letGo();
    rmSync(directory, { recursive: true });
  }
  const { fullCopies, warnings, history, machines } = world;
  const found = { machines: machines.length, fullCopies: fullCopies.slice(1), warnings, states: history.count };
  return { seed, violation, ...found, trace };
}

/** Lets the apps act and things die, each at times of its own. */
function plan(world: World, mix: Mix, random: Random): void {
  const { timeline, machines } = world;
  const again = (meanMs: number, run: () => void) => {
    if (meanMs === Number.POSITIVE_INFINITY) return;
    // Exponential, so that things also come close together.
    timeline.after(-Math.log(1 - random.unit()) * meanMs, () => {
      if (timeline.nowMs > mix.durationMs) return;
      run();
      again(meanMs, run);
    });
  };
  again(mix.tempoMs, world.actAtRandom);
  const deaths: readonly (readonly [Death, number])[] = [
    ["keeper", mix.keeperDeathMs],
    ["container", mix.containerDeathMs],
    ["power", mix.powerCutMs],
    ["volume", mix.volumeLossMs],
  ];
  for (const [what, meanMs] of deaths) again(meanMs, () => world.dieIfAlive(what));
  if (mix.pair === undefined) return;
  const after = (ms: number, run: () => void) =>
    timeline.after(ms, () => {
      if (timeline.nowMs <= mix.durationMs) run();
    });
  for (const [meanMs, happen] of happenings(mix.pair, { machines, random, after })) again(meanMs, happen);
}

function healed(mix: Mix): Mix {
  const never = Number.POSITIVE_INFINITY;
  return {
    ...mix,
    interjections: 0,
    network: CALM,
    outages: [],
    full: [],
    writeFailure: 0,
    missedNews: 0,
    keeperDeathMs: never,
    pair: mix.pair && { ...mix.pair, slips: 0 },
  };
}
