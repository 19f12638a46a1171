// Stops an app that commits, as often as you like, and counts the commits that the next machine does not restore.
// Usage: npm run stops [-- --runs 100 --seed 16]

import { parseArgs } from "node:util";
import { STOP_CASES, stopAgainAndAgain } from "../test/support/stops.ts";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "100" }, seed: { type: "string", default: "16" } },
});

let failed = 0;
for (const stop of STOP_CASES) {
  const { stops, commits, lost, problems } = await stopAgainAndAgain(stop, {
    runs: Number(values.runs),
    seed: Number(values.seed),
  });
  process.stdout.write(`${stop.name.padEnd(52)} ${stops} stops, ${commits} commits, ${lost} lost\n`);
  for (const problem of problems) process.stdout.write(`  ${problem}\n`);
  failed += lost + problems.length;
}
process.exitCode = failed === 0 ? 0 : 1;
