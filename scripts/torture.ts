// Runs the replicator's torture for as long as asked: npm run torture -- --seed 1 --runs 20 --seconds 3

import { parseArgs } from "node:util";
import { temporaryDirectory } from "../test/support/temporary.ts";
import { torture } from "../test/support/torture.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    runs: { type: "string", default: "20" },
    seconds: { type: "string", default: "3" },
    pause: { type: "string", default: "25" },
  },
});
let committed = 0;
let restores = 0;
let restarts = 0;
let fullCopies = 0;
for (let run = 0; run < Number(values.runs); run += 1) {
  const seed = Number(values.seed) + run;
  using directory = temporaryDirectory();
  const result = await torture({
    directory: directory.path,
    seed,
    seconds: Number(values.seconds),
    longestPauseMs: Number(values.pause),
  });
  committed += result.committed;
  restores += result.restores;
  restarts += result.restarts;
  fullCopies += result.fullCopies.length;
  for (const text of result.fullCopies) process.stdout.write(`seed ${seed}: ${text}\n`);
  if (result.wrong.length > 0) {
    process.stdout.write(`seed ${seed}: ${result.wrong.join("\n")}\n`);
    process.exit(1);
  }
}
process.stdout.write(
  `${committed} transactions, ${restores} restores, ${restarts} restarts of the log, ${fullCopies} full copies, nothing wrong\n`,
);
