// Runs many schedules of scenarios, several at a time.

import type { Interleaving, InterleavingVerdict } from "./interleave.ts";
import type { ScenarioName } from "./scenarios.ts";
import { formatSchedule, type Interjection, schedules, toPlaces } from "./schedule.ts";
import { createPool, type Done, type Pool } from "./workers.ts";

export type InterleavingsPool = Pool<Interleaving, InterleavingVerdict>;

export function createInterleavingsPool(jobs: number): InterleavingsPool {
  return createPool<Interleaving, InterleavingVerdict>({
    script: "interleavings-worker.ts",
    jobs,
    broken: (_, violation) => ({ violation, isVoid: false, labels: [], fullCopies: [], trace: [] }),
  });
}

export type InterleavingsOptions = {
  readonly scenarios: readonly ScenarioName[];
  readonly of: readonly Interjection[];
  /** Things that happen in each schedule. */
  readonly actions: number;
  /** Only one schedule of so many, the first of them. */
  readonly every: number;
  /** Whether things happen also before each SQL statement. */
  readonly withStatements: boolean;
};

/** Gives what became of each schedule, as it comes. */
export async function* runInterleavings(
  pool: InterleavingsPool,
  { scenarios, of, actions, every, withStatements }: InterleavingsOptions,
): AsyncGenerator<Done<Interleaving, InterleavingVerdict>, void, undefined> {
  const common = { withStatements, withTrace: false } as const;
  const labels = new Map<ScenarioName, readonly string[]>();
  for await (const done of pool.run(scenarios.map((scenario) => ({ ...common, scenario, schedule: "" })))) {
    labels.set(done.task.scenario, done.result.labels);
    yield done;
  }
  function* disturbed(): Generator<Interleaving> {
    let count = 0;
    for (const scenario of scenarios) {
      for (const schedule of schedules(toPlaces(labels.get(scenario) ?? []), { actions, of })) {
        if (count++ % every === 0) yield { ...common, scenario, schedule: formatSchedule(schedule) };
      }
    }
  }
  yield* pool.run(disturbed());
}
