// Simulates: npm run sim -- --seeds 1000 --from 1 [--calm] [--jobs 2], or one seed with all that happens in it:
// npm run sim -- --from 17 --trace

import { parseArgs } from "node:util";
import { startApp } from "../test/sim/app.ts";
import { simulate } from "../test/sim/simulate.ts";
import { installedDriver } from "../test/support/driver.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1" },
    from: { type: "string", default: "1" },
    calm: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
  },
});
const driver = await installedDriver();
using app = startApp();
const from = Number(values.from);
/** Why the whole database was copied: how often, and the first seed where it was. */
const copies = new Map<string, { count: number; readonly first: number }>();
const startedMs = performance.now();
let failures = 0;
for (let seed = from; seed < from + Number(values.seeds); seed += 1) {
  const { violation, trace, fullCopies } = await simulate({
    seed,
    calm: values.calm,
    app,
    driver,
    withTrace: values.trace,
  });
  for (const line of trace) process.stdout.write(`${line}\n`);
  for (const reason of fullCopies) {
    const found = copies.get(reason) ?? { count: 0, first: seed };
    found.count += 1;
    copies.set(reason, found);
  }
  if (violation === undefined) continue;
  failures += 1;
  process.stdout.write(`seed ${seed}: ${violation}\n`);
}
for (const [reason, { count, first }] of copies) {
  process.stdout.write(`${count} full copies, the first with seed ${first}: ${reason}\n`);
}
process.stdout.write(
  `${failures} of ${values.seeds} seeds failed, ${Math.round((performance.now() - startedMs) / Number(values.seeds))} ms a seed\n`,
);
process.exitCode = failures > 0 ? 1 : 0;
