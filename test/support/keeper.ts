// A machine, as far as a replica can tell: a volume, a keeper from the sources on it, and an app that writes.

import { fork } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { FromKeeper, ToKeeper } from "../../src/base/messages.ts";
import type { LeaseTimes } from "../../src/replica/lease/rules.ts";
import { type App, startApp } from "./app.ts";
import { ROOT, until } from "./box.ts";
import { datasource, type Files, writeFiles } from "./project.ts";

/** Entries can only be added, so that each state is the beginning of all that come after it. */
const SCHEMA_SQL = 'CREATE TABLE "Entry" ("id" INTEGER PRIMARY KEY AUTOINCREMENT, "machine" TEXT, "n" INTEGER);\n';

const PROJECT: Files = {
  "package.json": JSON.stringify({ name: "entries", devDependencies: { prisma: "6.19.3" } }),
  "prisma/schema.prisma": datasource('env("DATABASE_URL")'),
  "prisma/migrations/migration_lock.toml": 'provider = "sqlite"\n',
  "prisma/migrations/20250101000000_init/migration.sql": SCHEMA_SQL,
};

export type Start = {
  readonly times: LeaseTimes;
  readonly again?: boolean;
  /** Without an app: replicates the database that is there. */
  readonly sidecar?: boolean;
  readonly fence?: "auto" | "required" | "off";
  readonly onStaleVolume?: "refuse" | "restore";
};

export type Machine = ReturnType<typeof createMachine>;

export type MachinePlaces = {
  /** For what the machine is called in the entries that its app makes. */
  readonly name: string;
  readonly directory: string;
  readonly replica: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** A directory to be used as the volume; else an empty one is made. */
  readonly volume?: string;
};

/** Gives a machine that is not running yet. */
export function createMachine({ name, directory, replica, environment = {}, ...places }: MachinePlaces) {
  const app = join(directory, `${name}-app`);
  const volume = places.volume ?? join(directory, `${name}-volume`);
  const database = join(volume, "app.db");
  writeFiles(app, PROJECT);
  mkdirSync(volume, { recursive: true });
  const running = new Set<Keeper>();
  const apps = new Set<App>();
  let entries = 0;
  let writer: App | undefined;

  const machine = {
    name,
    volume,
    database,
    /** Transactions that its keepers said to be in the replica, by any of them so far. */
    acknowledged: new Set<number>(),

    start(start: Start) {
      const keeper = startKeeper({
        start,
        app,
        volume,
        replica,
        environment: { FLY_MACHINE_ID: name, ...environment },
      });
      running.add(keeper);
      keeper.onAcknowledged((txid) => machine.acknowledged.add(txid));
      void keeper.ended.then(() => running.delete(keeper));
      return keeper;
    },

    /** Adds an entry, as an app does, and gives its number. */
    async write(): Promise<string> {
      if (writer === undefined) {
        writer = await startApp(database, { timeoutMs: 10_000 });
        apps.add(writer);
      }
      entries += 1;
      await writer.exec(`INSERT INTO "Entry" ("machine", "n") VALUES ('${name}', ${entries})`);
      return `${name}${entries}`;
    },

    /** Ends the app, as a stop does. */
    async endApp(): Promise<void> {
      await writer?.kill();
      writer = undefined;
    },

    get isUsed(): boolean {
      return existsSync(join(volume, ".app.db-flysqlite"));
    },

    async [Symbol.asyncDispose](): Promise<void> {
      for (const keeper of running) keeper.kill();
      await Promise.all([...running].map(({ ended }) => ended));
      for (const app of apps) await app.kill();
    },
  };
  return machine;
}

export type Keeper = ReturnType<typeof startKeeper>;

function startKeeper({
  start: { times, again = false, sidecar = false, fence = "auto", onStaleVolume = "refuse" },
  app,
  volume,
  replica,
  environment,
}: {
  readonly start: Start;
  readonly app: string;
  readonly volume: string;
  readonly replica: string;
  readonly environment: NodeJS.ProcessEnv;
}) {
  const words = [
    ...["--main", join(ROOT, "src/main.ts"), "--app", app, "--volume", volume, "--replica", replica],
    ...["--ttl", String(times.ttlMs), "--wait", String(times.waitMs), "--fence", fence],
    ...["--on-stale-volume", onStaleVolume, ...(again ? ["--again"] : [])],
    ...(sidecar ? ["--sidecar"] : []),
  ];
  const child = fork(join(import.meta.dirname, "keeper-process.ts"), words, {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    execArgv: [],
    env: { PATH: process.env["PATH"], DATABASE_URL: "file:./app.db", ...environment },
  });
  let output = "";
  let isReady = false;
  let exitStatus: number | undefined;
  const listeners = new Set<(txid: number) => void>();
  let rest = "";
  child.stderr?.on("data", (chunk) => {
    output += chunk;
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [, txid] = /transaction ([0-9a-f]{16}) is in the replica/.exec(line) ?? [];
      if (txid !== undefined) for (const listener of listeners) listener(Number.parseInt(txid, 16));
    }
  });
  child.on("message", (message: FromKeeper) => {
    isReady = message.kind === "ready";
  });
  const ended = new Promise<number>((resolve) => {
    child.once("close", (code, signal) => {
      exitStatus = code ?? (signal === null ? -1 : 128);
      resolve(exitStatus);
    });
  });
  const tell = (message: ToKeeper) => child.send(message, () => {});
  const line = (pattern: RegExp) =>
    until(() => pattern.test(output), {
      orElse: () => exitStatus !== undefined && !pattern.test(output),
      what: () => `${pattern}\n${output}`,
    });

  return {
    ended,
    output: () => output,
    onAcknowledged: (listener: (txid: number) => void) => void listeners.add(listener),

    /** Waits until the app may start; fails with all that was told where that won't be. */
    ready: () =>
      until(() => isReady, { orElse: () => exitStatus !== undefined, what: () => `the keeper to be ready\n${output}` }),

    line,

    /** Lets it halt between the guard and its next upload; `halted` comes true then. */
    async haltBeforeUpload(): Promise<void> {
      child.kill("SIGUSR2");
      await line(/^halts before its next upload$/m);
    },
    halted: () => line(/^halted$/m),

    /** The app is gone: ships the rest. Gives the exit status. */
    finish(): Promise<number> {
      tell({ kind: "finish" });
      return ended;
    },

    signal: (name: NodeJS.Signals) => void child.kill(name),

    /** Ends it at once, as a crash does. A halted one too. */
    kill: () => void child.kill("SIGKILL"),
  };
}
