// Runs the replicator's torture for as long as asked: npm run torture -- --seed 1 --runs 20 --seconds 3 --jobs 2 --kills

import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { temporaryDirectory } from "../test/support/temporary.ts";
import { torture } from "../test/support/torture.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    runs: { type: "string", default: "20" },
    seconds: { type: "string", default: "3" },
    pause: { type: "string", default: "25" },
    jobs: { type: "string", default: String(availableParallelism()) },
    /** Kill writers and the replicator at any time. */
    kills: { type: "boolean", default: false },
  },
});
const [first, runs] = [Number(values.seed), Number(values.runs)];
const sum = { committed: 0, restores: 0, restarts: 0, kills: 0, fullCopies: 0 };
let wrong = 0;

async function run(seed: number): Promise<void> {
  using directory = temporaryDirectory();
  const result = await torture({
    directory: directory.path,
    seed,
    seconds: Number(values.seconds),
    longestPauseMs: Number(values.pause),
    kills: values.kills,
  });
  sum.committed += result.committed;
  sum.restores += result.restores;
  sum.restarts += result.restarts;
  sum.kills += result.kills;
  sum.fullCopies += result.fullCopies.length;
  wrong += result.wrong.length;
  for (const text of [...result.fullCopies, ...result.wrong]) process.stdout.write(`seed ${seed}: ${text}\n`);
}

/** Shared by all jobs: each takes the next one. */
const seeds = Array.from({ length: runs }, (_, i) => first + i).values();
const job = async () => {
  for (const seed of seeds) {
    if (wrong > 0) return;
    await run(seed);
  }
};
await Promise.all(Array.from({ length: Number(values.jobs) }, job));
process.stdout.write(
  `${sum.committed} transactions, ${sum.restores} restores, ${sum.restarts} restarts of the log, ${sum.kills} kills, ` +
    `${sum.fullCopies} full copies, ${wrong === 0 ? "nothing" : "something"} wrong\n`,
);
process.exitCode = wrong === 0 ? 0 : 1;
