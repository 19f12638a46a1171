// The driver on Node's own SQLite. It needs no addon, so it steps in where better-sqlite3's can't be loaded.
// Source: https://nodejs.org/docs/latest-v24.x/api/sqlite.html

import { resolve } from "node:path";
import process from "node:process";
import type { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { describe } from "../base/errors.ts";
import { type Connection, type Driver, SqliteError } from "./driver.ts";
import { claimProcess } from "./one-library.ts";
import { SQLITE_MISUSE } from "./result-codes.ts";
import { createStatementCache } from "./statement-cache.ts";

export type NodeSqliteOptions = {
  /**
   * Takes "text" in double quotes for a string where no column has that name, as SQLite does by default and as
   * migrations were written to expect. better-sqlite3 is compiled without it. Default: false.
   */
  readonly doubleQuotedStrings?: boolean;
};

export function createNodeSqliteDriver({ doubleQuotedStrings = false }: NodeSqliteOptions = {}): Driver {
  return {
    name: "node:sqlite",
    sqliteVersion: process.versions["sqlite"] ?? "unknown",
    open(path, { readOnly = false, immutable = false, busyTimeoutMs }) {
      claimProcess("node:sqlite");
      // Not imported: `npx flysqlite build` has this file in its bundle, and must get as far as a message on a Node
      // that has no node:sqlite.
      const { DatabaseSync } = process.getBuiltinModule("node:sqlite");
      const options = {
        readOnly,
        timeout: busyTimeoutMs,
        enableDoubleQuotedStringLiterals: doubleQuotedStrings,
      };
      return translated(() => connect(new DatabaseSync(toUrl(path, { readOnly, immutable }), options)));
    },
  };
}

/** A URL, as only its `mode` keeps SQLite from making a file that isn't there: https://sqlite.org/uri.html */
function toUrl(
  path: string,
  { readOnly, immutable }: { readonly readOnly: boolean; readonly immutable: boolean },
): URL {
  const url = pathToFileURL(resolve(path));
  url.searchParams.set("mode", readOnly ? "ro" : "rw");
  if (immutable) url.searchParams.set("immutable", "1");
  return url;
}

function connect(database: DatabaseSync): Connection {
  const prepare = createStatementCache((sql) => database.prepare(sql));
  const close = () => {
    if (database.isOpen) translated(() => database.close());
  };
  return {
    exec: (sql) => translated(() => database.exec(sql)),
    all: (sql, ...parameters) =>
      translated(() => {
        // Its rows have no prototype; plain ones can be compared and printed like any other.
        return prepare(sql)
          .all(...parameters)
          .map((row) => ({ ...row }));
      }),
    close,
    [Symbol.dispose]: close,
  };
}

function translated<Result>(call: () => Result): Result {
  try {
    return call();
  } catch (error) {
    throw new SqliteError(describe(error), readResultCode(error) ?? SQLITE_MISUSE, { cause: error });
  }
}

/** `errcode` is the extended result code; errors about how the library was called have none. */
function readResultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error)) return undefined;
  return typeof error.errcode === "number" ? error.errcode : undefined;
}
