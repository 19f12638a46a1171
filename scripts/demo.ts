// The whole main job on real input, told step by step: a real Prisma app boots on an empty volume, is migrated,
// seeded, replicated and served; rows are written; the volume is destroyed; the next boot restores it.
// Usage: npm run demo [-- --keep]   --keep leaves the app running until Ctrl-C

import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { keep: { type: "boolean", default: false } } });

const root = join(import.meta.dirname, "..");
const executable = join(root, "dist/flysqlite");
const ROWS = 20;
const PATIENCE_MS = 30_000;

const directory = mkdtempSync(join(tmpdir(), "flysqlite-demo-"));
const volume = join(directory, "volume");
const replica = join(directory, "replica");
const app = join(directory, "app");
const isolation = findIsolation();
let container: ChildProcess | undefined;

const say = (text: string) => void process.stdout.write(`${text}\n`);
let stage = 0;
const begin = (text: string) => {
  stage += 1;
  say(`\n${stage}. ${text}`);
};

try {
  mkdirSync(volume);
  cpSync(join(root, "test/app"), app, { recursive: true, filter: (path) => !path.includes("node_modules") });
  symlinkSync(join(root, "node_modules"), join(app, "node_modules"));
  say(`The executable: dist/flysqlite, ${megabytes(statSync(executable).size)}, with the app's migrations in it.`);
  say(isolation.why);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;

  begin("An empty volume, an empty replica. What would a start do?");
  const plan = spawnSync(executable, ["run", "--dry"], { cwd: app, env: environment(port), encoding: "utf8" });
  say(indent(plan.stdout + plan.stderr));
  assert.equal(plan.status, 0, "the dry run finds nothing wrong");
  assert.deepEqual(readdirSync(volume), [], "the dry run changes nothing");

  begin("The first boot.");
  await boot(port);
  const seeded = await count(url);
  say(`   The app serves ${seeded} seeded rows.`);

  begin(`${ROWS} rows, written over HTTP.`);
  const startedMs = performance.now();
  for (let row = 1; row <= ROWS; row += 1) {
    const body = JSON.stringify({ author: "demo", text: `row ${row}` });
    const answer = await fetch(`${url}/entries`, { method: "POST", body });
    assert.equal(answer.status, 201, "a row is acknowledged once it is committed");
  }
  const written = await entries(url);
  say(`   Acknowledged in ${since(startedMs)}.`);

  begin("SIGTERM, as a platform stops a container.");
  await stop();
  say(`   In the replica: ${readdirSync(join(replica, "ltx/0")).length} files of level 0, as Litestream keeps them.`);

  begin("The volume is destroyed.");
  rmSync(volume, { recursive: true });
  mkdirSync(volume);
  assert.equal(existsSync(join(volume, "dev.db")), false);

  begin("The next boot, on an empty volume.");
  await boot(port);
  const restored = await entries(url);
  assert.deepEqual(restored, written, "every row that was acknowledged is there again");
  say(`   All ${restored.length} rows are there again, the same in every column.`);

  if (values.keep) {
    say(`\nThe app runs at ${url} (GET /entries, POST /entries). Ctrl-C ends it.`);
    await new Promise<void>((resolve) => process.once("SIGINT", () => resolve()));
  }
  await stop();
  say("\nDone: nothing was lost.");
} catch (error) {
  say(`\nFailed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  container?.kill("SIGKILL");
  rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

/** Starts flysqlite with the app's start command, and waits until the app listens. */
async function boot(port: number): Promise<void> {
  const startedMs = performance.now();
  const [file, ...words] = [...isolation.prefix, executable];
  assert(file !== undefined);
  const child = spawn(file, words, { cwd: app, env: environment(port), stdio: ["ignore", "pipe", "pipe"] });
  container = child;
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text) => {
      output += text;
      process.stdout.write(indent(String(text)));
    });
  }
  const deadline = performance.now() + PATIENCE_MS;
  while (!output.includes("listening on")) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error("the app does not come up");
    await delay(5);
  }
  say(`   From exec to an app that listens: ${since(startedMs)}.`);
}

/** Asks flysqlite to end, and expects the app's own exit status. */
async function stop(): Promise<void> {
  const child = container;
  assert(child?.pid !== undefined);
  const startedMs = performance.now();
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  process.kill(isolation.prefix.length > 0 ? firstChild(child.pid) : child.pid, "SIGTERM");
  assert.equal(await ended, 0, "the app ended as it was asked to, and the last sync was made");
  container = undefined;
  say(`   Stopped with status 0 after ${since(startedMs)}.`);
}

/** Everything that flysqlite is told: two settings. A container with a volume on /data needs only the second. */
function environment(port: number): NodeJS.ProcessEnv {
  return {
    PATH: process.env["PATH"],
    PORT: String(port),
    FLYSQLITE_VOLUME: volume,
    FLYSQLITE_REPLICA: `file://${replica}`,
  };
}

/** How this machine lets a process be PID 1 in a namespace of its own. */
function findIsolation(): { readonly prefix: readonly string[]; readonly why: string } {
  const flags = ["--pid", "--fork", "--mount-proc", "--kill-child"];
  for (const prefix of [
    ["unshare", ...flags],
    ["unshare", "--user", "--map-root-user", ...flags],
  ]) {
    const [file = "", ...words] = prefix;
    if (spawnSync(file, [...words, "true"]).status === 0) {
      return { prefix, why: "It runs as PID 1 in a PID namespace of its own, as in a container." };
    }
  }
  return { prefix: [], why: "It does not run as PID 1: this machine allows no PID namespace (unshare)." };
}

function firstChild(pid: number): number {
  const { stdout } = spawnSync("cat", [`/proc/${pid}/task/${pid}/children`], { encoding: "utf8" });
  return Number(stdout.trim().split(" ")[0]);
}

async function count(url: string): Promise<number> {
  const { count } = (await (await fetch(`${url}/count`)).json()) as { count: number };
  return count;
}

async function entries(url: string): Promise<readonly unknown[]> {
  return (await (await fetch(`${url}/entries`)).json()) as unknown[];
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert(address !== null && typeof address === "object");
  return address.port;
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, "   | ");
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

function since(startedMs: number): string {
  return `${Math.round(performance.now() - startedMs)} ms`;
}
