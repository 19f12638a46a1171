import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { findDamage } from "../../../src/sqlite/integrity.ts";
import { createNodeSqliteDriver } from "../../../src/sqlite/node-sqlite.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const driver = createNodeSqliteDriver();

/** A database of some pages, made by these statements. */
function databaseOf(sql: string): string {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const path = join(directory.path, "app.db");
  using database = new DatabaseSync(path);
  database.enableDefensive(false);
  database.exec(`PRAGMA page_size = 512; ${sql}`);
  return path;
}

function damageOf(path: string, pragma: "integrity_check" | "quick_check" = "quick_check") {
  using connection = driver.open(path, { busyTimeoutMs: 0 });
  return findDamage(connection, pragma);
}

const ROWS = `CREATE TABLE a (x INTEGER PRIMARY KEY, y TEXT); CREATE INDEX b ON a (y);
  WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200) INSERT INTO a SELECT n, hex(n) FROM c;`;

/** Fills a page, counted from 1, with bytes that are none. */
function damage(path: string, page: number): void {
  const bytes = readFileSync(path);
  bytes.fill(0xff, (page - 1) * 512, page * 512);
  writeFileSync(path, bytes);
}

describe("SQLite's check", () => {
  it.each(["integrity_check", "quick_check"] as const)("finds nothing in a sound database: %s", (pragma) => {
    expect(damageOf(databaseOf(ROWS), pragma)).toEqual([]);
  });

  it.each(["integrity_check", "quick_check"] as const)("finds a damaged page: %s", (pragma) => {
    const path = databaseOf(ROWS);
    damage(path, 5);
    expect(damageOf(path, pragma)).toContainEqual(expect.stringMatching(/page 5|malformed/i));
  });

  it("gives the first findings of many", () => {
    const path = databaseOf(ROWS);
    for (let page = 4; page < 14; page += 1) damage(path, page);
    expect(damageOf(path).length).toBeLessThanOrEqual(5);
  });

  it("takes a schema that can't be read for damage too", () => {
    const path = databaseOf(ROWS);
    const bytes = readFileSync(path);
    bytes.fill(0xff, 100, 103);
    writeFileSync(path, bytes);
    expect(damageOf(path)).toEqual(["database disk image is malformed"]);
  });

  it("is not concerned with rows that a constraint forbids: the app put them there", () => {
    const path = databaseOf(`
      CREATE TABLE checked (x CHECK (x > 0)); CREATE TABLE typed (i, t); CREATE TABLE stored (x);
      CREATE TABLE doubled (x); CREATE INDEX once ON doubled (x); INSERT INTO doubled VALUES (1), (1);
      PRAGMA ignore_check_constraints = 1; INSERT INTO checked VALUES (-1);
      INSERT INTO typed VALUES ('text', NULL); INSERT INTO stored VALUES (1);
      PRAGMA writable_schema = 1;
      UPDATE sqlite_schema SET sql = 'CREATE TABLE typed (i INT, t TEXT NOT NULL) STRICT' WHERE name = 'typed';
      UPDATE sqlite_schema SET sql = 'CREATE TABLE stored (x TEXT)' WHERE name = 'stored';
      UPDATE sqlite_schema SET sql = 'CREATE UNIQUE INDEX once ON doubled (x)' WHERE name = 'once';
      PRAGMA writable_schema = RESET`);
    using database = new DatabaseSync(path);
    const told = database
      .prepare("PRAGMA integrity_check")
      .all()
      .map((row) => String(row["integrity_check"]));
    expect(told).toEqual(
      expect.arrayContaining([
        "CHECK constraint failed in checked",
        "NULL value in typed.t",
        "non-INT value in typed.i",
        "NUMERIC value in stored.x",
        "non-unique entry in index once",
      ]),
    );
    expect(damageOf(path, "integrity_check")).toEqual([]);
    expect(damageOf(path, "quick_check")).toEqual([]);
  });
});
