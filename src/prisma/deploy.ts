// Applies migrations to a database as `prisma migrate deploy` does: the same statements in the same order, so that
// the ledger and whatever a failure leaves behind are what Prisma's own tools expect to find.
//
// For use with node:sqlite. Its SQLite takes what Prisma's takes, string literals in double quotes included;
// better-sqlite3 is compiled without these.
// Source: Prisma 7.10, `migrate deploy`; held to test/fixtures/prisma-migrate

import { closeSync, openSync } from "node:fs";
import { type Connection, type Driver, SqliteError } from "../sqlite/driver.ts";
import {
  databaseErrorText,
  type FailedStatement,
  failedScriptText,
  otherProviderText,
  PrismaError,
  SCRIPT_NOT_FOUND,
  type SqliteAnswer,
} from "./errors.ts";
import { decideRefusal, LEDGER_TABLE, pendingNames, readLedger } from "./ledger.ts";
import type { Migration } from "./manifest.ts";
import { checksum, lockedProvider } from "./migrations.ts";
import { splitStatements } from "./statements.ts";

export type DeployOptions = {
  /** In Prisma's order. A script is asked for only when its turn comes. */
  readonly migrations: readonly Migration[];
  /** Text of migration_lock.toml, where there is one. */
  readonly lockFile?: string | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A random UUID, version 4, lower case. */
  readonly uuid: () => string;
  /**
   * False where others may have the database open meanwhile: where `isLockDisabled` says so, or where it is our own
   * keeper that holds it. Prisma takes an exclusive lock; it changes who else may look, and nothing that is written.
   */
  readonly exclusive: boolean;
  /** Called before each migration, and after each that was applied. */
  readonly onBegin?: (name: string) => void;
  readonly onApplied?: (name: string) => void;
};

/** How long a busy database is waited for, in milliseconds, as Prisma has it. */
export const BUSY_TIMEOUT_MS = 5000;

/** Prisma's text to the letter: it ends up in the database's schema. */
export const CREATE_LEDGER = `CREATE TABLE "_prisma_migrations" (
    "id"                    TEXT PRIMARY KEY NOT NULL,
    "checksum"              TEXT NOT NULL,
    "finished_at"           DATETIME,
    "migration_name"        TEXT NOT NULL,
    "logs"                  TEXT,
    "rolled_back_at"        DATETIME,
    "started_at"            DATETIME NOT NULL DEFAULT current_timestamp,
    "applied_steps_count"   INTEGER UNSIGNED NOT NULL DEFAULT 0
)`;

/**
 * Opens the database at `path`, made if it is missing, applies what is pending, closes it, and gives the names of what
 * was applied. Throws {@link PrismaError}.
 */
export function applyMigrations({
  path,
  driver,
  ...options
}: DeployOptions & { readonly path: string; readonly driver: Driver }): string[] {
  return asPrismaHasIt(() => {
    makeIfAbsent(path);
    using connection = driver.open(path, { busyTimeoutMs: BUSY_TIMEOUT_MS });
    return deploy(connection, options);
  });
}

/**
 * Applies what is pending, and gives the names of what was applied.
 *
 * Nothing is wrapped in a transaction. After a failure the statements before the failing one stay, and so does a
 * row that stops every later run (P3009) until someone resolves it. Throws {@link PrismaError}.
 */
export function deploy(connection: Connection, options: DeployOptions): string[] {
  return asPrismaHasIt(() => applyPending(connection, options));
}

/** Whether PRISMA_SCHEMA_DISABLE_ADVISORY_LOCK is set, by Prisma's reading: to anything but nothing and "0". */
export function isLockDisabled(environment: { readonly [name: string]: string | undefined }): boolean {
  const value = environment["PRISMA_SCHEMA_DISABLE_ADVISORY_LOCK"];
  return value !== undefined && value !== "" && value !== "0";
}

