// The situations in test/fixtures/prisma-migrate: made ready in a directory of their own, run, and looked at
// afterwards. What is looked at has the shape of expected.json, which its README describes.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect } from "vitest";
import { PrismaError } from "../../../src/prisma/errors.ts";
import type { Migration } from "../../../src/prisma/manifest.ts";
import { listMigrations } from "../../../src/prisma/migrations.ts";

const CASES = join(import.meta.dirname, "../../fixtures/prisma-migrate/cases");

export type Case = {
  readonly what: string;
  readonly start: "absent" | "empty-file" | "garbage-file" | "start.sql";
  readonly setup?: "hold-write-lock" | "hold-write-lock-1500ms" | "hold-open";
};

export type Expected = {
  readonly exitCode: number;
  readonly errorCode: string | null;
  readonly message: string | null;
  readonly applied: readonly string[];
  readonly waited: boolean;
  readonly database: Snapshot;
};

export type Snapshot = { readonly migrations?: readonly LedgerSnapshot[]; readonly [part: string]: unknown };
export type LedgerSnapshot = { readonly logs: unknown; readonly [column: string]: unknown };

/** How a run went. */
export type Outcome = Omit<Expected, "exitCode">;

export type Deploy = (task: {
  readonly path: string;
  readonly migrations: readonly Migration[];
  readonly lockFile?: string | undefined;
}) => readonly string[] | Promise<readonly string[]>;

export const caseNames: readonly string[] = readdirSync(CASES).sort();

export function readCase(name: string): Case {
  return JSON.parse(readFileSync(join(CASES, name, "case.json"), "utf8"));
}

export function readExpected(name: string): Expected {
  return JSON.parse(readFileSync(join(CASES, name, "expected.json"), "utf8"));
}

