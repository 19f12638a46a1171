// How little the executable needs of the system it is in, and how little that system can do to it.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BARE, type Box, createBox } from "../support/box.ts";
import { prisma6, writeFiles } from "../support/project.ts";
import { treeOf } from "../support/tree.ts";

const FLYSQLITE = "/usr/local/bin/flysqlite";

const SEEDED = 2;

/** Starts, adds a row, stops, loses the volume, and starts again: the row is back. */
async function expectRoundTrip(box: Box, start: Parameters<Box["start"]>[0] = {}): Promise<string> {
  const first = await box.start(start);
  await first.listening();
  await first.request("POST", "/entries", { author: "ann", text: "hello" });
  expect(await first.stop(), first.output()).toBe(0);
  box.loseVolume();
  const second = await box.start(start);
  await second.listening();
  expect(await second.request("GET", "/count")).toEqual({ count: SEEDED + 1 });
  expect(second.output()).toMatch(/restore .* files, .* verified/);
  expect(await second.stop(), second.output()).toBe(0);
  return second.output();
}

describe("an empty root, with only the C and C++ libraries", () => {
  const ITSELF = ["--seed", `${FLYSQLITE} --version`, FLYSQLITE, "--version"];

  it("is enough for --version", async () => {
    using box = createBox({ image: "none" });
    const { exitStatus, standardOutput, output } = await box.run({ words: ["--version"] });
    expect(standardOutput).toMatch(/^flysqlite \d+\.\d+\.\d+\n$/);
    expect(output).toBe(standardOutput);
    expect(exitStatus).toBe(0);
  });

  it("is enough for a dry run", async () => {
    using box = createBox({ image: "none" });
    const { exitStatus, output } = await box.run({ words: ["run", "--dry", ...ITSELF] });
    expect(output).toMatch(/migrate +apply 4 migrations/);
    expect(exitStatus).toBe(0);
    expect([treeOf(box.volume), treeOf(box.replica)]).toEqual([{}, {}]);
  });

  it("is enough to make a database, to seed and replicate it, and to restore it", async () => {
    using box = createBox({ image: "none" });
    const first = await box.run({ words: ITSELF });
    expect(first.exitStatus, first.output).toBe(0);
    expect(first.output).toMatch(/migrate +made \/data\/dev.db with 4 migrations, from the template/);
    expect(first.output).toMatch(/seed +\/usr\/local\/bin\/flysqlite --version: done/);
    expect(first.output).toMatch(/stop +everything is in the replica/);
    expect(first.standardOutput).toMatch(/^flysqlite \d/);
    expect(readdirSync(join(box.replica, "db/ltx/0"))).not.toEqual([]);
    box.loseVolume();
    const second = await box.run({ words: ITSELF });
    expect(second.exitStatus, second.output).toBe(0);
    expect(second.output).toMatch(/restore .* verified/);
    expect(second.output).not.toMatch(/ {2}(migrate|seed) /);
  });
});

describe("a read-only root", () => {
  it("needs no link where the app reads the url from a variable: it is told the place", async () => {
    using box = createBox({ readOnlyRoot: true });
    const running = await box.start({ environment: { DATABASE_URL: "file:./dev.db" } });
    await running.listening();
    expect(await running.request("GET", "/env")).toMatchObject({ DATABASE_URL: "file:/data/dev.db" });
    expect(await running.request("GET", "/count")).toEqual({ count: SEEDED });
    expect(await running.stop()).toBe(0);
    expect(readdirSync(box.app)).not.toContain("dev.db");
  });

  it("is refused where the url stands literally, with the way out", async () => {
    using box = createBox({ executable: BARE, app: prisma6('"file:./dev.db"'), readOnlyRoot: true });
    const { exitStatus, output } = await box.run();
    expect(output).toMatch(/E_LINK: .*"\/app\/prisma\/dev\.db".*read-only/);
    expect(output).toMatch(/try +Let the schema read the url from a variable, such as env\("DATABASE_URL"\)/);
    expect(exitStatus).toBe(73);
    expect([treeOf(box.volume), treeOf(box.replica)]).toEqual([{}, {}]);
  });
});

describe("no directory that anything may be executed from", () => {
  it("makes Node's own SQLite step in, for replicating and restoring too", async () => {
    using box = createBox({ noexecEverywhere: true });
    const output = await expectRoundTrip(box, { environment: { FLYSQLITE_LOG: "debug" } });
    expect(output).toMatch(/warning: uses Node's own SQLite, .*"\/tmp".*"\/run".*"\/data"/);
    expect(output).toMatch(/SQLite \d+\.\d+\.\d+ of node:sqlite/);
    expect(readdirSync(box.volume).filter((name) => name.startsWith("flysqlite-"))).toEqual([]);
  });
});

describe("NODE_OPTIONS", () => {
  it("that would break Node does not stop flysqlite, and reaches the app", async () => {
    using box = createBox();
    const environment = { NODE_OPTIONS: "--require=/nonexistent" };
    const words = ["--seed", "true", "sh", "-c", 'echo "the app has $NODE_OPTIONS"'];
    const { exitStatus, output } = await box.run({ words, environment });
    expect(output).toContain("the app has --require=/nonexistent\n");
    expect(exitStatus, output).toBe(0);
  });

  it("is the app's own: what it loads is loaded there and not in flysqlite", async () => {
    using box = createBox();
    writeFiles(box.app, { "preload.cjs": 'console.error("preloaded by", process.execPath);\n' });
    const running = await box.start({ environment: { NODE_OPTIONS: "--require=/app/preload.cjs" } });
    await running.listening();
    expect(await running.request("GET", "/env")).toMatchObject({ NODE_OPTIONS: "--require=/app/preload.cjs" });
    expect(await running.stop()).toBe(0);
    expect(running.output()).toMatch(/preloaded by \S+\/node$/m);
    expect(running.output()).not.toContain(`preloaded by ${FLYSQLITE}`);
  });
});
