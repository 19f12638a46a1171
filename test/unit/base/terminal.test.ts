import { execFileSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { isTerminal } from "../../../src/base/terminal.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const MODULE = join(import.meta.dirname, "../../../src/base/terminal.ts");

it("takes a terminal for one", () => {
  const script = `import { isTerminal } from ${JSON.stringify(MODULE)}; process.exitCode = isTerminal(0) ? 7 : 8;`;
  const node = [process.execPath, "--input-type=module-typescript", "--eval", script].map((word) => `'${word}'`);
  const command = `${node.join(" ")}; echo status $?`;
  expect(execFileSync("script", ["--quiet", "--command", command, "/dev/null"], { encoding: "utf8" })).toContain(
    "status 7",
  );
});

it.each(["/dev/null", "/dev/zero", "file"])("takes nothing else for one: %s", (name) => {
  using directory = temporaryDirectory();
  const file = openSync(resolve(directory.path, name), "w");
  try {
    expect(isTerminal(file)).toBe(false);
  } finally {
    closeSync(file);
  }
});

it("takes a closed stream for none", () => {
  expect(isTerminal(987)).toBe(false);
});
