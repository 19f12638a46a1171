import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BUILD_HELP, runBuildCommand } from "../../../build/command.ts";

let directory: string;
let printed: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "flysqlite-test-"));
  printed = [];
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

const build = (...words: readonly string[]) =>
  runBuildCommand(words, {
    workingDirectory: directory,
    execPath: process.execPath,
    program: directory,
    print: (text) => printed.push(text),
    log: () => {},
  });

describe("flysqlite build", () => {
  it("prints its help, which names every option", async () => {
    await build("--help", "--app", "x");
    expect(printed).toEqual([BUILD_HELP]);
    for (const option of ["--app", "--schema", "--out", "--node"]) expect(BUILD_HELP).toContain(`  ${option} `);
  });

  it.each([
    ["an unknown option", ["--bogus"], "--bogus"],
    ["an option without its value", ["--out"], "--out"],
    ["a word too many", ["prisma/schema.prisma"], "prisma/schema.prisma"],
  ])("refuses %s, and names the help", async (_, words, named) => {
    const usage = { code: "E_USAGE", hint: "See `flysqlite build --help`", message: expect.stringContaining(named) };
    await expect(build(...words)).rejects.toMatchObject(usage);
  });

  it("writes nothing where the Node is none to build on", async () => {
    await expect(build("--node", "/bin/true")).rejects.toMatchObject({ code: "E_BUILD" });
    await expect(build("--node", "missing")).rejects.toThrow(join(directory, "missing"));
    expect(readdirSync(directory)).toEqual([]);
  });
});
