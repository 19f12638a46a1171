// The driver on better-sqlite3.
// Source: https://github.com/WiseLibs/better-sqlite3/blob/master/docs/api.md

import { resolve } from "node:path";
import type { Addon } from "../base/addon.ts";
import { assert } from "../base/assert.ts";
import { describe, systemCode } from "../base/errors.ts";
import { type Connection, type Driver, type Row, SqliteError, type SqlValue } from "./driver.ts";
import { claimProcess } from "./one-library.ts";
import { resultCode, SQLITE_CANTOPEN, SQLITE_MISUSE } from "./result-codes.ts";
import { createStatementCache } from "./statement-cache.ts";

/** The part of the library that is used. Its published types don't know that `nativeBinding` may be the addon itself. */
export type BetterSqlite3 = new (path: string, options: Options) => Database;

type Options = {
  readonly readonly?: boolean;
  readonly fileMustExist?: boolean;
  readonly timeout?: number;
  readonly nativeBinding?: Addon;
};

type Database = {
  exec(sql: string): unknown;
  prepare(sql: string): Statement;
  close(): unknown;
};

type Statement = {
  /** True where the statement gives rows; `all` throws on any other. */
  readonly reader: boolean;
  all(...parameters: readonly SqlValue[]): Row[];
  run(...parameters: readonly SqlValue[]): unknown;
};

/** What `import` or `require` of "better-sqlite3" gave. */
export function parseBetterSqlite3(library: unknown): BetterSqlite3 {
  assert(typeof library === "function", "better-sqlite3 exports a class");
  return library as BetterSqlite3;
}

/** Makes the driver. Without an `addon` the library takes the one in its own package. */
export function createBetterSqlite3Driver(Database: BetterSqlite3, addon: Addon | undefined): Driver {
  const binding = addon === undefined ? {} : { nativeBinding: addon };
  return {
    name: "better-sqlite3",
    sqliteVersion: readVersion(new Database(":memory:", binding)),
    open(path, { readOnly = false, busyTimeoutMs }) {
      claimProcess("better-sqlite3");
      const options = { ...binding, readonly: readOnly, fileMustExist: true, timeout: busyTimeoutMs };
      return translated(() => connect(new Database(toFileName(path), options)));
    },
  };
}

function connect(database: Database): Connection {
  const prepare = createStatementCache((sql) => database.prepare(sql));
  const close = () => translated(() => void database.close());
  return {
    exec: (sql) => translated(() => void database.exec(sql)),
    all: (sql, ...parameters) =>
      translated(() => {
        const statement = prepare(sql);
        if (statement.reader) return statement.all(...parameters);
        statement.run(...parameters);
        return [];
      }),
    close,
    [Symbol.dispose]: close,
  };
}

/** The library takes "", ":memory:" and white space at the ends of a name for something else than a file's name. */
function toFileName(path: string): string {
  const absolute = resolve(path);
  if (absolute === absolute.trim()) return absolute;
  throw new SqliteError(`Cannot open "${path}": a database's name must not end with white space`, SQLITE_CANTOPEN);
}

function readVersion(database: Database): string {
  try {
    return String(database.prepare("SELECT sqlite_version() AS version").all()[0]?.["version"]);
  } finally {
    database.close();
  }
}

function translated<Result>(call: () => Result): Result {
  try {
    return call();
  } catch (error) {
    throw error instanceof SqliteError ? error : translate(error);
  }
}

/** The library's own objections have no result code. They are TypeErrors and RangeErrors about how it was called. */
function translate(error: unknown): SqliteError {
  const message = describe(error);
  const code = resultCode(systemCode(error) ?? "");
  const missingDirectory = message === "Cannot open database because the directory does not exist";
  return new SqliteError(message, code ?? (missingDirectory ? SQLITE_CANTOPEN : SQLITE_MISUSE), { cause: error });
}
