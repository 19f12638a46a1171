import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { createNodeSqliteDriver } from "../../../src/sqlite/node-sqlite.ts";
import { findPending } from "../../../src/steps/pending.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { firstStart } from "../plan/facts.ts";

const OURS = ["20250101_init", "20250202_more"];

/** A database to which these migrations were applied; `rolledBack` were tried and taken back. */
function migrated(applied: readonly string[], rolledBack: readonly string[] = []): string {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const path = join(directory.path, "app.db");
  using database = new DatabaseSync(path);
  database.exec(`PRAGMA page_size = 512;
    CREATE TABLE _prisma_migrations (migration_name, checksum, started_at, finished_at, rolled_back_at);
    CREATE TABLE a (x); WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 500) INSERT INTO a SELECT n FROM c`);
  const insert = database.prepare("INSERT INTO _prisma_migrations VALUES (?, 'x', 0, ?, ?)");
  for (const name of applied) insert.run(name, 1, null);
  for (const name of rolledBack) insert.run(name, null, 1);
  return path;
}

function pending(path: string, names: readonly string[] = OURS) {
  const manifest = { ...firstStart.manifest, migrations: names.map((name) => ({ name, checksum: "x" })) };
  const bundle = { manifest, source: "a test", migrations: async () => ({ migrations: [], lockFile: undefined }) };
  return findPending(path, bundle, { sqlite: async () => createNodeSqliteDriver() });
}

describe("a database whose migrations are looked at", () => {
  it.each([
    ["all of this app's", OURS, { kind: "up-to-date" }],
    ["some of them", OURS.slice(0, 1), { kind: "pending", names: ["20250202_more"] }],
    [
      "more than this app has, as after going back to an older release",
      [...OURS, "20260101_later"],
      { kind: "up-to-date" },
    ],
    ["one of them among another line's, as after squashing", ["old", "older", "20250202_more"], { kind: "pending" }],
    ["none", [], { kind: "pending", names: OURS }],
  ])("is this app's where it has %s", async (_, applied, decision) => {
    expect(await pending(migrated(applied))).toMatchObject(decision);
  });

  it("is another app's where it has only others, and then is neither migrated nor changed", async () => {
    const path = migrated(["1_shop", "2_orders"], ["20250101_init"]);
    const before = readFileSync(path);
    await expect(pending(path)).rejects.toMatchObject({
      code: "E_VOLUME",
      message: `Cannot use "${path}": it is another app's database`,
      problems: ['its 2 migrations, such as "1_shop", are none of this app\'s 2', expect.stringContaining("resolve")],
    });
    expect(readFileSync(path)).toEqual(before);
  });

  it("can't be told to be another's by an app without migrations", async () => {
    expect(await pending(migrated(["1_shop"]), [])).toMatchObject({ kind: "up-to-date" });
  });
});

describe("a database that is damaged", () => {
  /** The content of its last page becomes bytes that are none. */
  function damage(path: string): void {
    const bytes = readFileSync(path);
    bytes.fill(0xff, bytes.byteLength - 512);
    writeFileSync(path, bytes);
  }

  it("is refused with what SQLite finds, and left as it is", async () => {
    const path = migrated(OURS);
    damage(path);
    const before = readFileSync(path);
    await expect(pending(path)).rejects.toMatchObject({
      code: "E_DB_INVALID",
      message: `Cannot use "${path}": SQLite's quick_check finds it damaged`,
      problems: [expect.stringMatching(/\S/)],
      hint: expect.stringContaining("flysqlite restore --force"),
    });
    expect(readFileSync(path)).toEqual(before);
  });

  it("is not searched for damage where that would keep a start waiting", async () => {
    const path = migrated(OURS);
    {
      using database = new DatabaseSync(path);
      database.exec("CREATE TABLE large (x); INSERT INTO large VALUES (zeroblob(17000000))");
    }
    expect(statSync(path).size).toBeGreaterThan(16 * 1024 * 1024);
    damage(path);
    expect(await pending(path)).toMatchObject({ kind: "up-to-date" });
  });
});
