// Which SQLite flysqlite uses and which the app does, and whether they are safe to use on one database.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../base/errors.ts";
import { findInstalled } from "../prisma/installed.ts";
import type { Driver } from "../sqlite/driver.ts";
import { BETTER_SQLITE3, versionIn } from "../sqlite/library-version.ts";
import { hasWalResetBug } from "../sqlite/wal-reset.ts";
import { type Finding, ok, skipped, warning } from "./finding.ts";

/** A library that the app may open its database with. */
export type AppLibrary = {
  /** The package that has it. */
  readonly name: typeof BETTER_SQLITE3 | "@prisma/client";
  readonly packageVersion: string;
  /** Such as "3.50.2"; undefined where its files don't tell. */
  readonly sqliteVersion: string | undefined;
};

/** flysqlite asserts the safe minimum when it loads the library: getting here is proof. */
export function judgeOwnSqlite({ name, sqliteVersion }: Pick<Driver, "name" | "sqliteVersion">): Finding {
  return ok("SQLite", `flysqlite uses ${sqliteVersion}, of ${name}`);
}

/** One finding for each library, or that none was found. Pure. */
export function judgeAppSqlite(libraries: readonly AppLibrary[]): readonly Finding[] {
  if (libraries.length === 0)
    return [skipped("app's SQLite", "neither better-sqlite3 nor Prisma's own engine is in the app's node_modules")];
  return libraries.map(({ name, packageVersion, sqliteVersion }) => {
    const what = `${name} ${packageVersion}`;
    const isUnsafe = sqliteVersion === undefined ? undefined : hasWalResetBug(sqliteVersion);
    if (isUnsafe === undefined)
      return skipped("app's SQLite", `the files of ${what} don't tell their SQLite's version`);
    if (!isUnsafe) return ok("app's SQLite", `${what} has ${sqliteVersion}`);
    return warning(
      "app's SQLite",
      `${what} has ${sqliteVersion}, which can lose commits when two processes checkpoint (the WAL-reset bug)`,
      name === BETTER_SQLITE3
        ? "Update better-sqlite3 to 12.11 or newer: SQLite is safe from 3.51.3 on"
        : "Use Prisma with its better-sqlite3 adapter, on better-sqlite3 12.11 or newer: SQLite is safe from 3.51.3 on",
    );
  });
}

export function findAppLibraries(appDirectory: string): readonly AppLibrary[] {
  return [findBetterSqlite3(appDirectory), findEngine(appDirectory)].filter((library) => library !== undefined);
}

function findBetterSqlite3(appDirectory: string): AppLibrary | undefined {
  const directory = findInstalled(appDirectory, BETTER_SQLITE3);
  if (directory === undefined) return undefined;
  const header = readText(join(directory, "deps/sqlite3/sqlite3.h"));
  const addons = [...addonsIn(join(directory, "build/Release")), ...addonsIn(join(directory, "prebuilds"))];
  const sqliteVersion = /#define SQLITE_VERSION\s+"([\d.]+)"/.exec(header ?? "")?.[1] ?? versionInAny(addons);
  return { name: BETTER_SQLITE3, packageVersion: packageVersion(directory), sqliteVersion };
}

/** Prisma's native engine, which has an SQLite in it. Undefined where the client has none, as from version 7 on. */
function findEngine(appDirectory: string): AppLibrary | undefined {
  const client = findInstalled(appDirectory, "@prisma/client");
  if (client === undefined) return undefined;
  const places = [join(client, "../../.prisma/client"), join(client, "../engines")];
  const engines = places.flatMap(addonsIn);
  if (engines.length === 0) return undefined;
  return { name: "@prisma/client", packageVersion: packageVersion(client), sqliteVersion: versionInAny(engines) };
}

function addonsIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith(".node"))
      .map((name) => join(directory, name));
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return [];
  }
}

function versionInAny(files: readonly string[]): string | undefined {
  for (const file of files) {
    const version = versionIn(readFileSync(file));
    if (version !== undefined) return version;
  }
  return undefined;
}

function packageVersion(directory: string): string {
  return /"version":\s*"([^"]+)"/.exec(readText(join(directory, "package.json")) ?? "")?.[1] ?? "of unknown version";
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}
