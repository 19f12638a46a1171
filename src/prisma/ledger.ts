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
  /** Names of the tables beside the ledger. SQLite's and Litestream's own count, views do not. */
  readonly otherTables: readonly string[];
};

export type Refusal = {
  readonly kind: "refused";
  readonly code: "P3005" | "P3009";
  /** Prisma's, to the letter. */
  readonly message: string;
  /** What to do, which is ours to say. */
  readonly wayOut: string;
};

export type MigrationDecision =
  | {
      readonly kind: "up-to-date";
      /** Applied migrations whose script has changed since. Prisma goes on, so this is only worth a warning. */
      readonly changed: readonly string[];
      /** Applied migrations that are none of these: a newer release made them. Prisma goes on here too. */
      readonly unknown: readonly string[];
    }
  /** `names` is empty where only the ledger itself is missing. */
  | { readonly kind: "pending"; readonly names: readonly string[]; readonly newDatabase: boolean }
  | Refusal;

/** Reads the ledger. Changes nothing, so that a read-only connection will do. */
export function readLedger(connection: Pick<Connection, "all">): Ledger {
  const tables = connection
    .all("SELECT name FROM sqlite_master WHERE type = 'table'")
    .map((row) => String(row["name"]));
  const otherTables = tables.filter((name) => name !== LEDGER_TABLE);
  if (otherTables.length === tables.length) return { rows: undefined, otherTables };
  const rows = connection.all(
    `SELECT migration_name, checksum, started_at, finished_at, rolled_back_at FROM "${LEDGER_TABLE}" ORDER BY started_at`,
  );
  return { rows: rows.map(parseRow), otherTables };
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
    return { kind: "pending", names, newDatabase: rows.length === 0 && ledger.otherTables.length === 0 };
  }
  const changed = changedNames(migrations, rows, scriptOf);
  return { kind: "up-to-date", changed, unknown: unknownNames(migrations, rows) };
}

/** Why Prisma would not migrate this database at all; undefined where it would. */
export function decideRefusal({ rows, otherTables }: Ledger): Refusal | undefined {
  if (rows === undefined) {
    if (otherTables.length === 0) return undefined;
    return { kind: "refused", code: "P3005", message: SCHEMA_NOT_EMPTY, wayOut: wayOutOfStrangeTables(otherTables) };
  }
  // Also where the migration is no longer there, or was applied by another try.
  const failed = rows.filter((row) => !row.finished && !row.rolledBack);
  const [first] = failed;
  if (first === undefined) return undefined;
  const wayOut = `Look at what is there of it: if nothing, \`flysqlite migrate resolve --rolled-back ${first.name}\` lets it be applied again; if all of it, use --applied`;
  return { kind: "refused", code: "P3009", message: failedMigrationsText(failed), wayOut };
}

/** Tables that Litestream keeps in the databases that it replicates. flysqlite has no use for them. */
export const LITESTREAM_TABLES: readonly string[] = ["_litestream_seq", "_litestream_lock"];

function wayOutOfStrangeTables(tables: readonly string[]): string {
  if (tables.every((name) => LITESTREAM_TABLES.includes(name))) {
    return `It holds only Litestream's own ${tables.join(" and ")}, which flysqlite does not need: \`flysqlite migrate --drop-litestream-tables\` drops them and migrates`;
  }
  return "If its tables are those of some of the migrations, say so of each: `flysqlite migrate resolve --applied NAME`. If it is another app's database, name the right one";
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

function unknownNames(migrations: readonly BundledMigration[], rows: readonly LedgerRow[]): string[] {
  const known = new Set(migrations.map(({ name }) => name));
  return [...new Set(rows.filter((row) => !row.rolledBack).map(({ name }) => name))].filter((name) => !known.has(name));
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
