// Plants bugs, one at a time, in a copy of the sources, and runs the test that must notice:
// npm run test:mutants [-- --only 3]. Fails where a bug goes unnoticed, or where its place is no longer there.

import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { MUTANTS, type Mutant } from "../test/support/planted-bugs.ts";
import { temporaryDirectory } from "../test/support/temporary.ts";

const ROOT = resolve(import.meta.dirname, "..");

/** A copy of what the tests need, to plant bugs in. */
function copyOfSources() {
  const copy = temporaryDirectory();
  for (const name of ["src", "test", "scripts", "package.json", "tsconfig.json", "vitest.config.ts"]) {
    const filter = (path: string) => !path.endsWith("/node_modules");
    cpSync(join(ROOT, name), join(copy.path, name), { recursive: true, filter });
  }
  symlinkSync(join(ROOT, "node_modules"), join(copy.path, "node_modules"));
  return copy;
}

function passes(directory: string, { test, only }: Pick<Mutant, "test" | "only">): boolean {
  const vitest = join(directory, "node_modules/vitest/vitest.mjs");
  const words = ["run", "--project", "unit", "--bail", "1", test, ...(only === undefined ? [] : ["-t", only])];
  return (
    spawnSync(process.execPath, [vitest, ...words], { cwd: directory, stdio: "ignore", timeout: 300_000 }).status === 0
  );
}

/** False where the bug's place is no longer there. */
function plant(directory: string, { file, edits }: Mutant): boolean {
  const path = join(directory, file);
  let text = readFileSync(path, "utf8");
  for (const [from, to] of edits) {
    if (text.split(from).length !== 2) return false;
    text = text.replace(from, () => to);
  }
  writeFileSync(path, text);
  return true;
}

const { values } = parseArgs({ options: { only: { type: "string" } } });
const chosen = MUTANTS.map((mutant, i) => ({ ...mutant, number: i + 1 })).filter(
  ({ number }) => values.only === undefined || Number(values.only) === number,
);
let failed = 0;
{
  using sound = copyOfSources();
  for (const test of new Set(chosen.map((mutant) => mutant.test))) {
    if (passes(sound.path, { test })) continue;
    failed += 1;
    process.stdout.write(`${test} fails without a planted bug, and so proves nothing\n`);
  }
}
for (const mutant of chosen) {
  using copy = copyOfSources();
  const result = !plant(copy.path, mutant) ? "IS GONE" : passes(copy.path, mutant) ? "SURVIVED" : "killed";
  if (result !== "killed") failed += 1;
  process.stdout.write(`${String(mutant.number).padStart(2)}  ${result.padEnd(8)}  ${mutant.bug} (${mutant.file})\n`);
}
process.exitCode = failed > 0 ? 1 : 0;
