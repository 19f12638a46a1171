// Simulates as many seeds as one likes: npm run sim -- --seeds 1000 --from 1 [--calm] [--pairs 0.25] [--jobs 2]
// One seed with all that happens in it: npm run sim -- --from 17 --trace

import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { runSeeds } from "../test/sim/run.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1" },
    from: { type: "string", default: "1" },
    jobs: { type: "string", default: String(availableParallelism()) },
    /** Without faults. */
    calm: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
    /** How many of those with a lease have two machines, from 0 to 1. With 1 all have. */
    pairs: { type: "string" },
  },
});
const [seeds, from] = [Number(values.seeds), Number(values.from)];
/** Why the whole database was copied: how often, and a seed where it was. */
const copies = new Map<string, { count: number; readonly seed: number }>();
const startedMs = performance.now();
let failures = 0;
let states = 0;
let withTwo = 0;
const pairs = values.pairs === undefined ? undefined : Number(values.pairs);
const options = { pairs, from, seeds, jobs: Number(values.jobs), calm: values.calm, withTrace: values.trace };
for await (const { seed, violation, trace, fullCopies, machines, states: more } of runSeeds(options)) {
  for (const line of trace) process.stdout.write(`${line}\n`);
  states += more;
  if (machines === 2) withTwo += 1;
  for (const reason of fullCopies) {
    const found = copies.get(reason) ?? { count: 0, seed };
    found.count += 1;
    copies.set(reason, found);
  }
  if (violation === undefined) continue;
  failures += 1;
  const how = `${values.calm ? " --calm" : ""}${pairs === undefined ? "" : ` --pairs ${pairs}`}`;
  process.stdout.write(`seed ${seed}: ${violation}\n  npm run sim -- --from ${seed}${how} --trace\n`);
}
for (const [reason, { count, seed }] of copies) {
  process.stdout.write(`${count} full copies, as with seed ${seed}: ${reason}\n`);
}
const tookMs = performance.now() - startedMs;
process.stdout.write(
  `${seeds} seeds, ${withTwo} of them with two machines, ${states} states of a database, ${failures} failed; ` +
    `${Math.round(tookMs / 1000)} s, ${Math.round(tookMs / seeds)} ms a seed\n`,
);
process.exitCode = failures > 0 ? 1 : 0;
