// Restores a large database from an S3 server on this machine: flysqlite's executable beside Litestream's, each from
// what Litestream 0.5, flysqlite and Litestream 0.3 replicated of it. Figures only; that the results are equal is checked.
// Usage: npm run bench:restore [-- --megabytes 500 --runs 3 --directory /tmp]

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { systemClock, systemRandom } from "../src/base/system.ts";
import { createNodeSqliteDriver } from "../src/sqlite/node-sqlite.ts";
import { createCredentials } from "../src/storage/s3/credentials.ts";
import { parseS3Url } from "../src/storage/s3/place.ts";
import { openS3Store } from "../src/storage/s3/store.ts";
import { findLitestream03, findLitestream05, runLitestream } from "../test/support/litestream.ts";
import { replicateTo } from "../test/support/replicate.ts";
import { BUCKET, KEY, startS3Server } from "../test/support/s3-server.ts";
import { temporaryDirectory } from "../test/support/temporary.ts";

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "500" },
    runs: { type: "string", default: "3" },
    /** Where the databases are: /dev/shm leaves a disk out that others use. */
    directory: { type: "string", default: tmpdir() },
  },
});
const megabytes = Number(values.megabytes);
const runs = Number(values.runs);

/** Commits after the first copy, each of some pages: what a restore finds beside a snapshot. */
const COMMITS = 200;

/** Longest time that anything is waited for, in milliseconds. */
const PATIENCE_MS = 60_000;

/** Between two looks at a process's memory, in milliseconds. The peak is the kernel's own, as of the last look. */
const LOOK_MS = 5;

const flysqlite = join(import.meta.dirname, "../dist/flysqlite");
const litestream05 = findLitestream05();
const litestream03 = findLitestream03();
const say = (text: string) => void process.stdout.write(`${text}\n`);

using directory = temporaryDirectory(values.directory);
await using server = await startS3Server({ region: "us-east-1" });
const environment = {
  AWS_ACCESS_KEY_ID: KEY.accessKeyId,
  AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
  AWS_REGION: server.region,
  HOME: directory.path,
};
const urlOf = (path: string) => `s3://${BUCKET}/${path}?endpoint=${server.origin}&region=${server.region}`;

type Figures = { readonly ms: number; readonly peakMegabytes: number; readonly sha256: string };

say(`A database of ${megabytes} MB, ${COMMITS} commits after its first copy; medians of ${runs}.`);
say(`${"replica".padEnd(34)} ${"restored by".padEnd(34)}   time      peak memory`);

await bench("Litestream 0.5 (LTX)", "litestream05", litestream05, replicateByLitestream, [
  "Litestream 0.5.17",
  litestream05,
  (output) => ["restore", "-o", output, urlOf("litestream05")],
]);
await bench("flysqlite (LTX)", "flysqlite", flysqlite, replicateByFlysqlite, [
  "Litestream 0.5.17",
  litestream05,
  (output) => ["restore", "-o", output, urlOf("flysqlite")],
]);
await bench("Litestream 0.3", "litestream03", litestream03, replicateByLitestream, [
  "Litestream 0.3.13",
  litestream03,
  (output) => ["restore", "-o", output, "-config", configuration("litestream03"), database()],
]);

type Restorer = readonly [name: string, program: string | undefined, words: (output: string) => readonly string[]];

async function bench(
  replica: string,
  path: string,
  replicator: string | undefined,
  replicate: (program: string, path: string) => Promise<void>,
  theirs: Restorer,
): Promise<void> {
  if (replicator === undefined) return say(`${replica.padEnd(34)} left out: this Litestream can't be had here`);
  await replicate(replicator, path);
  const objects = [...server.objects].filter(([key]) => key.startsWith(`${path}/`));
  const bytes = objects.reduce((sum, [, { sizeBytes }]) => sum + sizeBytes, 0);
  const ours = (integrity: string): Restorer => [
    `flysqlite --integrity ${integrity}`,
    flysqlite,
    (output) => ["restore", "--replica", urlOf(path), "-o", output, "--integrity", integrity],
  ];
  const figures = new Map<string, Figures[]>();
  for (let run = 0; run < runs; run += 1) {
    for (const [name, program, wordsFor] of [theirs, ours("none"), ours("quick")]) {
      if (program === undefined) continue;
      const output = join(directory.path, "restored.db");
      figures.set(name, [...(figures.get(name) ?? []), await measure([program, ...wordsFor(output)], output)]);
    }
  }
  const sums = new Set([...figures.values()].flat().map(({ sha256 }) => sha256));
  if (sums.size !== 1) throw new Error(`the restored databases differ: ${[...sums].join(", ")}`);
  const reference = figures.get(theirs[0]);
  for (const [name, measured] of figures) {
    const ms = median(measured.map((run) => run.ms));
    const peak = Math.max(...measured.map((run) => run.peakMegabytes));
    const ratio = reference === undefined ? "" : `  ${(ms / median(reference.map((run) => run.ms))).toFixed(2)} x`;
    say(
      `${replica.padEnd(34)} ${name.padEnd(34)} ${(ms / 1000).toFixed(2).padStart(6)} s ${peak.toFixed(0).padStart(8)} MB${ratio}`,
    );
  }
  say(`${"".padEnd(34)} of ${objects.length} objects, ${(bytes / 1e6).toFixed(0)} MB`);
  for (const [key] of objects) server.objects.delete(key);
}

