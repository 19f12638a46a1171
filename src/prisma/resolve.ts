// What `prisma migrate resolve` does: says of a migration that its statements are in the database, or that they are
// not. Only the ledger changes.
// Source: Prisma 7.10, `migrate resolve`

import type { Connection } from "../sqlite/driver.ts";
import { asPrismaHasIt, CREATE_LEDGER } from "./deploy.ts";
import { PrismaError } from "./errors.ts";
import { LEDGER_TABLE, readLedger } from "./ledger.ts";
import type { Migration } from "./manifest.ts";
import { checksum } from "./migrations.ts";

export type Resolution = {
  readonly migration: string;
  readonly as: "applied" | "rolled back";
};

type Surroundings = {
  readonly migrations: readonly Migration[];
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A random UUID, version 4, lower case. */
  readonly uuid: () => string;
};

/** Writes it into the ledger, which is made where there is none. All or nothing. Throws {@link PrismaError}. */
export function resolveMigration(connection: Connection, resolution: Resolution, surroundings: Surroundings): void {
  asPrismaHasIt(() => {
    connection.exec("BEGIN IMMEDIATE");
    try {
      if (resolution.as === "applied") markApplied(connection, resolution.migration, surroundings);
      else markRolledBack(connection, resolution.migration, surroundings);
    } catch (error) {
      connection.exec("ROLLBACK");
      throw error;
    }
    connection.exec("COMMIT");
  });
}

function markApplied(connection: Connection, migration: string, { migrations, now, uuid }: Surroundings): void {
  const sql = migrations.find(({ name }) => name === migration)?.sql;
  if (sql === undefined) throw new PrismaError("P3017", notFoundText(migration), { migration });
  const { rows } = readLedger(connection);
  if (rows === undefined) connection.exec(CREATE_LEDGER);
  // Also where it was rolled back since: so says Prisma.
  if (rows?.some(({ name, finished }) => name === migration && finished)) {
    const text = `The migration \`${migration}\` is already recorded as applied in the database.`;
    throw new PrismaError("P3008", text, { migration });
  }
  const nowMs = now();
  rollBackFailed(connection, migration, nowMs);
  connection.all(
    `INSERT INTO "${LEDGER_TABLE}" ("id", "checksum", "started_at", "finished_at", "migration_name", "logs") VALUES (?, ?, ?, ?, ?, '')`,
    ...[uuid(), checksum(sql), nowMs, nowMs, migration],
  );
}

function markRolledBack(connection: Connection, migration: string, { now }: Surroundings): void {
  const tries = (readLedger(connection).rows ?? []).filter(({ name }) => name === migration);
  if (tries.length === 0) throw new PrismaError("P3011", neverAppliedText(migration), { migration });
  if (tries.every(({ finished }) => finished)) {
    const text = `Migration \`${migration}\` cannot be rolled back because it is not in a failed state.`;
    throw new PrismaError("P3012", text, { migration });
  }
  rollBackFailed(connection, migration, now());
}

function rollBackFailed(connection: Connection, migration: string, nowMs: number): void {
  connection.all(
    `UPDATE "${LEDGER_TABLE}" SET "rolled_back_at" = ? WHERE "migration_name" = ? AND "finished_at" IS NULL AND "rolled_back_at" IS NULL`,
    ...[nowMs, migration],
  );
}

function notFoundText(migration: string): string {
  return `The migration ${migration} could not be found. Please make sure that the migration exists, and that you included the whole name of the directory. (example: "20201207184859_initial_migration")`;
}

function neverAppliedText(migration: string): string {
  return `Migration \`${migration}\` cannot be rolled back because it was never applied to the database. Hint: did you pass in the whole migration name? (example: "20201207184859_initial_migration")`;
}
