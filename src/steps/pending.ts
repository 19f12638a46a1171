// Which migrations a database lacks, seen through a read-only connection: the fast path of every start.

import { statSync } from "node:fs";
import { dirname } from "node:path";
import { FlysqliteError } from "../base/errors.ts";
import { decideMigrations, type MigrationDecision, readLedger } from "../prisma/ledger.ts";
import { SqliteError } from "../sqlite/driver.ts";
import type { AppBundle } from "./app-bundle.ts";
import type { StepContext } from "./context.ts";

export async function findPending(
  path: string,
  { manifest, migrations }: AppBundle,
  { sqlite }: Pick<StepContext, "sqlite">,
): Promise<MigrationDecision> {
  const driver = await sqlite(dirname(path));
  try {
    const immutable = ["-wal", "-journal"].every((suffix) => !hasContent(`${path}${suffix}`));
    using connection = driver.open(path, { readOnly: true, immutable, busyTimeoutMs: 5000 });
    const ledger = readLedger(connection);
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

function hasContent(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0;
}
