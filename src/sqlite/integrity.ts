// SQLite's own check of a whole database.
// Source: https://sqlite.org/pragma.html#pragma_integrity_check

import { type Connection, SqliteError } from "./driver.ts";

/** SQLITE_CORRUPT and SQLITE_NOTADB: so damaged that the check itself can't run. */
const DAMAGED = [11, 26];

/** As many as are of use to who reads them. */
const MOST_FINDINGS = 5;

/**
 * Rows that a constraint forbids. They got in while it was not there, or not heeded, and SQLite works with them: a
 * database that has them is as its app left it.
 */
const CONSTRAINT = /^(?:CHECK constraint failed|NULL value|(?:non-)?[A-Z]+ value|non-unique entry) in /;

/** Damage that the check finds; nothing where the database is sound. */
export function findDamage(connection: Connection, pragma: "integrity_check" | "quick_check"): readonly string[] {
  try {
    const findings = connection.all(`PRAGMA ${pragma}`).map((row) => String(row[pragma]));
    if (findings.length === 1 && findings[0] === "ok") return [];
    return findings.filter((finding) => !CONSTRAINT.test(finding)).slice(0, MOST_FINDINGS);
  } catch (error) {
    if (error instanceof SqliteError && DAMAGED.includes(error.extendedCode & 0xff)) return [error.message];
    throw error;
  }
}