/** Runs a restore to its end; its output is gone afterwards. */
async function measure([file = "", ...words]: readonly string[], output: string): Promise<Figures> {
  const startedMs = performance.now();
  const child = spawn(file, words, { env: environment, stdio: ["ignore", "ignore", "pipe"] });
  let told = "";
  child.stderr.on("data", (text) => (told += text));
  let ended = false;
  let endedMs = 0;
  const closed = new Promise<number | null>((resolve) =>
    child.once("close", (status) => {
      endedMs = performance.now();
      ended = true;
      resolve(status);
    }),
  );
  let peakKilobytes = 0;
  while (!ended) {
    peakKilobytes = Math.max(peakKilobytes, peakOf(child.pid ?? 0));
    await delay(LOOK_MS);
  }
  if ((await closed) !== 0) throw new Error(`${file} ${words.join(" ")}: ${told}`);
  const sha256 = await hashOf(output);
  rmSync(output);
  return { ms: endedMs - startedMs, peakMegabytes: peakKilobytes / 1024, sha256 };
}

/** The most memory that a process ever had, in KiB; 0 when it is gone. Source: proc_pid_status(5), VmHWM */
function peakOf(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk);
  return hash.digest("hex");
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

function database(): string {
  return join(directory.path, "app.db");
}

/** Rows of text that repeats and of bytes that don't: a page shrinks to somewhat less than half. */
function makeLargeDatabase(): DatabaseSync {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${database()}${suffix}`, { force: true });
  const connection = new DatabaseSync(database(), { timeout: PATIENCE_MS });
  connection.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
  connection.exec("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, state TEXT, note TEXT, content BLOB)");
  connection.exec("CREATE INDEX item_name ON item (name)");
  const note = "It was the same as it is every day, and nobody asked for more than that. ".repeat(6);
  const insert = connection.prepare(
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) " +
      "INSERT INTO item (name, state, note, content) SELECT 'item ' || abs(random() % 1000000000), 'open', ?, randomblob(400) FROM n",
  );
  while (statSync(database()).size < megabytes * 1e6) {
    insert.run(note);
    connection.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  }
  return connection;
}

function change(connection: DatabaseSync): void {
  connection.exec(
    "UPDATE item SET state = 'done', content = randomblob(400) WHERE id IN (SELECT abs(random()) % 500000 FROM item LIMIT 20)",
  );
}

function configuration(path: string): string {
  const file = join(directory.path, `${path}.yml`);
  const replica = {
    type: "s3",
    bucket: BUCKET,
    path,
    endpoint: server.origin,
    region: server.region,
    "force-path-style": true,
    "sync-interval": "50ms",
  };
  const settings = { path: database(), "monitor-interval": "50ms", replicas: [replica] };
  writeFileSync(file, JSON.stringify({ dbs: [settings] }));
  return file;
}

/** Lets Litestream copy the database, and then follow the commits. */
async function replicateByLitestream(program: string, path: string): Promise<void> {
  using connection = makeLargeDatabase();
  await using _ = runLitestream(program, ["replicate", "-config", configuration(path)], environment);
  const count = () => [...server.objects.keys()].filter((key) => key.startsWith(`${path}/`)).length;
  const copied = () =>
    [...server.objects].some(([key, { sizeBytes }]) => key.startsWith(`${path}/`) && sizeBytes > megabytes * 1e5);
  await until(copied, `${program} copies nothing`);
  for (let commit = 0; commit < COMMITS; commit += 1) {
    const before = count();
    change(connection);
    if (commit % 10 === 0) await until(() => count() > before, `${program} ships nothing`);
  }
}

async function until(condition: () => boolean, otherwise: string): Promise<void> {
  for (const giveUpAt = performance.now() + PATIENCE_MS; !condition(); await delay(5)) {
    if (performance.now() > giveUpAt) throw new Error(otherwise);
  }
}

async function replicateByFlysqlite(): Promise<void> {
  using connection = makeLargeDatabase();
  const credentials = createCredentials({
    environment,
    readFile: async (file) => readFileSync(file, "utf8"),
    clock: systemClock,
  });
  using store = openS3Store(parseS3Url(urlOf("flysqlite")), { clock: systemClock, random: systemRandom, credentials });
  // Of the library that makes the database, too: two of them in one process would drop each other's locks.
  const driver = createNodeSqliteDriver();
  using replicating = await replicateTo(store, { path: database(), stateDirectory: directory.path, driver });
  await replicating.sync();
  await replicating.snapshot();
  for (let commit = 0; commit < COMMITS; commit += 1) {
    change(connection);
    await replicating.sync();
  }
}
