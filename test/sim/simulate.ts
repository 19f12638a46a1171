// One simulation, from its seed to its verdict.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Random } from "../../src/base/context.ts";
import type { Driver } from "../../src/sqlite/driver.ts";
import { seededRandom } from "../support/random.ts";
import type { App } from "./app.ts";
import { CALM } from "./bucket.ts";
import { disturbed, type Mix, undisturbed } from "./mix.ts";
import { Violation } from "./violation.ts";
import { createWorld, type Death, type World } from "./world.ts";

export type Verdict = {
  readonly seed: number;
  /** What must never be, and was. */
  readonly violation: string | undefined;
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
};

export async function simulate({
  seed,
  calm,
  withTrace,
  app,
  driver,
}: SimulationOptions & { readonly app: App; readonly driver: Driver }): Promise<Verdict> {
  const random = seededRandom(seed);
  let mix = calm ? undisturbed(random) : disturbed(random);
  // In memory: nothing here has to outlive a real power cut.
  const directory = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "flysqlite-sim-"));
  const trace: string[] = [];
  const say = (what: string) => {
    if (withTrace) trace.push(`${Math.round(world.timeline.nowMs)} ms  ${what}`);
  };
  const world: World = createWorld({ directory, app, driver, random, mix: () => mix, say });
  const { timeline } = world;
  let violation: string | undefined;
  try {
    world.begin();
    plan(world, mix, random);
    await timeline.runUntil(mix.durationMs, () => world.violation !== undefined);
    if (world.violation !== undefined) throw world.violation;

    mix = healed(mix);
    say("all is well from here on");
    world.calmApp();
    await timeline.runUntil(timeline.nowMs + HEALING_MS, () => world.violation !== undefined || world.isReplicated());
    if (world.violation !== undefined) throw world.violation;
    if (!world.isReplicated()) throw new Violation("not everything is in the bucket, though all is well");
    world.stop();
    await timeline.runUntil(timeline.nowMs + HEALING_MS, () => world.violation !== undefined || world.hasEnded);
    if (world.violation !== undefined) throw world.violation;
    if (!world.hasEnded) throw new Violation("the keeper does not end");
    const restored = await world.check();
    await world.checkSome(SAMPLE);
    if (restored !== world.history.now)
      throw new Violation(`the end is state ${world.history.now}, and ${restored} is restored`);
    if (calm && world.fullCopies.length > 1) throw new Violation(`a needless copy: ${world.fullCopies[1]}`);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error.message;
  } finally {
    world.letGo();
    rmSync(directory, { recursive: true });
  }
  const { fullCopies, warnings, history } = world;
  return { seed, violation, fullCopies: fullCopies.slice(1), warnings, states: history.count, trace };
}

/** Lets the app act and things die, each at times of its own. */
function plan({ timeline, ...world }: World, mix: Mix, random: Random): void {
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
  };
}
