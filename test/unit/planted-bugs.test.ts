import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { MUTANTS } from "../support/planted-bugs.ts";

const root = join(import.meta.dirname, "../..");

it.each(MUTANTS)("there is a place for: $bug", ({ file, edits, test }) => {
  const source = readFileSync(join(root, file), "utf8");
  for (const [there] of edits) expect(source.split(there).length - 1, there).toBe(1);
  expect(existsSync(join(root, test))).toBe(true);
});
