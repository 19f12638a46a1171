// The template database: all migrations applied, compacted, without anything that differs from one build to the next.
// A first start begins with it, and makes its ledger's ids and times its own (src/steps/from-template.ts).

import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { LEDGER_TABLE } from "../src/prisma/ledger.ts";
import type { Connection, Driver, Row } from "../src/sqlite/driver.ts";

export type Template = { readonly bytes: Uint8Array } | { readonly whyNone: string };

/** A database this large carries data; it may as well be made where it is needed. In bytes. */
const MAX_TEMPLATE_BYTES = 16 * 1024 * 1024;

/** Makes the database at `path` one, which nobody has open. What can't be one is told why, and may be changed. */
export function makeTemplate(path: string, driver: Driver): Template {
  {
    using connection = driver.open(path, { busyTimeoutMs: 0 });
    const before = look(connection);
    const filled = before.tables.find((table) => hasRows(connection, table));
    // Rows may come from random() or the clock, and then are others at each start, as they are with Prisma.
    if (filled !== undefined) return { whyNone: `the migrations put rows into "${filled}"` };
    const names = connection.all(`SELECT migration_name FROM "${LEDGER_TABLE}" ORDER BY rowid`);
    names.forEach(({ migration_name: name }, index) => {
      const set = '"id" = ?, "started_at" = 0, "finished_at" = 0';
      connection.all(`UPDATE "${LEDGER_TABLE}" SET ${set} WHERE "migration_name" = ?`, String(index), String(name));
    });
    connection.exec("VACUUM");
    if (!isDeepStrictEqual(look(connection), before)) return { whyNone: "its schema changes when it is compacted" };
  }
  const bytes = readFileSync(path);
  if (bytes.byteLength > MAX_TEMPLATE_BYTES) return { whyNone: `it has ${bytes.byteLength} bytes` };
  return { bytes };
}

/** Settings that stand in the file's header. */
const PRAGMAS = ["page_size", "encoding", "auto_vacuum", "user_version", "application_id", "journal_mode"];

type Look = { readonly schema: readonly Row[]; readonly pragmas: readonly Row[]; readonly tables: readonly string[] };

function look(connection: Connection): Look {
  const schema = connection.all("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name");
  const pragmas = PRAGMAS.flatMap((name) => connection.all(`PRAGMA ${name}`));
  const tables = schema
    .filter(({ type }) => type === "table")
    .map(({ name }) => String(name))
    // What SQLite counts by itself, such as in sqlite_sequence, follows from the statements.
    .filter((name) => name !== LEDGER_TABLE && !name.startsWith("sqlite_"));
  return { schema, pragmas, tables };
}

function hasRows(connection: Connection, table: string): boolean {
  return connection.all(`SELECT 1 FROM "${table.replaceAll('"', '""')}" LIMIT 1`).length > 0;
}
