import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { applyWithEngine } from "../../../build/prisma-engine.ts";
import { applyMigrations, isLockDisabled, openMigratingDatabase } from "../../../src/prisma/deploy.ts";
import { caseNames, type Deploy, type Outcome, readCase, readExpected, runCase } from "./corpus.ts";

const deploy: Deploy = (task) =>
  applyMigrations({ ...task, now: Date.now, uuid: randomUUID, lockDisabled: false, onApplied: () => {} });

const cases = caseNames.map((name) => ({ name, what: readCase(name).what }));

/** These wait for 5 s to be told that the database is locked. Once is enough. */
const LOCKED = ["81-locked-by-writer", "83-wal-open-elsewhere", "84-wal-open-elsewhere-up-to-date"];

describe("applyMigrations does what `prisma migrate deploy` does", () => {
  it("is held to all of the corpus", () => {
    expect(cases).toHaveLength(58);
  });

  it.each(cases)("$name: $what", async ({ name }) => {
    const { exitCode, errorCode, message, applied, waited, database } = readExpected(name);
    const outcome = await runCase(name, deploy);
    expect(outcome.message === null ? 0 : 1).toBe(exitCode);
    expect(asJson(outcome)).toEqual({ errorCode, message, applied, waited, database: withLogMatchers(database) });
  });
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
  const options = { now: () => 1_700_000_000_123, uuid: randomUUID, lockDisabled: false, onApplied: () => {} };

  it("tells of each migration once it is applied", () => {
    const told: string[] = [];
    const path = join(directory, "app.db");
    const task = { ...options, path, migrations, onApplied: (name: string) => void told.push(name) };
    expect(() => applyMigrations(task)).toThrow();
    expect(told).toEqual(["1_init"]);
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

  it("says when the failed migration started, the next time", () => {
    const path = join(directory, "app.db");
    expect(() => applyMigrations({ ...options, path, migrations })).toThrow();
    expect(() => applyMigrations({ ...options, path, migrations })).toThrow(
      /The `2_bad` migration started at 2023-11-14 22:13:20\.123 UTC failed$/,
    );
  });

  it("leaves the database to others meanwhile only where Prisma's lock is disabled", () => {
    const path = join(directory, "app.db");
    const isLockedBy = (lockDisabled: boolean): boolean => {
      let locked = false;
      const onApplied = () => {
        using other = openMigratingDatabase(path);
        other.exec("PRAGMA busy_timeout=0");
        try {
          other.exec("SELECT * FROM sqlite_schema");
        } catch {
          locked = true;
        }
      };
      applyMigrations({ ...options, path, migrations: migrations.slice(0, 1), lockDisabled, onApplied });
      rmSync(path);
      return locked;
    };
    expect(isLockedBy(true)).toBe(false);
    expect(isLockedBy(false)).toBe(true);
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

function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function withLogMatchers(database: Outcome["database"]): unknown {
  const { migrations, ...others } = database;
  if (migrations === undefined) return others;
  return { ...others, migrations: migrations.map((row) => ({ ...row, logs: logMatcher(row.logs) })) };
}

/** The engine puts a trace of itself behind the text, which nobody reads. */
function logMatcher(logs: unknown): unknown {
  if (typeof logs !== "object" || logs === null || !("startsWith" in logs)) return logs;
  return expect.stringContaining(String(logs.startsWith));
}

/** The engine as WebAssembly has other texts in the ledger than the native one; flysqlite has the native one's. */
function withoutLogs(outcome: Outcome): unknown {
  const { migrations = [], ...database } = outcome.database;
  return { ...outcome, database, migrations: migrations.map((row) => ({ ...row, logs: row.logs === null })) };
}
