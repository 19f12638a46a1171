import { join, resolve } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { findAppLibraries, judgeAppSqlite, judgeOwnSqlite } from "../../../src/doctor/sqlite-versions.ts";
import { versionIn } from "../../../src/sqlite/library-version.ts";
import { loadDriver } from "../../../src/sqlite/load-driver.ts";
import { hasWalResetBug } from "../../../src/sqlite/wal-reset.ts";
import { type Files, writeFiles } from "../../support/project.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

function app(files: Files): string {
  const made = temporaryDirectory();
  onTestFinished(() => made[Symbol.dispose]());
  writeFiles(made.path, files);
  return made.path;
}

const manifest = (version: string) => JSON.stringify({ version });

describe("the WAL-reset bug", () => {
  it.each([
    ["3.6.23", false],
    ["3.7.0", true],
    ["3.44.5", true],
    ["3.44.6", false],
    ["3.45.0", true],
    ["3.50.6", true],
    ["3.50.7", false],
    ["3.51.0", true],
    ["3.51.2", true],
    ["3.51.3", false],
    ["3.52.0", false],
    ["4.0.0", false],
    ["of unknown version", undefined],
  ])("is in %s: %s", (version, expected) => expect(hasWalResetBug(version)).toBe(expected));
});

describe("the version in a library", () => {
  it("is found among strings that look alike", () => {
    const text = "GLIBCXX_3.4.21\0CXXABI_1.3.9\0GLIBC_2.3.4\0 3.50.2\0v13.4.5\0";
    expect(versionIn(Buffer.from(text))).toBe("3.50.2");
  });

  it.each([
    ["there is none", "GLIBCXX_3.4.21\0"],
    ["there are two", "\x003.50.2\0\x003.49.1\0"],
  ])("is not guessed where %s", (_, text) => expect(versionIn(Buffer.from(text))).toBeUndefined());
});

describe("the app's SQLite", () => {
  const installed = resolve(import.meta.dirname, "../../..");

  it("is the one that better-sqlite3 really has, by its sources and by its addon alone", async () => {
    const { sqliteVersion } = await loadDriver({
      assets: { read: () => undefined },
      temporaryDirectories: [],
      log: () => {},
    });
    const [found] = findAppLibraries(installed);
    expect(found).toMatchObject({ name: "better-sqlite3", sqliteVersion });
    const { readFileSync } = await import("node:fs");
    const addon = readFileSync(join(installed, "node_modules/better-sqlite3/prebuilds/linux-x64.node"));
    expect(versionIn(addon)).toBe(sqliteVersion);
  });

  it("is found without the package's sources", () => {
    const directory = app({
      "node_modules/better-sqlite3/package.json": manifest("11.9.1"),
      "node_modules/better-sqlite3/build/Release/better_sqlite3.node": "\x003.49.1\0",
    });
    const libraries = findAppLibraries(directory);
    expect(libraries).toEqual([{ name: "better-sqlite3", packageVersion: "11.9.1", sqliteVersion: "3.49.1" }]);
    const [finding] = judgeAppSqlite(libraries);
    expect(finding).toMatchObject({ result: "warning", wayOut: expect.stringContaining("better-sqlite3 to 12.11") });
  });

  it("is that of Prisma's engine too, where the client has one", () => {
    const directory = app({
      "node_modules/@prisma/client/package.json": manifest("6.19.3"),
      "node_modules/.prisma/client/libquery_engine-debian-openssl-3.0.x.so.node": "\x003.46.0\0",
    });
    expect(judgeAppSqlite(findAppLibraries(directory))).toEqual([
      {
        probe: "app's SQLite",
        result: "warning",
        text: "@prisma/client 6.19.3 has 3.46.0, which can lose commits when two processes checkpoint (the WAL-reset bug)",
        wayOut: expect.stringContaining("better-sqlite3 adapter"),
      },
    ]);
  });

  it("is skipped where there is none, or none that tells", () => {
    const silent = app({
      "node_modules/@prisma/client/package.json": manifest("6.19.3"),
      "node_modules/.prisma/client/libquery_engine.so.node": "nothing",
    });
    const modern = app({ "node_modules/@prisma/client/package.json": manifest("7.10.0") });
    for (const directory of [silent, modern, app({})]) {
      const findings = judgeAppSqlite(findAppLibraries(directory));
      expect(findings.map(({ result }) => result)).toEqual(["skipped"]);
    }
  });
});

it("flysqlite's own SQLite is told with its library", () => {
  const finding = judgeOwnSqlite({ name: "node:sqlite", sqliteVersion: "3.51.3" });
  expect(finding).toEqual({ probe: "SQLite", result: "ok", text: "flysqlite uses 3.51.3, of node:sqlite" });
});
