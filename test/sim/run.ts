// Runs many simulations, several at a time, each in a process that is used for many.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { SimulationOptions, Verdict } from "./simulate.ts";

/** No simulation takes so long, in milliseconds of real time, but for one that spins. */
const LIMIT_MS = 60_000;

/** So many share a process: an app's, which answers without ever going idle, keeps what each of them had in memory. */
const RUNS_OF_PROCESS = 500;

/** Gives the verdicts as they come. */
export async function* runSeeds({
  from,
  seeds,
  jobs,
  ...options
}: Omit<SimulationOptions, "seed"> & {
  readonly from: number;
  readonly seeds: number;
  readonly jobs: number;
}): AsyncGenerator<Verdict, void, undefined> {
  const end = from + seeds;
  let next = from;
  const workers = Array.from({ length: Math.min(jobs, seeds) }, createWorker);
  const running = new Map<Worker, Promise<{ readonly worker: Worker; readonly verdict: Verdict }>>();
  const start = (worker: Worker) => {
    running.delete(worker);
    if (next >= end) return;
    const seed = next++;
    running.set(
      worker,
      worker.run({ ...options, seed }).then((verdict) => ({ worker, verdict })),
    );
  };
  try {
    for (const worker of workers) start(worker);
    while (running.size > 0) {
      const { worker, verdict } = await Promise.race(running.values());
      start(worker);
      yield verdict;
    }
  } finally {
    for (const worker of workers) worker.end();
  }
}

type Worker = { run(options: SimulationOptions): Promise<Verdict>; end(): void };

/** A process that is started when it is first needed, and anew after one that broke down or has done its share. */
function createWorker(): Worker {
  let child: ChildProcess | undefined;
  let runs = 0;
  return {
    async run(options) {
      if (runs++ % RUNS_OF_PROCESS === 0) {
        child?.disconnect();
        child = undefined;
      }
      child ??= fork(join(import.meta.dirname, "worker.ts"), {
        execArgv: ["--import", join(import.meta.dirname, "loader.ts")],
      });
      child.send(options);
      const end = new AbortController();
      const { signal } = end;
      const outcome = await Promise.race([
        once(child, "message", { signal }).then(([verdict]) => verdict as Verdict),
        once(child, "exit", { signal }).then(() => "it broke down"),
        delay(LIMIT_MS, "it does not come to an end", { signal }),
      ]);
      end.abort();
      if (typeof outcome !== "string") return outcome;
      child.kill("SIGKILL");
      child = undefined;
      const nothing = { machines: 0, fullCopies: [], warnings: [], states: 0, trace: [] };
      return { seed: options.seed, violation: outcome, ...nothing };
    },
    end: () => child?.disconnect(),
  };
}
