// What is measured: flysqlite, and the Litestream of both lines, each as a user runs it beside an app, with the
// settings that it has by itself.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findLitestream03, findLitestream05 } from "../../test/support/litestream.ts";
import { BUCKET, KEY } from "../../test/support/s3-server.ts";

export type Place = {
  /** Of one measurement: the database is app.db in it. */
  readonly directory: string;
  /** The bucket's server. */
  readonly origin: string;
};

export type Replicator = {
  readonly name: string;
  /** Starts it; ended by its disposal, after its last upload. */
  readonly start: (place: Place) => Running;
  /** Restores what it replicated with Litestream itself. */
  readonly restore: (place: Place, output: string) => Promise<void>;
};

export type Running = AsyncDisposable & {
  readonly pid: number;
  readonly output: () => string;
};

export type Usage = { readonly privateMegabytes: number; readonly rssMegabytes: number; readonly cpuSeconds: number };

const FLYSQLITE = join(import.meta.dirname, "../../dist/flysqlite");

/** Litestream 0.3 does not always end when it is told to. In milliseconds. */
const STOP_LIMIT_MS = 20_000;

const database = ({ directory }: Place) => join(directory, "app.db");
const urlOf = ({ origin }: Place) => `s3://${BUCKET}/db?endpoint=${origin}&region=us-east-1`;
const environmentOf = ({ directory }: Place) => ({
  AWS_ACCESS_KEY_ID: KEY.accessKeyId,
  AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
  AWS_REGION: "us-east-1",
  HOME: directory,
});

/** Those that can be had here. */
export function findReplicators(): readonly Replicator[] {
  const [new05, old03] = [findLitestream05(), findLitestream03()];
  return [
    ...(new05 === undefined ? [] : [flysqlite(new05), litestream("Litestream 0.5.17", new05)]),
    ...(old03 === undefined ? [] : [litestream("Litestream 0.3.13", old03)]),
  ];
}

function flysqlite(oracle: string): Replicator {
  return {
    name: "flysqlite",
    start: (place) => run(FLYSQLITE, ["replicate", "--database", database(place), "--replica", urlOf(place)], place),
    restore: (place, output) => call(oracle, ["restore", "-o", output, urlOf(place)], place),
  };
}

function litestream(name: string, program: string): Replicator {
  const configure = (place: Place) => {
    const file = join(place.directory, "litestream.yml");
    const at = { type: "s3", bucket: BUCKET, path: "db", endpoint: place.origin, region: "us-east-1" };
    const replica = { ...at, "force-path-style": true };
    writeFileSync(file, JSON.stringify({ dbs: [{ path: database(place), replicas: [replica] }] }));
    return ["-config", file];
  };
  return {
    name,
    start: (place) => run(program, ["replicate", ...configure(place)], place),
    restore: (place, output) => call(program, ["restore", ...configure(place), "-o", output, database(place)], place),
  };
}

function run(program: string, words: readonly string[], place: Place): Running {
  const child = spawn(program, words, { env: environmentOf(place), stdio: ["ignore", "pipe", "pipe"] });
  const output = collect(child);
  const closed = once(child, "close");
  return {
    pid: child.pid ?? 0,
    output,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
      await closed;
      clearTimeout(late);
    },
  };
}

async function call(program: string, words: readonly string[], place: Place): Promise<void> {
  const child = spawn(program, words, { env: environmentOf(place), stdio: ["ignore", "pipe", "pipe"] });
  const output = collect(child);
  const [status] = await once(child, "close");
  if (status !== 0) throw new Error(`${program} ${words.join(" ")}: ${output()}`);
}

function collect({ stdout, stderr }: ChildProcess): () => string {
  let output = "";
  for (const stream of [stdout, stderr]) stream?.on("data", (text) => (output += text));
  return () => output;
}

/** Of a process and all that it started. Source: proc_pid_smaps(5), proc_pid_stat(5) */
export function usageOf(pid: number): Usage {
  const all = [pid, ...descendantsOf(pid)];
  const sum = (of: (pid: number) => number) => all.reduce((total, one) => total + orZero(() => of(one)), 0);
  const field = (one: number, name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${one}/smaps_rollup`, "utf8"))?.[1] ?? 0);
  return {
    privateMegabytes: sum((one) => field(one, "Private_Dirty")) / 1024,
    rssMegabytes: sum((one) => field(one, "Rss")) / 1024,
    cpuSeconds: sum((one) => {
      const fields = readFileSync(`/proc/${one}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
      return (Number(fields[11]) + Number(fields[12])) / 100;
    }),
  };
}

function descendantsOf(pid: number): readonly number[] {
  const own = orZero(() =>
    readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number),
    ),
  );
  return own === 0 ? [] : own.flatMap((child) => [child, ...descendantsOf(child)]);
}

/** A process may be gone meanwhile. */
function orZero<T>(read: () => T): T | 0 {
  try {
    return read();
  } catch {
    return 0;
  }
}
