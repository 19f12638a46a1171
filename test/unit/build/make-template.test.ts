import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { proveMigrations } from "../../../build/prove-migrations.ts";
import { applyMigrations } from "../../../src/prisma/deploy.ts";
import type { Migration } from "../../../src/prisma/manifest.ts";
import { checksum, listMigrations } from "../../../src/prisma/migrations.ts";
import { createNodeSqliteDriver } from "../../../src/sqlite/node-sqlite.ts";
import { makeFromTemplate } from "../../../src/steps/from-template.ts";
import { stateDirectory } from "../../../src/steps/places.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { caseNames, readCase, readExpected, snapshot } from "../prisma/corpus.ts";

const driver = createNodeSqliteDriver({ doubleQuotedStrings: true });
const CASES = join(import.meta.dirname, "../../fixtures/prisma-migrate/cases");

function place(): string {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  mkdirSync(stateDirectory(join(directory.path, "app.db")));
  return join(directory.path, "app.db");
}

const bundled = (migrations: readonly Migration[]) =>
  migrations.map(({ name, sql = "" }) => ({ name, checksum: checksum(sql) }));

async function templateOf(migrations: readonly Migration[], lockFile?: string): Promise<Uint8Array> {
  const template = await proveMigrations(migrations, lockFile);
  if ("whyNone" in template) throw new Error(template.whyNone);
  return template.bytes;
}

async function born(migrations: readonly Migration[], template: Uint8Array): Promise<string> {
  const path = place();
  const use = { driver, migrations: bundled(migrations), now: Date.now, uuid: randomUUID };
  await makeFromTemplate(path, template, use);
  return path;
}

/** What Prisma applies to a database that does not exist, and leaves empty but for its schema. */
const fresh = caseNames.filter((name) => {
  const { start, setup } = readCase(name);
  const { exitCode, database } = readExpected(name);
  const rows = Object.values((database["rows"] ?? {}) as Record<string, readonly unknown[]>);
  return start === "absent" && setup === undefined && exitCode === 0 && rows.every(({ length }) => length === 0);
});

describe("a database from a template", () => {
  it("is tried in cases enough", () => expect(fresh.length).toBeGreaterThan(8));

  it.each(fresh)("is what Prisma makes: %s", async (name) => {
    const { migrations, lockFile } = listMigrations(join(CASES, name, "prisma/migrations"));
    const path = await born(migrations, await templateOf(migrations, lockFile));
    expect(JSON.parse(JSON.stringify(snapshot(path)))).toEqual(readExpected(name).database);
  });

  const migrations: readonly Migration[] = [
    { name: "1_init", sql: "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, x TEXT); PRAGMA user_version = 7;" },
    { name: "2_more", sql: "CREATE INDEX a_x ON a (x); CREATE TABLE b (y); CREATE VIEW v AS SELECT * FROM a;" },
    {
      name: "3_redefine",
      sql: "CREATE TABLE c (z); INSERT INTO c SELECT x FROM a; DROP TABLE b; ALTER TABLE c RENAME TO b;",
    },
  ];

  it("has ids and times of its own, in the order of the migrations", async () => {
    const path = await born(migrations, await templateOf(migrations));
    const before = Date.now();
    using connection = driver.open(path, { busyTimeoutMs: 0 });
    const rows = connection.all("SELECT * FROM _prisma_migrations ORDER BY started_at");
    expect(rows.map((row) => row["migration_name"])).toEqual(["1_init", "2_more", "3_redefine"]);
    expect(new Set(rows.map((row) => row["id"])).size).toBe(3);
    for (const { id, started_at: started, finished_at: finished, ...row } of rows) {
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(finished).toBe(started);
      expect(Math.abs(Number(started) - before)).toBeLessThan(60_000);
      expect(row).toMatchObject({ applied_steps_count: 1, logs: null, rolled_back_at: null });
    }
    expect(connection.all("PRAGMA user_version")).toEqual([{ user_version: 7 }]);
    expect(connection.all("PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
  });

  it("takes the place of what a start that was cut off left, and leaves nothing beside", async () => {
    const template = await templateOf(migrations);
    const path = place();
    writeFileSync(join(stateDirectory(path), "new.db"), "half");
    writeFileSync(join(stateDirectory(path), "new.db-journal"), "half");
    const use = { driver, migrations: bundled(migrations), now: Date.now, uuid: randomUUID };
    await makeFromTemplate(path, template, use);
    expect(readdirSync(stateDirectory(path))).toEqual([]);
    expect(existsSync(`${path}-journal`)).toBe(false);
  });

  it.each([
    ["one more", [...migrations, { name: "4_more", sql: "" }]],
    ["one less", migrations.slice(0, 2)],
    ["another script", [{ name: "1_init", sql: "SELECT 1" }, ...migrations.slice(1)]],
  ])("is not made of a template of other migrations: %s", async (_, others) => {
    const template = await templateOf(migrations);
    const path = place();
    const use = { driver, migrations: bundled(others), now: Date.now, uuid: randomUUID };
    await expect(makeFromTemplate(path, template, use)).rejects.toMatchObject({ code: "E_BUNDLE" });
    expect(existsSync(path)).toBe(false);
  });
});

describe("a template", () => {
  it("is the same each time it is made", async () => {
    const { migrations, lockFile } = listMigrations(join(import.meta.dirname, "../../app/prisma/migrations"));
    const [one, other] = [await templateOf(migrations, lockFile), await templateOf(migrations, lockFile)];
    expect(Buffer.from(one).equals(other)).toBe(true);
  });

  it.each([
    ["rows of their own", "INSERT INTO a VALUES (lower(hex(randomblob(16))))", /put rows into "a"/],
    ["rows in what SQLite keeps for them", "CREATE VIRTUAL TABLE f USING fts5(x)", /put rows into "f_/],
  ])("is not made of migrations that leave %s", async (_, sql, why) => {
    const script = `CREATE TABLE a (x); ${sql};`;
    expect(await proveMigrations([{ name: "1_init", sql: script }])).toEqual({ whyNone: expect.stringMatching(why) });
  });

  it("is smaller than a database that was migrated step by step", async () => {
    const sql = "CREATE TABLE big (x); INSERT INTO big VALUES (zeroblob(500000)); DROP TABLE big;";
    const migrations = [{ name: "1_init", sql }];
    const path = place();
    applyMigrations({ path, driver, migrations, now: Date.now, uuid: randomUUID, exclusive: true });
    expect((await templateOf(migrations)).byteLength).toBeLessThan(50_000);
  });
});
