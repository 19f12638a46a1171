// Applies migrations to a database as `prisma migrate deploy` does: the same statements in the same order, so that
// the ledger and whatever a failure leaves behind are what Prisma's own tools expect to find.
// Always on node:sqlite. Its SQLite takes what Prisma's takes, string literals in double quotes included;
// better-sqlite3 is compiled without these.
// Source: Prisma 7.10, `migrate deploy`; held to test/fixtures/prisma-migrate

import process from "node:process";
import type { DatabaseSync } from "node:sqlite";
import {
  databaseErrorText,
  failedScriptText,
  otherProviderText,
  PrismaError,
  SCRIPT_NOT_FOUND,
  type SqliteAnswer,
} from "./errors.ts";
import { decideRefusal, LEDGER_TABLE, pendingNames, readLedger } from "./ledger.ts";
import type { Migration } from "./manifest.ts";
import { checksum, lockedProvider } from "./migrations.ts";

export type ApplyOptions = {
  /** The database's file, made if it is missing; its directory must exist. */
  readonly path: string;
  /** In Prisma's order. A script is asked for only when its turn comes. */
  readonly migrations: readonly Migration[];
  /** Text of migration_lock.toml, where there is one. */
  readonly lockFile?: string | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A random UUID, version 4, lower case. */
  readonly uuid: () => string;
  /** True where `isLockDisabled` says so: others may have the database open meanwhile. */
  readonly lockDisabled: boolean;
  /** Called after each migration that was applied. */
  readonly onApplied: (name: string) => void;
};

/** How long a busy database is waited for, in milliseconds, as Prisma has it. */
const BUSY_TIMEOUT_MS = 5000;

/** Prisma's text to the letter: it ends up in the database's schema. */
const CREATE_LEDGER = `CREATE TABLE "_prisma_migrations" (
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
 * Applies what is pending, and gives the names of what was applied.
 *
 * Nothing is wrapped in a transaction. After a failure the statements before the failing one stay, and so does a
 * row that stops every later run (P3009) until someone resolves it. Throws {@link PrismaError}.
 */
export function applyMigrations(options: ApplyOptions): string[] {
  try {
    using database = openMigratingDatabase(options.path);
    return applyPending(database, options);
  } catch (error) {
    const answer = sqliteAnswer(error);
    if (answer === undefined) throw error;
    throw new PrismaError(undefined, databaseErrorText(answer.message), { sqlite: answer, cause: error });
  }
}

/** Opens a database with what Prisma's native engine has switched on. */
export function openMigratingDatabase(path: string): DatabaseSync {
  // Not imported: `npx flysqlite build` has this file in its bundle, and must get as far as a message on a Node
  // that has no node:sqlite.
  const { DatabaseSync } = process.getBuiltinModule("node:sqlite");
  return new DatabaseSync(path, {
    timeout: BUSY_TIMEOUT_MS,
    enableForeignKeyConstraints: true,
    enableDoubleQuotedStringLiterals: true,
  });
}

/** Whether PRISMA_SCHEMA_DISABLE_ADVISORY_LOCK is set, by Prisma's reading: to anything but nothing and "0". */
export function isLockDisabled(environment: { readonly [name: string]: string | undefined }): boolean {
  const value = environment["PRISMA_SCHEMA_DISABLE_ADVISORY_LOCK"];
  return value !== undefined && value !== "" && value !== "0";
}

function applyPending(database: DatabaseSync, options: ApplyOptions): string[] {
  requireSqliteHistory(options.lockFile);
  if (!options.lockDisabled) database.exec("PRAGMA main.locking_mode=EXCLUSIVE");

  const ledger = readLedger({ all: (sql) => database.prepare(sql).all() });
  const refusal = decideRefusal(ledger);
  if (refusal !== undefined) throw new PrismaError(refusal.code, refusal.message);
  if (ledger.rows === undefined) database.exec(CREATE_LEDGER);

  const pending = new Set(pendingNames(options.migrations, ledger.rows ?? []));
  const applied: string[] = [];
  for (const migration of options.migrations.filter(({ name }) => pending.has(name))) {
    applyOne(database, migration, options);
    applied.push(migration.name);
    options.onApplied(migration.name);
  }
  return applied;
}

function applyOne(database: DatabaseSync, { name, sql }: Migration, { now, uuid }: ApplyOptions): void {
  if (sql === undefined) throw new PrismaError("P3015", SCRIPT_NOT_FOUND, { migration: name });
  const id = uuid();
  database
    .prepare(`INSERT INTO "${LEDGER_TABLE}" ("id", "checksum", "started_at", "migration_name") VALUES (?, ?, ?, ?)`)
    .run(id, checksum(sql), now(), name);
  try {
    database.exec(sql);
  } catch (error) {
    const answer = sqliteAnswer(error);
    if (answer === undefined) throw error;
    const text = failedScriptText(name, answer);
    recordFailure(database, { id, text });
    throw new PrismaError("P3018", text, { migration: name, sqlite: answer, cause: error });
  }
  // Two statements, as Prisma has it: a crash between them leaves one step and no end.
  database
    .prepare(`UPDATE "${LEDGER_TABLE}" SET "applied_steps_count" = "applied_steps_count" + 1 WHERE "id" = ?`)
    .run(id);
  database.prepare(`UPDATE "${LEDGER_TABLE}" SET "finished_at" = ? WHERE "id" = ?`).run(now(), id);
}

/** Stores the failure's text if it can. The unfinished row is what counts, and the failure is told anyway. */
function recordFailure(database: DatabaseSync, { id, text }: { readonly id: string; readonly text: string }): void {
  try {
    database.prepare(`UPDATE "${LEDGER_TABLE}" SET "logs" = ? WHERE "id" = ?`).run(text, id);
  } catch (error) {
    if (sqliteAnswer(error) === undefined) throw error;
  }
}

function requireSqliteHistory(lockFile: string | undefined): void {
  if (lockFile === undefined) return;
  const provider = lockedProvider(lockFile);
  if (provider !== "sqlite") throw new PrismaError("P3019", otherProviderText(provider));
}

/** What SQLite answered, where it is an error of node:sqlite; undefined for anything else. */
export function sqliteAnswer(error: unknown): SqliteAnswer | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return undefined;
  return { extendedCode: error.errcode, message: error.message };
}
