// Kills a start at a chosen system call that changes something on the volume, with strace. The calls are found by a
// first run that ends as it should.
//
//   "it"        the process that makes the call dies before it is made; the others live on
//   "everyone"  all die at once when the call is made, as where the machine dies
//
// Needs root or user namespaces, util-linux and strace.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { temporaryDirectory } from "./temporary.ts";

export type Run = {
  readonly file: string;
  readonly words: readonly string[];
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
};

/** The `index`-th call of that name on that path, by one thread; counted from 1. */
export type KillPoint = { readonly call: string; readonly path: string; readonly index: number };

export type Victim = "it" | "everyone";

/** Changes something that outlives the process. A log's index is changed in memory, and is made anew after a crash. */
const CALLS = [
  ...["openat", "creat", "write", "pwrite64", "writev", "pwritev", "ftruncate", "truncate", "fallocate"],
  ...["rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat"],
  ...["mkdir", "mkdirat", "rmdir", "fsync", "fdatasync", "chmod", "fchmod", "utimensat", "copy_file_range"],
];

/** Long enough for any run; a wait beyond it is for something that does not come. */
const PATIENCE_MS = 120_000;

/** Why points can't be found here; undefined where all is well. */
export function whyNoKillPoints(): string | undefined {
  const tried = spawnSync("unshare", [...NAMESPACE, "strace", "-qq", "-o", "/dev/null", "true"], { encoding: "utf8" });
  return tried.status === 0 ? undefined : (tried.error?.message ?? tried.stderr.trim());
}

const NAMESPACE = ["--pid", "--fork", "--kill-child", "--mount-proc"];

/** Each call below one of the directories, as far as it can be told apart from another thread's, in order. */
export async function findKillPoints(
  run: Run,
  below: readonly string[],
  expectedStatus = 0,
): Promise<readonly KillPoint[]> {
  using place = temporaryDirectory();
  const log = join(place.path, "log");
  const { status, output } = await end(trace(run, ["-y", "-o", log, "-e", `trace=${CALLS.join(",")}`]));
  if (status !== expectedStatus) throw new Error(`the first run failed with ${status}: ${output}`);
  const counts = new Map<string, number>();
  const points = new Map<string, KillPoint>();
  for (const line of readFileSync(log, "utf8").split("\n")) {
    const [, thread = "", call = "", rest = ""] = /^(\d+) +(\w+)\((.*)$/.exec(line) ?? [];
    const paths = new Set(pathsOf(rest));
    for (const path of paths) {
      const key = `${thread} ${call} ${path}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    const path = [...paths].at(-1); // of a rename the new name, which is no temporary one
    if (path === undefined || path.endsWith("-shm") || !below.some((directory) => isIn(directory, path))) continue;
    if (call === "openat" && !/O_CREAT|O_TRUNC/.test(rest)) continue;
    const index = counts.get(`${thread} ${call} ${path}`) ?? 1;
    points.set(`${call} ${path} ${index}`, { call, path, index });
  }
  return [...points.values()];
}

function isIn(directory: string, path: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/** The paths of a call: of the descriptor that it begins with, as strace shows it, or else each name. */
function pathsOf(rest: string): readonly string[] {
  const descriptor = /^\d+<(\/[^>]*)>/.exec(rest)?.[1];
  if (descriptor !== undefined) return [descriptor];
  return [...rest.matchAll(/(?:^|AT_FDCWD<[^>]*>, |, )"(\/[^"]*)"/g)].map(([, name]) => name ?? "");
}

/** Runs up to the point. True where it was reached, and someone was killed. */
export async function killAt({ call, path, index }: KillPoint, victim: Victim, run: Run): Promise<boolean> {
  using place = temporaryDirectory();
  const log = join(place.path, "log");
  const signal = victim === "it" ? "KILL" : "STOP";
  const inject = `inject=${call}:signal=${signal}:when=${index}`;
  const child = trace(run, ["-o", log, "-P", path, "-e", `trace=${call}`, "-e", inject]);
  const ended = end(child);
  const tells = () => (existsSync(log) ? readFileSync(log, "utf8") : "");
  if (victim === "everyone") {
    const deadline = performance.now() + PATIENCE_MS;
    let isOver = false;
    void ended.then(() => {
      isOver = true;
    });
    while (!isOver && !tells().includes("stopped by SIGSTOP") && performance.now() < deadline) await delay(2);
    if (!isOver) child.kill("SIGKILL"); // with it the kernel ends its namespace
  }
  await ended;
  return /stopped by SIGSTOP|killed by SIGKILL/.test(tells());
}

function trace({ file, words, directory, environment }: Run, options: readonly string[]): ChildProcess {
  const strace = ["strace", "-f", "-q", ...options, file, ...words];
  // One thread does what is done beside the main one, so that the calls of a run come in one order.
  const env = { ...environment, UV_THREADPOOL_SIZE: "1" };
  return spawn("unshare", [...NAMESPACE, ...strace], { cwd: directory, env, stdio: ["ignore", "pipe", "pipe"] });
}

async function end(child: ChildProcess): Promise<{ readonly status: number | undefined; readonly output: string }> {
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (text) => {
      output += text;
    });
  }
  const [status] = await new Promise<[number | null]>((resolve) => child.once("close", (code) => resolve([code])));
  return { status: status ?? undefined, output };
}

/** Runs to the end, without strace. */
export function runThrough(run: Run): { readonly status: number | undefined; readonly output: string } {
  const { file, words, directory, environment } = run;
  const ended = spawnSync(file, words, { cwd: directory, env: environment, encoding: "utf8", timeout: PATIENCE_MS });
  const { stdout, stderr, error } = ended;
  if (error !== undefined) return { status: undefined, output: `${stdout}${stderr}${error.message}` };
  return { status: ended.status ?? undefined, output: stdout + stderr };
}