/** Runs something on a database; an answer of SQLite's that belongs to no script becomes Prisma's failure for it. */
export function asPrismaHasIt<Result>(run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    const answer = sqliteAnswer(error);
    if (answer === undefined) throw error;
    throw new PrismaError(undefined, databaseErrorText(answer.message), { sqlite: answer, cause: error });
  }
}

function applyPending(connection: Connection, options: DeployOptions): string[] {
  requireSqliteHistory(options.lockFile);
  if (options.exclusive) connection.exec("PRAGMA main.locking_mode=EXCLUSIVE");

  const ledger = readLedger(connection);
  const refusal = decideRefusal(ledger);
  if (refusal !== undefined) throw new PrismaError(refusal.code, refusal.message);
  if (ledger.rows === undefined) connection.exec(CREATE_LEDGER);

  const pending = new Set(pendingNames(options.migrations, ledger.rows ?? []));
  const applied: string[] = [];
  for (const migration of options.migrations.filter(({ name }) => pending.has(name))) {
    options.onBegin?.(migration.name);
    applyOne(connection, migration, options);
    applied.push(migration.name);
    options.onApplied?.(migration.name);
  }
  return applied;
}

function applyOne(connection: Connection, { name, sql }: Migration, { now, uuid }: DeployOptions): void {
  if (sql === undefined) throw new PrismaError("P3015", SCRIPT_NOT_FOUND, { migration: name });
  const id = uuid();
  connection.all(
    `INSERT INTO "${LEDGER_TABLE}" ("id", "checksum", "started_at", "migration_name") VALUES (?, ?, ?, ?)`,
    ...[id, checksum(sql), now(), name],
  );
  const failure = runScript(connection, sql);
  if (failure !== undefined) {
    const { answer, statement, cause } = failure;
    const text = failedScriptText(name, answer);
    recordFailure(connection, { id, text });
    throw new PrismaError("P3018", text, { migration: name, sqlite: answer, statement, cause });
  }
  // Two statements, as Prisma has it: a crash between them leaves one step and no end.
  connection.all(
    `UPDATE "${LEDGER_TABLE}" SET "applied_steps_count" = "applied_steps_count" + 1 WHERE "id" = ?`,
    ...[id],
  );
  connection.all(`UPDATE "${LEDGER_TABLE}" SET "finished_at" = ? WHERE "id" = ?`, now(), id);
}

type ScriptFailure = {
  readonly answer: SqliteAnswer;
  readonly statement: FailedStatement;
  readonly cause: unknown;
};

/** Runs a script up to its end, or to the first statement that fails. Piece by piece, so as to know which that is. */
function runScript(connection: Connection, sql: string): ScriptFailure | undefined {
  for (const [index, { text, line }] of splitStatements(sql).entries()) {
    try {
      connection.exec(text);
    } catch (error) {
      const answer = sqliteAnswer(error);
      if (answer === undefined) throw error;
      return { answer, statement: { number: index + 1, line, text: text.trim() }, cause: error };
    }
  }
  return undefined;
}

/** Stores the failure's text if it can. The unfinished row is what counts, and the failure is told anyway. */
function recordFailure(connection: Connection, { id, text }: { readonly id: string; readonly text: string }): void {
  try {
    connection.all(`UPDATE "${LEDGER_TABLE}" SET "logs" = ? WHERE "id" = ?`, text, id);
  } catch (error) {
    if (sqliteAnswer(error) === undefined) throw error;
  }
}

function requireSqliteHistory(lockFile: string | undefined): void {
  if (lockFile === undefined) return;
  const provider = lockedProvider(lockFile);
  if (provider !== "sqlite") throw new PrismaError("P3019", otherProviderText(provider));
}

function makeIfAbsent(path: string): void {
  try {
    closeSync(openSync(path, "a"));
  } catch {
    // SQLite says why, in the words that Prisma has for it.
  }
}

function sqliteAnswer(error: unknown): SqliteAnswer | undefined {
  return error instanceof SqliteError ? { extendedCode: error.extendedCode, message: error.message } : undefined;
}
