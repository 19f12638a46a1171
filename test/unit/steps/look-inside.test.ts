import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { createNodeSqliteDriver } from "../../../src/sqlite/node-sqlite.ts";
import { lookInside } from "../../../src/steps/look-inside.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const driver = createNodeSqliteDriver();
const context = { sqlite: async () => driver };

const LEDGER = `CREATE TABLE _prisma_migrations (migration_name, checksum, started_at, finished_at, rolled_back_at);
INSERT INTO _prisma_migrations VALUES
  ('1_init', 'a', 1000, 2000, NULL), ('2_more', 'b', 3000, 4000, NULL),
  ('3_undone', 'c', 5000, NULL, 6000), ('4_failed', 'd', 7000, NULL, NULL);`;

/** A database after these statements. */
function database(...statements: readonly string[]): string {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const path = join(directory.path, "app.db");
  writeFileSync(path, "");
  using connection = driver.open(path, { busyTimeoutMs: 0 });
  for (const statement of statements) connection.exec(statement);
  return path;
}

describe("a look inside a database", () => {
  it("tells the journal mode and the last migration that holds, and leaves no side files", async () => {
    const path = database("PRAGMA journal_mode = WAL", LEDGER);
    expect(await lookInside(path, context)).toEqual({
      journalMode: "wal",
      lastMigration: { name: "2_more", startedAt: "1970-01-01 00:00:03 UTC" },
    });
    expect(readdirSync(join(path, ".."))).toEqual(["app.db"]);
  });

  it("tells no migration where Prisma never was", async () => {
    expect(await lookInside(database("CREATE TABLE a (b)"), context)).toEqual({ journalMode: "rollback" });
  });

  it("tells what the header says of a damaged one, and nothing of what is none", async () => {
    const path = database("CREATE TABLE a (b)");
    const { readFileSync } = await import("node:fs");
    writeFileSync(path, readFileSync(path).fill(0xff, 100));
    expect(await lookInside(path, context)).toEqual({ journalMode: "rollback" });
    writeFileSync(path, "no database at all, but long enough to be one".repeat(4));
    expect(await lookInside(path, context)).toBeUndefined();
  });
});
