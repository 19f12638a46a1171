// Lets one or two things happen between the keeper's steps, in all places there are, and looks at what gets into the
// bucket: npm run interleavings [-- --actions 2] [--scenario seal] [--of commit] [--statements] [--every 30] [--jobs 2]
// Of pairs there are so many that all of them take the better part of an hour; each thirtieth, two minutes at most.
// One schedule with all that happens in it: npm run interleavings -- --scenario seal --schedule "sealing 1: commit"

import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { createInterleavingsPool, runInterleavings } from "../test/sim/interleavings.ts";
import { SCENARIO_NAMES, type ScenarioName } from "../test/sim/scenarios.ts";
import { INTERJECTIONS } from "../test/sim/schedule.ts";

const { values } = parseArgs({
  options: {
    /** One of them; all of them by default. */
    scenario: { type: "string" },
    /** Things that happen in each schedule. */
    actions: { type: "string", default: "2" },
    /** One of the things that may happen, more than once where several may; any of them by default. */
    of: { type: "string", multiple: true },
    /** Things happen also before each SQL statement of the keeper. */
    statements: { type: "boolean", default: false },
    /** Only each so many-th schedule. */
    every: { type: "string", default: "1" },
    jobs: { type: "string", default: String(availableParallelism()) },
    schedule: { type: "string" },
  },
});
const scenarios = SCENARIO_NAMES.filter((name) => values.scenario === undefined || name === values.scenario);
if (scenarios.length === 0) throw new Error(`no scenario has the name "${values.scenario}"`);
const of = INTERJECTIONS.filter((name) => values.of === undefined || values.of.includes(name));
if (of.length === 0) throw new Error(`nothing of that name happens: ${values.of}`);
const { statements: withStatements, schedule } = values;
using pool = createInterleavingsPool(schedule === undefined ? Number(values.jobs) : 1);
const startedMs = performance.now();
process.exitCode = (await (schedule === undefined ? runAll() : runOne(schedule))) ? 0 : 1;

async function runOne(text: string): Promise<boolean> {
  let isRight = true;
  const tasks = scenarios.map((scenario) => ({ scenario, schedule: text, withStatements, withTrace: true }));
  for await (const { task, result } of pool.run(tasks)) {
    for (const line of result.trace) process.stdout.write(`${line}\n`);
    process.stdout.write(`${task.scenario}: ${result.violation ?? (result.isVoid ? "void" : "all is right")}\n`);
    isRight &&= result.violation === undefined;
  }
  return isRight;
}

async function runAll(): Promise<boolean> {
  const counts = new Map<ScenarioName, { schedules: number; voids: number; failures: number }>();
  /** Why the whole database was copied: how often, and a schedule where it was. */
  const copies = new Map<string, { count: number; readonly replay: string }>();
  let schedules = 0;
  let failures = 0;
  const [actions, every] = [Number(values.actions), Number(values.every)];
  for await (const { task, result } of runInterleavings(pool, { scenarios, of, actions, every, withStatements })) {
    const count = counts.get(task.scenario) ?? { schedules: 0, voids: 0, failures: 0 };
    counts.set(task.scenario, count);
    count.schedules += 1;
    schedules += 1;
    if (result.isVoid) count.voids += 1;
    const flag = withStatements ? " --statements" : "";
    const replay = `npm run interleavings -- --scenario "${task.scenario}"${flag} --schedule "${task.schedule}"`;
    for (const reason of result.fullCopies) {
      const found = copies.get(reason) ?? { count: 0, replay };
      found.count += 1;
      copies.set(reason, found);
    }
    if (result.violation === undefined) continue;
    count.failures += 1;
    failures += 1;
    process.stdout.write(`${result.violation}\n  ${replay}\n`);
  }
  for (const [reason, { count, replay }] of copies) {
    process.stdout.write(`${count} full copies: ${reason}\n  ${replay}\n`);
  }
  for (const [scenario, count] of counts) {
    process.stdout.write(`${scenario}: ${count.schedules} schedules, ${count.voids} void, ${count.failures} failed\n`);
  }
  const tookMs = performance.now() - startedMs;
  const each = `${Math.round(tookMs / Math.max(1, schedules))} ms a schedule`;
  process.stdout.write(`${schedules} schedules, ${failures} failed; ${Math.round(tookMs / 1000)} s, ${each}\n`);
  return failures === 0;
}
