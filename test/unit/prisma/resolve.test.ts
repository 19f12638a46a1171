import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { resolveWithEngine } from "../../../build/prisma-engine.ts";
import { CREATE_LEDGER } from "../../../src/prisma/deploy.ts";
import { PrismaError } from "../../../src/prisma/errors.ts";
import { type Resolution, resolveMigration } from "../../../src/prisma/resolve.ts";
import { createNodeSqliteDriver } from "../../../src/sqlite/node-sqlite.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const driver = createNodeSqliteDriver();
const migrations = [
  { name: "1_init", sql: "CREATE TABLE a (x);\r\n" },
  { name: "2_more", sql: "CREATE TABLE b (x);" },
  { name: "3_none", sql: undefined },
];

/** Rows of one try each: finished or not, rolled back or not. */
type Try = { readonly name?: string; readonly finished: boolean; readonly rolledBack: boolean };

function database(setup: string, tries: readonly Try[] = []): string {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const path = join(directory.path, "app.db");
  using made = new DatabaseSync(path);
  made.exec(setup);
  tries.forEach(({ name = "1_init", finished, rolledBack }, index) => {
    made
      .prepare("INSERT INTO _prisma_migrations VALUES (?, 'c', ?, ?, NULL, ?, ?, ?)")
      .run(`00000000-${index}`, finished ? 2000 : null, name, rolledBack ? 3000 : null, index, finished ? 1 : 0);
  });
  return path;
}

/** What there is afterwards; new ids and times are told by their form. */
function outcome(path: string) {
  using database = new DatabaseSync(path);
  const schema = database.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").all();
  if (!schema.some(({ name }) => name === "_prisma_migrations")) return { schema, rows: undefined };
  const rows = database.prepare("SELECT * FROM _prisma_migrations ORDER BY rowid").all();
  const time = (value: unknown) => (Number(value) > 10_000 ? `new ${typeof value}` : value);
  return {
    schema,
    rows: rows.map((row) => ({
      ...row,
      id: /^[0-9a-f]{8}-[0-9a-f]{4}-4/.test(String(row["id"])) ? "new" : row["id"],
      started_at: time(row["started_at"]),
      finished_at: time(row["finished_at"]),
      rolled_back_at: time(row["rolled_back_at"]),
      at_once: row["started_at"] === row["finished_at"],
    })),
  };
}

function ours(path: string, resolution: Resolution): void {
  using connection = driver.open(path, { busyTimeoutMs: 5000 });
  resolveMigration(connection, resolution, { migrations, now: Date.now, uuid: randomUUID });
}

async function told(run: () => void | Promise<void>): Promise<string> {
  try {
    await run();
    return "done";
  } catch (error) {
    expect(error).toBeInstanceOf(PrismaError);
    return error instanceof PrismaError ? `${error.code} ${error.message}` : "";
  }
}

const all: readonly Try[] = [true, false].flatMap((finished) =>
  [true, false].map((rolledBack) => ({ finished, rolledBack })),
);
const ledgers: readonly (readonly Try[])[] = [
  [],
  ...all.map((one) => [one]),
  ...all.flatMap((one) => all.map((other) => [one, other])),
  [{ name: "2_more", finished: false, rolledBack: false }],
  [{ name: "9_gone", finished: false, rolledBack: false }],
];

describe("resolveMigration does what Prisma's own engine does", () => {
  it.each(
    (["applied", "rolled back"] as const).flatMap((as) =>
      ["1_init", "3_none", "9_gone"].map((migration) => ({ migration, as })),
    ),
  )("with any ledger, for $migration as $as", async (resolution) => {
    for (const ledger of ledgers) {
      const [mine, theirs] = [database(CREATE_LEDGER, ledger), database(CREATE_LEDGER, ledger)];
      const answer = await told(() => ours(mine, resolution));
      expect(answer, JSON.stringify(ledger)).toBe(
        await told(() => resolveWithEngine({ path: theirs, migrations }, resolution)),
      );
      expect(outcome(mine), JSON.stringify(ledger)).toEqual(outcome(theirs));
    }
  });
});

describe("resolveMigration", () => {
  it("makes the ledger of a database that has none: a baseline", () => {
    const path = database("CREATE TABLE a (x)");
    ours(path, { migration: "1_init", as: "applied" });
    expect(outcome(path).schema).toContainEqual({ name: "_prisma_migrations", sql: CREATE_LEDGER });
    expect(outcome(path).rows).toEqual([
      expect.objectContaining({ id: "new", migration_name: "1_init", logs: "", applied_steps_count: 0, at_once: true }),
    ]);
  });

  it("leaves nothing behind where it refuses", () => {
    const path = database("CREATE TABLE a (x)");
    const before = outcome(path);
    expect(() => ours(path, { migration: "9_gone", as: "applied" })).toThrow(/could not be found/);
    expect(() => ours(path, { migration: "1_init", as: "rolled back" })).toThrow(/was never applied/);
    expect(outcome(path)).toEqual(before);
  });
});
