// Runs many simulations, several at a time, each in a process that is used for many.

import type { SimulationOptions, Verdict } from "./simulate.ts";
import { createPool } from "./workers.ts";

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
  const tasks = Array.from({ length: seeds }, (_, i): SimulationOptions => ({ ...options, seed: from + i }));
  const broken = ({ seed }: SimulationOptions, violation: string) => {
    return { seed, violation, machines: 0, fullCopies: [], warnings: [], states: 0, trace: [] };
  };
  using pool = createPool<SimulationOptions, Verdict>({ script: "worker.ts", jobs: Math.min(jobs, seeds), broken });
  for await (const { result } of pool.run(tasks)) yield result;
}
