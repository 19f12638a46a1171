// Which scripts change how SQLite keeps its journal: while the database's log is held, SQLite would refuse these, and
// they would spoil the restore point. Pure.
// Source: https://sqlite.org/pragma.html

import { LEADING_COMMENTS, splitStatements } from "./statements.ts";

/** `page_size` takes effect outside of WAL mode only; a checkpoint takes the log away that a restore point needs. */
const TOUCHES_JOURNAL =
  /^PRAGMA\s+(?:\w+\s*\.\s*)?(journal_mode|locking_mode|wal_checkpoint|wal_autocheckpoint|page_size)\b/i;

/** A database that is held is in WAL mode already. */
const SETS_WAL = /\bjournal_mode\s*[=(]\s*['"]?wal\b/i;

/** The pragma in a script that needs the database for itself, such as "journal_mode"; undefined where there is none. */
export function findJournalPragma(script: string): string | undefined {
  for (const { text } of splitStatements(script)) {
    const statement = text.replace(LEADING_COMMENTS, "");
    const pragma = TOUCHES_JOURNAL.exec(statement)?.[1];
    if (pragma !== undefined && !SETS_WAL.test(statement)) return pragma.toLowerCase();
  }
  return undefined;
}
