// Kills migrations, seeds and what protects them at every system call that changes something on the volume, and starts
// again: npm run kill-everywhere [-- --size 0.1 --only seed]. Fails where a start does not come to what it must.

import { parseArgs } from "node:util";
import { whyNoKillPoints } from "../test/support/kill-points.ts";
import { prepareScenario, SCENARIOS } from "../test/support/kill-scenarios.ts";
import { setup } from "../test/support/make-bare.ts";

const { values } = parseArgs({
  options: {
    /** Share of the points that are tried. */
    size: { type: "string", default: "1" },
    /** A part of a scenario's name. */
    only: { type: "string", default: "" },
  },
});
const step = Math.max(1, Math.round(1 / Number(values.size)));
const say = (text: string) => void process.stdout.write(`${text}\n`);

const why = whyNoKillPoints();
if (why !== undefined) throw new Error(`Cannot kill anything here: ${why}`);

setup();
let [tried, missed, wrong] = [0, 0, 0];
for (const scenario of SCENARIOS.filter(({ name }) => name.includes(values.only))) {
  using prepared = await prepareScenario(scenario);
  const startedMs = performance.now();
  const before = { tried, missed, wrong };
  for (const [index, point] of prepared.points.entries()) {
    if (index % step !== 0) continue;
    for (const victim of ["it", "everyone"] as const) {
      const outcome = await prepared.try(point, victim);
      tried += 1;
      if (!outcome.reached) missed += 1;
      if (outcome.wrong === undefined) continue;
      wrong += 1;
      say(`WRONG  ${scenario.name}: ${victim} at ${point.call} ${point.path} ${point.index}\n  ${outcome.wrong}`);
    }
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
  say(
    `${scenario.name}: ${prepared.points.length} points, ${tried - before.tried} kills in ${seconds} s, ` +
      `${missed - before.missed} not reached, ${wrong - before.wrong} wrong`,
  );
}
say(`${tried} kills, ${missed} not reached, ${wrong} wrong`);
if (wrong > 0 || tried === missed) process.exitCode = 1;
