// Prisma's official schema engine, compiled to WebAssembly, on node:sqlite: what decides whether migrations apply.
// Only for building and for tests; nothing of it gets into an executable. Loaded when it is first asked for.
// The engine's own driver adapters lose SQLite's result codes and know no P3018, so this file has another adapter
// and puts the native engine's texts back.
// Source: Prisma 7.10, @prisma/schema-engine-wasm and @prisma/driver-adapter-utils

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { BUSY_TIMEOUT_MS } from "../src/prisma/deploy.ts";
import { databaseErrorText, failedScriptText, PrismaError, type SqliteAnswer } from "../src/prisma/errors.ts";
import type { Migration } from "../src/prisma/manifest.ts";
import { LOCK_FILE, SCRIPT } from "../src/prisma/migrations.ts";

/** Node has it; its types have only the names. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: object,
  ) => { readonly exports: { readonly [name: string]: unknown } };
};

type Glue = typeof import("@prisma/schema-engine-wasm/schema_engine_bg");

export type EngineTask = {
  readonly path: string;
  readonly migrations: readonly Migration[];
  readonly lockFile?: string | undefined;
};

/** Applies what is pending, as Prisma's engine has it, and gives the names. Throws {@link PrismaError}. */
export async function applyWithEngine(task: EngineTask): Promise<readonly string[]> {
  return withEngine(task, async (engine, migrationsList) => {
    const filters = { externalTables: [], externalEnums: [] };
    const { appliedMigrationNames } = await engine.applyMigrations({ migrationsList, filters });
    return appliedMigrationNames;
  });
}

/** What `prisma migrate resolve` does. Throws {@link PrismaError}. */
export async function resolveWithEngine(
  task: EngineTask,
  { migration, as }: { readonly migration: string; readonly as: "applied" | "rolled back" },
): Promise<void> {
  return withEngine(task, async (engine, migrationsList) => {
    const migrationName = migration;
    if (as === "applied") await engine.markMigrationApplied({ migrationName, migrationsList });
    else await engine.markMigrationRolledBack({ migrationName });
  });
}

type Engine = Awaited<ReturnType<Glue["SchemaEngine"]["new"]>>;
type MigrationsList = Parameters<Engine["applyMigrations"]>[0]["migrationsList"];

async function withEngine<Result>(
  { path, migrations, lockFile }: EngineTask,
  use: (engine: Engine, migrationsList: MigrationsList) => Promise<Result>,
): Promise<Result> {
  const { SchemaEngine } = await loadEngine();
  // The engine never closes a connection, and holds an exclusive lock on it.
  using database = openDatabase(path);
  const adapter = createAdapter(database);
  const engine = await SchemaEngine.new({ datamodels: undefined }, () => {}, adapter.factory);
  try {
    return await use(engine, {
      baseDir: "/",
      shadowDbInitScript: "",
      lockfile: { path: LOCK_FILE, content: lockFile ?? null },
      migrationDirectories: migrations.map(({ name, sql }) => ({
        path: name,
        migrationFile: {
          path: SCRIPT,
          content: sql === undefined ? { tag: "error", value: "no script" } : { tag: "ok", value: sql },
        },
      })),
    });
  } catch (error) {
    throw asPrismaError(error, { ...adapter.failure(), migrations });
  } finally {
    engine.free();
  }
}

/** Opens a database with what Prisma's native engine has switched on. */
function openDatabase(path: string): DatabaseSync {
  // Not imported: an older Node, which has none, is to be told so.
  const { DatabaseSync } = process.getBuiltinModule("node:sqlite");
  return new DatabaseSync(path, {
    timeout: BUSY_TIMEOUT_MS,
    enableForeignKeyConstraints: true,
    enableDoubleQuotedStringLiterals: true,
  });
}

/** What SQLite answered, where it is an error of node:sqlite; undefined for anything else. */
function sqliteAnswer(error: unknown): SqliteAnswer | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return undefined;
  return { extendedCode: error.errcode, message: error.message };
}

let loading: Promise<Glue> | undefined;

/** One instance for the life of the process: the engine's glue keeps it in a variable of its own. */
function loadEngine(): Promise<Glue> {
  loading ??= (async () => {
    const glue = await import("@prisma/schema-engine-wasm/schema_engine_bg");
    const directory = dirname(createRequire(import.meta.filename).resolve("@prisma/schema-engine-wasm"));
    const module = new WebAssembly.Module(await readFile(join(directory, "schema_engine_bg.wasm")));
    const { exports } = new WebAssembly.Instance(module, { "./schema_engine_bg.js": glue });
    glue.__wbg_set_wasm(exports);
    const start = exports["__wbindgen_start"];
    assert(typeof start === "function");
    start();
    return glue;
  })();
  return loading;
}

