import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const checker = join(import.meta.dirname, "../../fixtures/prisma-migrate/tools/check.mjs");
const program = join(import.meta.dirname, "../../support/deploy-program.ts");

it("the corpus' own checker finds nothing", { timeout: 180_000 }, async () => {
  const words = [checker, "--", process.execPath, program, "{migrations}", "{db}"];
  const { stdout } = await promisify(execFile)(process.execPath, words);
  expect(stdout).toBe("58 passed, 0 failed\n");
});
