// Looks at all states of the model of SQLite's log and our protocol that are so many steps away, and says on which path
// something goes wrong: npm run model -- --depth 12
// With a bug planted, of those in test/model/planted.ts: npm run model -- --planted hold-has-a-gap

import { parseArgs } from "node:util";
import { describePath } from "../test/model/describe.ts";
import { isPlanted, PLANTED } from "../test/model/planted.ts";
import { search } from "../test/model/search.ts";
import { createModel } from "../test/model/wal-model.ts";

const { values } = parseArgs({
  options: { depth: { type: "string", default: "12" }, planted: { type: "string" } },
});
const { planted } = values;
if (planted !== undefined && !isPlanted(planted)) {
  throw new Error(`no bug is called "${planted}"; there are: ${Object.keys(PLANTED).join(", ")}`);
}
const startedMs = performance.now();
const { states, depth, violation } = search(createModel({ planted }), { depth: Number(values.depth) });
const tookMs = performance.now() - startedMs;
if (violation !== undefined) {
  for (const line of describePath(violation.path)) process.stdout.write(`${line}\n`);
}
const outcome = violation?.reason ?? "nothing is wrong";
process.stdout.write(`${states} states, up to ${depth} steps away, ${(tookMs / 1000).toFixed(1)} s; ${outcome}\n`);
process.exitCode = violation === undefined ? 0 : 1;
