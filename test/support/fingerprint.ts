// All that a database holds, as one value. Looked at in a copy: opening the database itself would change its files.

import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { temporaryDirectory } from "./temporary.ts";

export type Fingerprint = { readonly integrity: unknown; readonly schema: unknown; readonly rows: unknown };

export function fingerprint(path: string): Fingerprint {
  using directory = temporaryDirectory();
  const copy = join(directory.path, "copy.db");
  for (const suffix of ["", "-wal", "-journal"]) {
    if (existsSync(`${path}${suffix}`)) copyFileSync(`${path}${suffix}`, `${copy}${suffix}`);
  }
  using database = new DatabaseSync(copy);
  const all = (sql: string) =>
    database
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  const schema = all("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid");
  const tables = schema.filter(({ type }) => type === "table").map(({ name }) => String(name));
  const rows = Object.fromEntries(tables.map((name) => [name, all(`SELECT * FROM "${name}"`)]));
  return { integrity: all("PRAGMA integrity_check"), schema, rows };
}
