import { mkdtempSync, readdirSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { proveMigrations } from "../../../build/prove-migrations.ts";
import { listMigrations } from "../../../src/prisma/migrations.ts";

const APP_MIGRATIONS = join(import.meta.dirname, "../../app/prisma/migrations");
const init = { name: "1_init", sql: 'CREATE TABLE "A" ("id" INTEGER PRIMARY KEY);' };

describe("proveMigrations", () => {
  afterEach(() => vi.unstubAllEnvs());

  it("accepts what Prisma writes, and leaves nothing behind", async () => {
    const directory = mkdtempSync(join(tmpdir(), "flysqlite-test-"));
    vi.stubEnv("TMPDIR", directory);
    const { migrations, lockFile } = listMigrations(APP_MIGRATIONS);
    await proveMigrations(migrations, lockFile);
    expect(readdirSync(directory)).toEqual([]);
    rmdirSync(directory);
  });

  it("fails with Prisma's code, the migration's name and SQLite's words", async () => {
    const bad = { name: "2_bad", sql: 'CREATE TABLE "B" ("id" INTEGER);\nDROP TABLE "Nope";' };
    await expect(proveMigrations([init, bad], undefined)).rejects.toMatchObject({
      code: "E_BUILD",
      message: expect.stringMatching(
        /^The migration "2_bad" does not apply to an empty database: P3018 A migration failed/,
      ),
      problems: expect.arrayContaining(["Migration name: 2_bad", "no such table: Nope"]),
    });
  });

  it("fails for a lock file of another database", async () => {
    await expect(proveMigrations([init], 'provider = "mysql"')).rejects.toMatchObject({
      code: "E_BUILD",
      message: expect.stringContaining("P3019"),
    });
  });

  it("fails for a script that leaves a transaction open", async () => {
    const open = { name: "2_open", sql: 'BEGIN;\nCREATE TABLE "B" ("id" INTEGER);' };
    await expect(proveMigrations([init, open], undefined)).rejects.toMatchObject({
      code: "E_BUILD",
      message: 'The migration "2_open" leaves a transaction open',
    });
  });

  it("takes a string in double quotes, as Prisma's native engine does", async () => {
    await proveMigrations([init, { name: "2_quotes", sql: 'CREATE TABLE "B" AS SELECT "text" AS "t";' }], undefined);
  });
});
