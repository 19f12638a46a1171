// Damages a replica of each format in every way, and restores each time: the exact state must come out, or a refusal.
// node scripts/corruption.ts --seed 1 --size 200 (places at which each object is cut off; every byte is changed always)

import { parseArgs } from "node:util";
import { type Objects, type SweepResult, sweepReplica } from "../test/support/corruption.ts";
import { seededRandom } from "../test/support/random.ts";
import { makeLtxReplica, makeV03Replica } from "../test/support/small-replicas.ts";

const { values } = parseArgs({
  options: { seed: { type: "string", default: "1" }, size: { type: "string", default: "200" } },
});
const replicas: readonly { readonly name: string; readonly format: "ltx" | "v03"; readonly objects: Objects }[] = [
  { name: "LTX", format: "ltx", objects: makeLtxReplica() },
  { name: "0.3, one snapshot", format: "v03", objects: makeV03Replica({ snapshots: 1 }) },
  { name: "0.3, two snapshots", format: "v03", objects: makeV03Replica({ snapshots: 2 }) },
];
for (const { name, format, objects } of replicas) {
  const random = seededRandom(Number(values.seed));
  report(name, await sweepReplica({ objects, format, random, cuts: Number(values.size) }));
}

function report(name: string, { cases, exact, refused, wrong, unproved, unnamed }: SweepResult): void {
  process.stdout.write(`${name}: ${cases} cases, ${exact} exact, ${refused} refused\n`);
  for (const what of unproved) process.stdout.write(`  wrong, and beyond proof in this format: ${what}\n`);
  for (const what of wrong) process.stdout.write(`  wrong: ${what}\n`);
  for (const what of unnamed) process.stdout.write(`  no refusal by name: ${what}\n`);
  if (wrong.length + unnamed.length > 0) process.exitCode = 1;
}
