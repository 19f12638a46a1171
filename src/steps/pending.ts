// Which migrations a database lacks, and whether it is sound and this app's, seen through a read-only connection: the
// fast path of every start.

import { statSync } from "node:fs";
import { dirname } from "node:path";
import { FlysqliteError } from "../base/errors.ts";
import { decideMigrations, type Ledger, type MigrationDecision, readLedger } from "../prisma/ledger.ts";
import { type Connection, type Driver, SqliteError } from "../sqlite/driver.ts";
import { findDamage } from "../sqlite/integrity.ts";
import type { AppBundle } from "./app-bundle.ts";
import type { StepContext } from "./context.ts";
import { hasContent } from "./has-content.ts";

/**
 * Up to this size, in bytes, a database is checked at each start: 16 MB take about 20 ms. Of a larger one a start
 * looks at header, size and schema.
 */
const CHECKED_BYTES = 16 * 1024 * 1024;

export async function findPending(
  path: string,
  { manifest, migrations }: AppBundle,
  { sqlite }: Pick<StepContext, "sqlite">,
): Promise<MigrationDecision> {
  const driver = await sqlite(dirname(path));
  try {
    using connection = openToLook(path, driver);
    if (statSync(path).size <= CHECKED_BYTES) requireSound(path, connection);
    const ledger = readLedger(connection);
    requireRelated(path, manifest, ledger);
    const decision = decideMigrations(manifest.migrations, ledger);
    if (decision.kind !== "up-to-date" || decision.changed.length === 0) return decision;
    // The scripts tell whether more than their line ends changed. Only now are they worth reading.
    const scripts = new Map((await migrations()).migrations.map(({ name, sql }) => [name, sql]));
    return decideMigrations(manifest.migrations, ledger, (name) => scripts.get(name));
  } catch (error) {
    if (!(error instanceof SqliteError)) throw error;
    throw new FlysqliteError("E_DB_INVALID", `Cannot read "${path}": ${error.message}`, { cause: error });
  }
}

/** Opens a database for reading; one that nobody can have open, without the side files that WAL mode calls for. */
export function openToLook(path: string, driver: Driver): Connection {
  const immutable = ["-wal", "-journal"].every((suffix) => !hasContent(`${path}${suffix}`));
  return driver.open(path, { readOnly: true, immutable, busyTimeoutMs: 5000 });
}

function requireSound(path: string, connection: Connection): void {
  const damage = findDamage(connection, "quick_check");
  if (damage.length === 0) return;
  throw new FlysqliteError("E_DB_INVALID", `Cannot use "${path}": SQLite's quick_check finds it damaged`, {
    problems: damage,
  });
}

/** Throws E_VOLUME for another app's database: one that was migrated, and never by a migration of this app. */
function requireRelated(path: string, { migrations }: AppBundle["manifest"], { rows = [] }: Ledger): void {
  const ours = new Set(migrations.map(({ name }) => name));
  const applied = rows.filter(({ rolledBack }) => !rolledBack).map(({ name }) => name);
  if (ours.size === 0 || applied.length === 0 || applied.some((name) => ours.has(name))) return;
  const [first] = applied;
  throw new FlysqliteError("E_VOLUME", `Cannot use "${path}": it is another app's database`, {
    problems: [
      `its ${applied.length} migrations, such as "${first}", are none of this app's ${ours.size}`,
      "if they were squashed into one: `prisma migrate resolve --applied` that one on this database first",
    ],
    hint: "Mount this app's own volume, or name its own replica; nothing was changed",
  });
}
