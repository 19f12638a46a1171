// Makes a new database from the template that the build made: all migrations are applied in it already. Its ledger gets
// ids and times of its own, as if they had been applied here.

import { dirname, join } from "node:path";
import { syncDirectory } from "../base/durable-file.ts";
import { FlysqliteError } from "../base/errors.ts";
import { open, removeFile, rename } from "../base/files.ts";
import { LEDGER_TABLE } from "../prisma/ledger.ts";
import type { BundledMigration } from "../prisma/manifest.ts";
import type { Connection, Driver } from "../sqlite/driver.ts";
import { decodeDatabaseHeader } from "../sqlite/header.ts";
import { SIDE_FILE_SUFFIXES, stateDirectory } from "./places.ts";

export type TemplateUse = {
  readonly driver: Driver;
  /** In the order in which they were applied. */
  readonly migrations: readonly BundledMigration[];
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A random UUID, version 4, lower case. */
  readonly uuid: () => string;
};

/** Makes the database at `path`, whole and durable, or not at all. Throws E_BUNDLE for a template of other migrations. */
export async function makeFromTemplate(path: string, template: Uint8Array, use: TemplateUse): Promise<void> {
  const temporary = join(stateDirectory(path), "new.db");
  for (const suffix of ["", ...SIDE_FILE_SUFFIXES]) await removeFile(`${temporary}${suffix}`);
  {
    await using file = await open(temporary, "wx", 0o640);
    await file.write(template);
  }
  {
    using connection = use.driver.open(temporary, { busyTimeoutMs: 0 });
    connection.exec("PRAGMA synchronous = OFF"); // the file has no name yet that anybody knows
    const header = decodeDatabaseHeader(template);
    if (typeof header !== "string" && !header.walMode) connection.exec("PRAGMA journal_mode = MEMORY");
    connection.exec("BEGIN");
    renewLedger(connection, use);
    connection.exec("COMMIT");
  }
  {
    await using file = await open(temporary, "r+");
    await file.sync();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

function renewLedger(connection: Connection, { migrations, now, uuid }: TemplateUse): void {
  let lastMs = 0;
  for (const { name, checksum } of migrations) {
    // Prisma orders by this time, which is in milliseconds: no two are the same.
    lastMs = Math.max(lastMs + 1, now());
    connection.all(
      `UPDATE "${LEDGER_TABLE}" SET "id" = ?, "started_at" = ?, "finished_at" = ? WHERE "migration_name" = ? AND "checksum" = ?`,
      ...[uuid(), lastMs, lastMs, name, checksum],
    );
  }
  const stale = connection.all(`SELECT count(*) AS n FROM "${LEDGER_TABLE}" WHERE "started_at" = 0`)[0]?.["n"];
  const rows = connection.all(`SELECT count(*) AS n FROM "${LEDGER_TABLE}"`)[0]?.["n"];
  if (stale === 0 && rows === migrations.length) return;
  throw new FlysqliteError("E_BUNDLE", "Cannot use the template database in this executable: it has other migrations");
}
