import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { applyWithEngine } from "../../../build/prisma-engine.ts";
import { applyMigrations, isLockDisabled } from "../../../src/prisma/deploy.ts";
import { createNodeSqliteDriver } from "../../../src/sqlite/node-sqlite.ts";
import { caseNames, type Deploy, expectAsPrisma, type Outcome, readCase, runCase } from "./corpus.ts";

const driver = createNodeSqliteDriver({ doubleQuotedStrings: true });

const deploy: Deploy = (task) => applyMigrations({ ...task, driver, now: Date.now, uuid: randomUUID, exclusive: true });

const cases = caseNames.map((name) => ({ name, what: readCase(name).what }));

/** These wait for 5 s to be told that the database is locked. Once is enough. */
const LOCKED = ["81-locked-by-writer", "83-wal-open-elsewhere", "84-wal-open-elsewhere-up-to-date"];

describe("applyMigrations does what `prisma migrate deploy` does", () => {
  it("is held to all of the corpus", () => {
    expect(cases).toHaveLength(58);
  });

  it.each(cases)("$name: $what", ({ name }) => expectAsPrisma(name, deploy));
});

describe("applyMigrations does what Prisma's own engine does", () => {
  it.each(cases.filter(({ name }) => !LOCKED.includes(name)))("$name: $what", async ({ name }) => {
    const ours = withoutLogs(await runCase(name, deploy));
    expect(ours).toEqual(withoutLogs(await runCase(name, applyWithEngine)));
  });
});

describe("applyMigrations", () => {
  let directory = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "flysqlite-deploy-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const migrations = [
    { name: "1_init", sql: 'CREATE TABLE "A" ("id" INTEGER PRIMARY KEY)' },
    { name: "2_bad", sql: 'INSERT INTO "A" VALUES (7), (7)' },
  ];
  const options = { driver, now: () => 1_700_000_000_123, uuid: randomUUID, exclusive: true };

  it("tells of each migration when it begins, and once it is applied", () => {
    const told: string[] = [];
    const path = join(directory, "app.db");
    const onBegin = (name: string) => void told.push(`begin ${name}`);
    const onApplied = (name: string) => void told.push(`applied ${name}`);
    expect(() => applyMigrations({ ...options, path, migrations, onBegin, onApplied })).toThrow();
    expect(told).toEqual(["begin 1_init", "applied 1_init", "begin 2_bad"]);
  });

  it("says which migration failed, and what SQLite said", () => {
    const path = join(directory, "app.db");
    expect(() => applyMigrations({ ...options, path, migrations })).toThrow(
      expect.objectContaining({
        code: "P3018",
        migration: "2_bad",
        sqlite: { extendedCode: 1555, message: "UNIQUE constraint failed: A.id" },
      }),
    );
  });

  it("says which statement of its script failed", () => {
    const path = join(directory, "app.db");
    const sql = "-- RedefineTables\nPRAGMA foreign_keys=OFF;\n\n-- the table\nDROP TABLE B;\nDROP TABLE C;\n";
    expect(() => applyMigrations({ ...options, path, migrations: [{ name: "1_drop", sql }] })).toThrow(
      expect.objectContaining({ statement: { number: 2, line: 5, text: "-- the table\nDROP TABLE B;" } }),
    );
  });

  it("says when the failed migration started, the next time", () => {
    const path = join(directory, "app.db");
    expect(() => applyMigrations({ ...options, path, migrations })).toThrow();
    expect(() => applyMigrations({ ...options, path, migrations })).toThrow(
      /The `2_bad` migration started at 2023-11-14 22:13:20\.123 UTC failed$/,
    );
  });

  it("leaves the database to others meanwhile only where Prisma's lock is disabled", () => {
    const path = join(directory, "app.db");
    const isLockedBy = (exclusive: boolean): boolean => {
      let locked = false;
      const onApplied = () => {
        using other = driver.open(path, { busyTimeoutMs: 0 });
        try {
          other.exec("SELECT * FROM sqlite_schema");
        } catch {
          locked = true;
        }
      };
      applyMigrations({ ...options, path, migrations: migrations.slice(0, 1), exclusive, onApplied });
      rmSync(path);
      return locked;
    };
    expect(isLockedBy(false)).toBe(false);
    expect(isLockedBy(true)).toBe(true);
  });

  it("names SQLite's reason where the file can't be opened", () => {
    const path = join(directory, "missing/app.db");
    expect(() => applyMigrations({ ...options, path, migrations })).toThrow(
      expect.objectContaining({ code: undefined, message: "SQLite database error\nunable to open database file" }),
    );
  });
});

describe("isLockDisabled", () => {
  it.each([
    [undefined, false],
    ["", false],
    ["0", false],
    ["1", true],
    ["true", true],
    ["false", true],
  ])("reads PRISMA_SCHEMA_DISABLE_ADVISORY_LOCK=%s as Prisma does: %s", (value, disabled) => {
    expect(isLockDisabled({ PRISMA_SCHEMA_DISABLE_ADVISORY_LOCK: value })).toBe(disabled);
  });
});

/** The engine as WebAssembly has other texts in the ledger than the native one; flysqlite has the native one's. */
function withoutLogs(outcome: Outcome): unknown {
  const { migrations = [], ...database } = outcome.database;
  return { ...outcome, database, migrations: migrations.map((row) => ({ ...row, logs: row.logs === null })) };
}
