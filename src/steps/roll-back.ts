// Finishes what SQLite would finish itself, if a connection that can write came first.

import { existsSync } from "node:fs";
import type { Driver } from "../sqlite/driver.ts";
import { hasContent } from "./has-content.ts";
import { unbornMark } from "./places.ts";

/**
 * Rolls back the transaction in which a process was killed, where the database keeps a rollback journal: a start looks at
 * databases through connections that can't write, and those find none that they could read. Source:
 * https://sqlite.org/lockingv3.html, section 4.1. What is still being made is made anew, whatever it looks like.
 *
 * A journal that belongs to nobody, or to a transaction of an app that runs, is left alone, by SQLite's own rules. Throws
 * SqliteError where the file can't be read.
 */
export function rollBackHotJournal(path: string, driver: Driver): void {
  if (!hasContent(`${path}-journal`) || !existsSync(path) || existsSync(unbornMark(path))) return;
  using connection = driver.open(path, { busyTimeoutMs: 5000 });
  connection.all("SELECT 1 FROM sqlite_schema LIMIT 1");
}
