// What `run --dry` tells of a database beside what a start needs to know. Changes nothing, and leaves no side files
// where the database has none.

import { closeSync, openSync, readSync } from "node:fs";
import { dirname } from "node:path";
import type { Inside } from "../plan/report.ts";
import { readLedger } from "../prisma/ledger.ts";
import { SqliteError } from "../sqlite/driver.ts";
import { DATABASE_HEADER_SIZE, decodeDatabaseHeader } from "../sqlite/header.ts";
import type { StepContext } from "./context.ts";
import { openToLook } from "./pending.ts";

/** Undefined where the file is no database. What SQLite can't read is left out: observe() has told why. */
export async function lookInside(path: string, { sqlite }: Pick<StepContext, "sqlite">): Promise<Inside | undefined> {
  const header = decodeDatabaseHeader(readHead(path));
  if (typeof header === "string") return undefined;
  const journalMode = header.walMode ? "wal" : "rollback";
  try {
    using connection = openToLook(path, await sqlite(dirname(path)));
    const { rows = [] } = readLedger(connection);
    const last = rows.findLast(({ finished, rolledBack }) => finished && !rolledBack);
    if (last === undefined) return { journalMode };
    return { journalMode, lastMigration: { name: last.name, startedAt: last.startedAt } };
  } catch (error) {
    if (!(error instanceof SqliteError)) throw error;
    return { journalMode };
  }
}

function readHead(path: string): Uint8Array {
  const file = openSync(path, "r");
  try {
    const bytes = new Uint8Array(DATABASE_HEADER_SIZE);
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.byteLength, 0));
  } finally {
    closeSync(file);
  }
}
