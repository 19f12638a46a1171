// Which SQLite this process uses: better-sqlite3, or Node's own where better-sqlite3's addon can't be loaded.
// Nothing of either library is loaded before this is called.

import { createRequire } from "node:module";
import { loadAddon } from "../base/addon.ts";
import type { Assets } from "../base/assets.ts";
import { describe, FlysqliteError } from "../base/errors.ts";
import { debug, type Log, warn } from "../base/events.ts";
import type { Driver } from "./driver.ts";

export type DriverSources = {
  /** Holds the addon in an executable. Without it the installed better-sqlite3 package is taken. */
  readonly assets: Assets;
  /** Where the addon may be put for the moment of loading, in this order: see `addonDirectories()`. */
  readonly temporaryDirectories: readonly string[];
  readonly log: Log;
};

/**
 * The first release whose write-ahead log is free of the reset race that can corrupt a database.
 * Source: https://sqlite.org/wal.html#walresetbug
 */
export const MINIMUM_SQLITE_VERSION = "3.51.3";

/** Loads SQLite. The result is worth keeping: each call loads anew. */
export async function loadDriver({ assets, temporaryDirectories, log }: DriverSources): Promise<Driver> {
  const bytes = assets.read("better_sqlite3.node");
  const preferred =
    bytes === undefined ? await loadInstalled(log) : await loadCarried(bytes, temporaryDirectories, log);
  const driver = preferred ?? (await loadBuiltIn());
  assertVersion(driver);
  log(debug("keeper", `SQLite ${driver.sqliteVersion} of ${driver.name}`));
  return driver;
}

/** better-sqlite3 with the addon that the executable carries. Undefined where no directory lets it be loaded. */
async function loadCarried(bytes: Uint8Array, directories: readonly string[], log: Log): Promise<Driver | undefined> {
  const { addon, failures } = loadAddon(bytes, directories);
  const reasons = failures.map(({ directory, reason }) => `"${directory}" (${reason})`).join(", ") || "no directory";
  if (addon === undefined) {
    log(warn("keeper", `uses Node's own SQLite, as better-sqlite3 could not be loaded by way of ${reasons}`));
    return undefined;
  }
  if (failures.length > 0) log(debug("keeper", `better-sqlite3 could not be loaded by way of ${reasons}`));
  const [{ createBetterSqlite3Driver, parseBetterSqlite3 }, library] = await Promise.all([
    import("./better-sqlite3.ts"),
    import("better-sqlite3"), // in the executable this is part of the program
  ]);
  return createBetterSqlite3Driver(parseBetterSqlite3(library.default), addon);
}

/** better-sqlite3 as a package beside the program, with the addon in it. Undefined where it isn't, or doesn't load. */
async function loadInstalled(log: Log): Promise<Driver | undefined> {
  const { createBetterSqlite3Driver, parseBetterSqlite3 } = await import("./better-sqlite3.ts");
  try {
    const library: unknown = createRequire(import.meta.filename)("better-sqlite3");
    return createBetterSqlite3Driver(parseBetterSqlite3(library), undefined);
  } catch (error) {
    log(
      warn("keeper", `uses Node's own SQLite, as the better-sqlite3 package could not be loaded: ${describe(error)}`),
    );
    return undefined;
  }
}

async function loadBuiltIn(): Promise<Driver> {
  const { createNodeSqliteDriver } = await import("./node-sqlite.ts");
  return createNodeSqliteDriver();
}

function assertVersion({ name, sqliteVersion }: Driver): void {
  if (versionNumber(sqliteVersion) >= versionNumber(MINIMUM_SQLITE_VERSION)) return;
  throw new FlysqliteError(
    "E_INTERNAL",
    `SQLite ${sqliteVersion} of ${name} can corrupt a database: ${MINIMUM_SQLITE_VERSION} is the oldest that is safe`,
  );
}

/** As SQLite numbers its releases: 3.51.3 is 3051003. What is no version gives NaN, which is newer than nothing. */
function versionNumber(version: string): number {
  const [major, minor, patch] = version.split(".").map(Number);
  return (major ?? Number.NaN) * 1_000_000 + (minor ?? Number.NaN) * 1000 + (patch ?? Number.NaN);
}
