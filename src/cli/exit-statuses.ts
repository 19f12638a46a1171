// What our own exit statuses mean: one table, which --help prints and README shows.

import { FAILURES, type FailureCode } from "../base/errors.ts";

/** What each failure means to who sees its status. Short: a row of a table. */
export const MEANINGS: Readonly<Record<FailureCode, string>> = {
  E_USAGE: "the command line is wrong",
  E_CONFIG: "a setting is wrong",
  E_SCHEMA: "the Prisma schema is wrong, or not for SQLite",
  E_BUNDLE: "the executable's bundle is damaged",
  E_BUILD: "the build failed",
  E_VOLUME: "no volume, or it can't be written to",
  E_LINK: "two files could be the database",
  E_COMMAND_NOT_FOUND: "the app's program is not there",
  E_COMMAND_NOT_EXECUTABLE: "the app's program is not executable",
  E_DB_INVALID: "the file on the volume is no sound database",
  E_REPLICA_UNREACHABLE: "the replica does not answer",
  E_REPLICA_DENIED: "the replica refuses access",
  E_REPLICA_GAP: "a file of the replica is missing",
  E_REPLICA_CORRUPT: "a file of the replica is damaged",
  E_RESTORE_SPACE: "the volume is too small for the restore",
  E_DIVERGED: "it can't be told which copy is right",
  E_FENCED: "another machine writes to the replica",
  E_MIGRATE: "a migration failed; the app was not started",
  E_SEED: "the seed failed; the app was not started",
  E_HOOK: "a command that a start runs failed; the app was not started",
  E_FINAL_SYNC: "the app ended with 0, and its last commits are not in the replica",
  E_SYNC: "`sync`: what is committed is not in the replica yet",
  E_NO_KEEPER: "`status`, `sync`: no flysqlite replicates this database",
  E_INTERNAL: "a defect of flysqlite",
};

export type StatusRow = { readonly status: string; readonly code: string; readonly meaning: string };

/** All rows, by status: the app's own first, then ours. */
export function exitStatusRows(): readonly StatusRow[] {
  const codes = Object.keys(FAILURES) as FailureCode[];
  const ours = codes
    .toSorted((left, right) => FAILURES[left].exitStatus - FAILURES[right].exitStatus)
    .map((code) => ({ status: String(FAILURES[code].exitStatus), code, meaning: MEANINGS[code] }));
  return [
    {
      status: "0 ... 255",
      code: "",
      meaning: "the app's own, also where it failed so often that it is not started again",
    },
    { status: "128 + n", code: "", meaning: "signal n ended the app, or flysqlite before it had launched the app" },
    ...ours,
  ];
}