/** Puts a case into a temporary directory, deploys, and tells what came of it. */
export async function runCase(name: string, deploy: Deploy): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), "flysqlite-corpus-"));
  try {
    const { start, setup } = readCase(name);
    cpSync(join(CASES, name, "prisma"), join(directory, "prisma"), { recursive: true });
    const path = join(directory, "data.db");
    makeStart(path, start, join(CASES, name, "start.sql"));
    const release = await disturb(path, setup);
    const startedMs = performance.now();
    const { applied, error } = await attempt(deploy, { path, ...listMigrations(join(directory, "prisma/migrations")) });
    const waited = performance.now() - startedMs > 5000;
    await release();
    const database = snapshot(path);
    const errorCode = error?.code ?? null;
    return { applied: applied ?? finishedNow(database), errorCode, message: error?.message ?? null, waited, database };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Runs a case, and holds what comes of it to what the real Prisma did. */
export async function expectAsPrisma(name: string, deploy: Deploy): Promise<void> {
  const { exitCode, errorCode, message, applied, waited, database } = readExpected(name);
  const outcome = await runCase(name, deploy);
  expect(outcome.message === null ? 0 : 1).toBe(exitCode);
  expect(asJson(outcome)).toEqual({ errorCode, message, applied, waited, database: withLogMatchers(database) });
}

export function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

export function withLogMatchers(database: Outcome["database"]): unknown {
  const { migrations, ...others } = database;
  if (migrations === undefined) return others;
  return { ...others, migrations: migrations.map((row) => ({ ...row, logs: logMatcher(row.logs) })) };
}

/** The engine puts a trace of itself behind the text, which nobody reads. */
function logMatcher(logs: unknown): unknown {
  if (typeof logs !== "object" || logs === null || !("startsWith" in logs)) return logs;
  return expect.stringContaining(String(logs.startsWith));
}

async function attempt(deploy: Deploy, task: Parameters<Deploy>[0]) {
  try {
    return { applied: await deploy(task), error: undefined };
  } catch (error) {
    if (!(error instanceof PrismaError)) throw error;
    return { applied: undefined, error };
  }
}

function makeStart(path: string, start: Case["start"], dump: string): void {
  if (start === "empty-file") writeFileSync(path, "");
  // The text of the corpus's makers, to the letter: its hash is in expected.json.
  if (start === "garbage-file") writeFileSync(path, "this is not a database, just some text\n".repeat(200));
  if (start !== "start.sql") return;
  using database = new DatabaseSync(path);
  database.exec(readFileSync(dump, "utf8"));
}

/** Has another process work on the database; gives what ends it. */
async function disturb(path: string, setup: Case["setup"]): Promise<() => Promise<void>> {
  if (setup === undefined) return async () => {};
  const sql = setup === "hold-open" ? "SELECT count(*) FROM sqlite_schema" : "BEGIN IMMEDIATE";
  const durationMs = setup === "hold-write-lock-1500ms" ? 1500 : 60_000;
  const script = `
    const { DatabaseSync } = require("node:sqlite");
    const database = new DatabaseSync(process.argv[1]);
    database.exec(process.argv[2]);
    console.log("ready");
    setTimeout(() => database.close(), Number(process.argv[3]));
  `;
  const child = spawn(process.execPath, ["-e", script, path, sql, String(durationMs)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(child, "exit");
  await once(child.stdout, "data");
  return async () => {
    child.kill("SIGKILL");
    await exit;
  };
}

/** All of a database that is the same in every run: times become their order, new ids their form. */
export function snapshot(path: string): Snapshot {
  if (!existsSync(path)) return { exists: false };
  try {
    using database = new DatabaseSync(path, { readOnly: true });
    const all = (sql: string) =>
      database
        .prepare(sql)
        .all()
        .map((row) => ({ ...row }));
    const schema = all("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name");
    const tables = schema.filter(({ type }) => type === "table").map(({ name }) => String(name));
    const userTables = tables.filter((name) => name !== "_prisma_migrations" && !name.startsWith("sqlite_"));
    return {
      exists: true,
      journalMode: all("PRAGMA journal_mode")[0]?.["journal_mode"],
      schema,
      ...(tables.includes("_prisma_migrations") ? { migrations: all(LEDGER).map(ledgerSnapshot) } : {}),
      rows: Object.fromEntries(userTables.map((name) => [name, all(`SELECT * FROM "${name}" ORDER BY 1`)])),
      foreignKeyViolations: all("PRAGMA foreign_key_check").length,
    };
  } catch (error) {
    const unreadable = error instanceof Error ? error.message : String(error);
    return { exists: true, unreadable, sha256: createHash("sha256").update(readFileSync(path)).digest("hex") };
  }
}

const LEDGER = `
  SELECT *, typeof(started_at) AS started_at_type, typeof(finished_at) AS finished_at_type
  FROM "_prisma_migrations" ORDER BY rowid
`;

function ledgerSnapshot(row: { readonly [column: string]: unknown }): LedgerSnapshot {
  const { id, started_at, finished_at, rolled_back_at, ...same } = row;
  const finished = finished_at !== null;
  return {
    ...same,
    logs: same["logs"],
    id: isNewId(String(id)) ? "<uuid v4>" : id,
    finished,
    rolled_back: rolled_back_at !== null,
    in_order: finished ? timeMs(finished_at) >= timeMs(started_at) : null,
  };
}

/** Those that a dump brings along begin with zeros. */
function isNewId(id: string): boolean {
  return (
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id) && !id.startsWith("00000000-")
  );
}

function timeMs(stored: unknown): number {
  if (typeof stored !== "string") return Number(stored);
  return Date.parse(stored.includes("T") ? stored : `${stored.replace(" ", "T")}Z`);
}

function finishedNow({ migrations = [] }: Snapshot): readonly string[] {
  return migrations
    .filter((row) => row["finished"] === true && row["id"] === "<uuid v4>")
    .map((row) => String(row["migration_name"]));
}
