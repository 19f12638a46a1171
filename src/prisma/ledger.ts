// Prisma's ledger of migrations, the table `_prisma_migrations`, and what it means for a list of migrations.
// Reading takes any connection; deciding is pure, and is the same for `run`, for `run --dry` and for applying.
// Source: Prisma 7.10, `migrate deploy`

import type { Connection, Row } from "../sqlite/driver.ts";
import { failedMigrationsText, SCHEMA_NOT_EMPTY } from "./errors.ts";
import type { BundledMigration } from "./manifest.ts";
import { checksum } from "./migrations.ts";

export const LEDGER_TABLE = "_prisma_migrations";

/** One try at one migration. A migration has several rows where earlier tries were rolled back. */
export type LedgerRow = {
  readonly name: string;
  readonly checksum: string;
  /** As Prisma prints it: "2024-03-01 13:33:22.071 UTC". */
  readonly startedAt: string;
  readonly finished: boolean;
  readonly rolledBack: boolean;
};

export type Ledger = {
  /** In the order in which they were started; undefined where the database has no ledger. */
  readonly rows: readonly LedgerRow[] | undefined;
  /** Tables beside the ledger. SQLite's and Litestream's own count, views do not. */
  readonly otherTableCount: number;
};

export type Refusal = { readonly kind: "refused"; readonly code: "P3005" | "P3009"; readonly message: string };

export type MigrationDecision =
  /** `changed`: applied migrations whose script has changed since. Prisma goes on, so this is only worth a warning. */
  | { readonly kind: "up-to-date"; readonly changed: readonly string[] }
  /** `names` is empty where only the ledger itself is missing. */
  | { readonly kind: "pending"; readonly names: readonly string[]; readonly newDatabase: boolean }
  | Refusal;

/** Reads the ledger. Changes nothing, so that a read-only connection will do. */
export function readLedger(connection: Pick<Connection, "all">): Ledger {
  const tables = connection.all("SELECT name FROM sqlite_master WHERE type = 'table'").map((row) => row["name"]);
  if (!tables.includes(LEDGER_TABLE)) return { rows: undefined, otherTableCount: tables.length };
  const rows = connection.all(
    `SELECT migration_name, checksum, started_at, finished_at, rolled_back_at FROM "${LEDGER_TABLE}" ORDER BY started_at`,
  );
  return { rows: rows.map(parseRow), otherTableCount: tables.length - 1 };
}

/**
 * What is to be done about these migrations.
 *
 * `scriptOf` is asked only for a migration whose checksum differs from the ledger's. With it, a script that
 * differs in its line ends alone has not changed; Prisma has it the same way.
 */
export function decideMigrations(
  migrations: readonly BundledMigration[],
  ledger: Ledger,
  scriptOf: (name: string) => string | undefined = () => undefined,
): MigrationDecision {
  const refusal = decideRefusal(ledger);
  if (refusal !== undefined) return refusal;
  const rows = ledger.rows ?? [];
  const names = pendingNames(migrations, rows);
  if (ledger.rows === undefined || names.length > 0) {
    return { kind: "pending", names, newDatabase: rows.length === 0 && ledger.otherTableCount === 0 };
  }
  return { kind: "up-to-date", changed: changedNames(migrations, rows, scriptOf) };
}

/** Why Prisma would not migrate this database at all; undefined where it would. */
export function decideRefusal({ rows, otherTableCount }: Ledger): Refusal | undefined {
  if (rows === undefined) {
    return otherTableCount > 0 ? { kind: "refused", code: "P3005", message: SCHEMA_NOT_EMPTY } : undefined;
  }
  // Also where the migration is no longer there, or was applied by another try.
  const failed = rows.filter((row) => !row.finished && !row.rolledBack);
  return failed.length > 0 ? { kind: "refused", code: "P3009", message: failedMigrationsText(failed) } : undefined;
}

/**
 * The migrations that have yet to be applied, in the order of the list.
 *
 * By name alone: not by checksum, and an older one that came later is applied last.
 */
export function pendingNames(migrations: readonly { readonly name: string }[], rows: readonly LedgerRow[]): string[] {
  const applied = new Set(rows.filter((row) => !row.rolledBack).map((row) => row.name));
  return migrations.map(({ name }) => name).filter((name) => !applied.has(name));
}

function changedNames(
  migrations: readonly BundledMigration[],
  rows: readonly LedgerRow[],
  scriptOf: (name: string) => string | undefined,
): string[] {
  const recorded = new Map(rows.filter((row) => !row.rolledBack).map((row) => [row.name, row.checksum]));
  return migrations
    .filter(({ name, checksum: bundled }) => {
      const stored = recorded.get(name);
      if (stored === bundled) return false;
      const script = scriptOf(name);
      return script === undefined || stored === undefined || !lineEndForms(script).map(checksum).includes(stored);
    })
    .map(({ name }) => name);
}

/** The script with LF and with CRLF at its line ends. */
function lineEndForms(script: string): readonly string[] {
  const unix = script.replaceAll("\r\n", "\n");
  return [unix, unix.replaceAll("\n", "\r\n")];
}

function parseRow(row: Row): LedgerRow {
  return {
    name: String(row["migration_name"]),
    checksum: String(row["checksum"]),
    startedAt: formatStartedAt(row["started_at"]),
    finished: row["finished_at"] !== null,
    rolledBack: row["rolled_back_at"] !== null,
  };
}

/**
 * A stored time as Prisma prints it: without a fraction where it is zero.
 *
 * It is milliseconds since 1970, or text where a driver adapter, SQLite's default or a person wrote the row.
 */
function formatStartedAt(stored: unknown): string {
  const date = new Date(
    typeof stored === "number" || typeof stored === "bigint" ? Number(stored) : parseTextTime(String(stored)),
  );
  if (Number.isNaN(date.getTime())) return String(stored);
  return `${date
    .toISOString()
    .slice(0, -1)
    .replace("T", " ")
    .replace(/\.000$/, "")} UTC`;
}

/** SQLite's `2024-03-01 13:33:22` is UTC; without a zone JavaScript would take it for local time. */
function parseTextTime(text: string): string {
  return /(?:Z|[+-]\d{2}:?\d{2})$/i.test(text) ? text : `${text.replace(" ", "T")}Z`;
}