type Failure = { readonly answer?: SqliteAnswer; readonly script?: string };

function asPrismaError(
  error: unknown,
  { answer, script, migrations }: Failure & { readonly migrations: readonly Migration[] },
): unknown {
  if (answer === undefined) {
    if (!(error instanceof Error) || !("code" in error)) return error;
    const { code } = error;
    const known = KNOWN_CODES.find((one) => one === code);
    return known === undefined ? error : new PrismaError(known, withoutTrace(error.message), { cause: error });
  }
  const migration = migrations.find(({ sql }) => sql !== undefined && sql === script)?.name;
  if (migration === undefined) {
    return new PrismaError(undefined, databaseErrorText(answer.message), { sqlite: answer, cause: error });
  }
  const text = failedScriptText(migration, answer);
  return new PrismaError("P3018", text, { migration, sqlite: answer, cause: error });
}

/** Those that the engine gives under its own name. */
const KNOWN_CODES = ["P3005", "P3008", "P3009", "P3011", "P3012", "P3015", "P3017", "P3019"] as const;

/** Cuts off the engine's own stack trace, which begins with "   0: ", and a last line end, as the CLI does. */
function withoutTrace(message: string): string {
  return message.replace(/\n {3}0: [\s\S]*$/, "").trimEnd();
}

type Query = {
  readonly sql: string;
  readonly args: readonly SQLInputValue[];
  readonly argTypes: readonly { readonly scalarType: string }[];
};

/** Types of a column, as the engine numbers them. */
const COLUMN = { int32: 0, text: 7, dateTime: 10 } as const;

function createAdapter(database: DatabaseSync) {
  let failure: Failure = {};
  const attempt = async <Value>(run: () => Value, script?: string): Promise<Result<Value>> => {
    try {
      return ok(run());
    } catch (error) {
      const answer = sqliteAnswer(error);
      if (answer === undefined) throw error;
      failure = script === undefined ? { answer } : { answer, script };
      return failed({ kind: "sqlite", ...answer });
    }
  };
  const name = { provider: "sqlite", adapterName: "flysqlite" } as const;
  const connection = {
    ...name,
    queryRaw: (query: Query) => attempt(() => runQuery(database, query)),
    executeRaw: (query: Query) =>
      attempt(() => Number(database.prepare(query.sql).run(...parametersOf(query)).changes)),
    executeScript: (script: string) => attempt(() => database.exec(script), script),
    dispose: async () => ok(undefined),
  };
  const connect = async () => ok(connection);
  return { factory: { ...name, connect, connectToShadowDb: connect }, failure: () => failure };
}

function runQuery(database: DatabaseSync, query: Query) {
  const statement = database.prepare(query.sql);
  const columns = statement.columns();
  const rows = statement.all(...parametersOf(query)).map((row) => columns.map(({ name }) => row[name]));
  const columnTypes = columns.map(({ type }, index) => columnType(type, rows[0]?.[index]));
  return {
    columnNames: columns.map(({ name }) => name),
    columnTypes,
    rows: rows.map((row) =>
      row.map((value, index) =>
        columnTypes[index] === COLUMN.dateTime && typeof value === "number" ? new Date(value).toISOString() : value,
      ),
    ),
  };
}

function columnType(declared: string | null, value: unknown): number {
  if (declared?.toUpperCase() === "DATETIME") return COLUMN.dateTime;
  if (declared === null) return typeof value === "number" ? COLUMN.int32 : COLUMN.text;
  return /INT/i.test(declared) ? COLUMN.int32 : COLUMN.text;
}

/** Times as the native engine stores them: integers, milliseconds since 1970. */
function parametersOf({ args, argTypes }: Query): SQLInputValue[] {
  return args.map((value, index) =>
    argTypes[index]?.scalarType === "datetime" && typeof value === "string" ? Date.parse(value) : value,
  );
}

/** What the engine takes for an answer. It calls `map` and `flatMap`. */
type Result<Value> = ({ readonly ok: true; readonly value: Value } | { readonly ok: false; readonly error: object }) & {
  map<Mapped>(change: (value: Value) => Mapped): Result<Mapped>;
  flatMap<Mapped>(change: (value: Value) => Result<Mapped>): Result<Mapped>;
};

function ok<Value>(value: Value): Result<Value> {
  return { ok: true, value, map: (change) => ok(change(value)), flatMap: (change) => change(value) };
}

function failed<Value>(error: object): Result<Value> {
  return { ok: false, error, map: () => failed(error), flatMap: () => failed(error) };
}
