// Runs the replicator's torture for as long as asked: npm run torture -- --seed 1 --runs 20 --seconds 3 --kills

import { parseArgs } from "node:util";
import { temporaryDirectory } from "../test/support/temporary.ts";
import { torture } from "../test/support/torture.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    runs: { type: "string", default: "20" },
    seconds: { type: "string", default: "3" },
    pause: { type: "string", default: "25" },
    /** Kill writers and the replicator at any time. */
    kills: { type: "boolean", default: false },
  },
});
const sum = { committed: 0, restores: 0, restarts: 0, kills: 0, fullCopies: 0 };
for (let run = 0; run < Number(values.runs); run += 1) {
  const seed = Number(values.seed) + run;
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
  for (const text of result.fullCopies) process.stdout.write(`seed ${seed}: ${text}\n`);
  if (result.wrong.length > 0) {
    process.stdout.write(`seed ${seed}: ${result.wrong.join("\n")}\n`);
    process.exitCode = 1;
    break;
  }
}
process.stdout.write(
  `${sum.committed} transactions, ${sum.restores} restores, ${sum.restarts} restarts of the log, ${sum.kills} kills, ` +
    `${sum.fullCopies} full copies, ${process.exitCode === 1 ? "something" : "nothing"} wrong\n`,
);
