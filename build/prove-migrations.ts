// Proves that migrations apply, before they are put into an executable: on an empty database with Prisma's own
// engine, and again with flysqlite's, which must come to the same schema.

import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { isDeepStrictEqual } from "node:util";
import { FlysqliteError } from "../src/base/errors.ts";
import { applyMigrations, BUSY_TIMEOUT_MS } from "../src/prisma/deploy.ts";
import { PrismaError } from "../src/prisma/errors.ts";
import { readLedger } from "../src/prisma/ledger.ts";
import type { Migration } from "../src/prisma/manifest.ts";
import type { Connection } from "../src/sqlite/driver.ts";
import { createNodeSqliteDriver } from "../src/sqlite/node-sqlite.ts";
import { makeTemplate, type Template } from "./make-template.ts";

const driver = createNodeSqliteDriver({ doubleQuotedStrings: true });
const open = (path: string): Connection => driver.open(path, { busyTimeoutMs: BUSY_TIMEOUT_MS });

/**
 * Applies the migrations to databases of its own, and gives what came of it as a template. Throws E_BUILD, with Prisma's
 * text, where they don't apply.
 */
export async function proveMigrations(migrations: readonly Migration[], lockFile?: string): Promise<Template> {
  requireSqlite();
  const directory = await mkdtemp(join(tmpdir(), "flysqlite-prove-"));
  try {
    const byPrisma = join(directory, "prisma.db");
    const byFlysqlite = join(directory, "flysqlite.db");
    await applyAsPrisma({ path: byPrisma, migrations, lockFile });
    requireFinished(byPrisma);
    applyMigrations({
      path: byFlysqlite,
      driver,
      migrations,
      lockFile,
      now: Date.now,
      uuid: randomUUID,
      exclusive: true,
    });
    if (!isDeepStrictEqual(readSchema(byPrisma), readSchema(byFlysqlite))) {
      throw new FlysqliteError("E_BUILD", "Prisma and flysqlite make different schemas of these migrations", {
        hint: "This is a defect of flysqlite: please report it with your migrations",
      });
    }
    return makeTemplate(byFlysqlite, driver);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function applyAsPrisma(task: Parameters<typeof import("./prisma-engine.ts").applyWithEngine>[0]): Promise<void> {
  const { applyWithEngine } = await import("./prisma-engine.ts");
  try {
    await applyWithEngine(task);
  } catch (error) {
    if (!(error instanceof PrismaError)) throw error;
    const { code, message, migration } = error;
    const [first = "", ...rest] = message.split("\n").filter((line) => line !== "");
    const what = migration === undefined ? "The migrations do" : `The migration "${migration}" does`;
    throw new FlysqliteError("E_BUILD", `${what} not apply to an empty database: ${code ?? ""} ${first}`, {
      problems: rest,
      cause: error,
      hint: "Fix the script; `npx prisma migrate dev` tries it on a database of its own, too",
    });
  }
}

/** A script that leaves a transaction open loses what it did, and stops every later start (P3009). */
function requireFinished(path: string): void {
  using database = open(path);
  const { rows = [] } = readLedger(database);
  const unfinished = rows.find(({ finished }) => !finished);
  if (unfinished === undefined) return;
  throw new FlysqliteError("E_BUILD", `The migration "${unfinished.name}" leaves a transaction open`, {
    hint: "Look for a BEGIN without its COMMIT in its script",
  });
}

function readSchema(path: string): readonly unknown[] {
  using database = open(path);
  return database.all("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name");
}

function requireSqlite(): void {
  if (process.getBuiltinModule("node:sqlite") !== undefined) return;
  throw new FlysqliteError("E_BUILD", `Cannot try the migrations on Node ${process.version}: it has no node:sqlite`, {
    hint: "Build with Node 24",
  });
}
