// Replicates a database that other processes write to, with pauses at random points of the protocol, restores
// again and again, and judges what comes back. A soak without the pauses finds next to nothing.
//
// The replicator and the writers are processes of their own. With `kills` they die at any time and come again.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { systemRandom } from "../../src/base/system.ts";
import { openFileStore } from "../../src/storage/file.ts";
import { installedDriver } from "./driver.ts";
import { differingPages } from "./pages.ts";
import { seededRandom } from "./random.ts";
import { restoreLatest } from "./replica.ts";
import { type ReplicatorProcess, startReplicator } from "./replicator.ts";
import type { ReplicatorRequest } from "./replicator-process.ts";
import { judge, makeDatabase } from "./workload.ts";

export type TortureResult = {
  /** Transactions that writers saw committed. */
  readonly committed: number;
  readonly restores: number;
  /** Times the log began anew under new salts. */
  readonly restarts: number;
  /** Processes that were killed: writers, and the replicator. */
  readonly kills: number;
  /** Copies of the whole database beyond the first, each with its reason. */
  readonly fullCopies: readonly string[];
  /** What was wrong with a restored database; empty when all is well. */
  readonly wrong: readonly string[];
};

export async function torture({
  directory,
  seed,
  seconds,
  longestPauseMs,
  kills: mayKill,
}: {
  readonly directory: string;
  readonly seed: number;
  /** At least, and until the log was restarted and, with `kills`, something was killed. */
  readonly seconds: number;
  readonly longestPauseMs: number;
  readonly kills: boolean;
}): Promise<TortureResult> {
  const random = seededRandom(seed);
  const path = join(directory, "app.db");
  makeDatabase(path, { pageSize: [512, 1024, 4096, 16384][Math.floor(random.unit() * 4)] ?? 4096 });
  const places = { database: path, replica: join(directory, "replica"), state: join(directory, "state") };
  const store = openFileStore(places.replica, { random: systemRandom });
  const driver = await installedDriver();

  const salts = new Set<string>();
  const wrong: string[] = [];
  const fullCopies: string[] = [];
  let restores = 0;
  let kills = 0;
  let starts = 0;
  const startNext = () => {
    starts += 1;
    return startReplicator(places, { seed: seed * 1000 + starts, pauseMs: longestPauseMs });
  };
  let replicator = await startNext();
  const writers = ["a", "b"].map((name, i) => startWriter(path, { directory, name, seed: seed + i }));

  /** Has it done, by a new process if this one dies over it. */
  async function have(request: ReplicatorRequest, { mayDie }: { readonly mayDie: boolean }): Promise<void> {
    for (;;) {
      const killed = mayKill && mayDie && random.unit() < 0.15 ? killLater(replicator, random.unit() * 60) : undefined;
      const answer = await replicator.ask(request);
      if (await killed) kills += 1;
      if (answer !== undefined) {
        if (answer.salts !== undefined) salts.add(answer.salts);
        if (answer.error !== undefined) wrong.push(`${request}: ${answer.error}`);
        fullCopies.push(...answer.fullCopies);
        if (killed === undefined) return;
      }
      replicator = await startNext();
    }
  }

  async function check({ atLeast, exactly }: { readonly atLeast: number; readonly exactly: boolean }): Promise<void> {
    const target = join(directory, "restored.db");
    try {
      await restoreLatest({ store, target, driver });
      const restored = exactly ? readFileSync(target) : undefined;
      const found = judge(target);
      if ("wrong" in found) wrong.push(found.wrong);
      else if (found.n < atLeast) {
        wrong.push(`restored transaction ${found.n}, and ${atLeast} was committed before the sync`);
      }
      if (restored !== undefined) wrong.push(...differingPages(restored, readAsSqliteSees(path, directory)));
    } catch (error) {
      wrong.push(String(error));
    }
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${target}${suffix}`, { force: true });
    restores += 1;
  }

  try {
    const end = performance.now() + seconds * 1000;
    // On a busy machine it takes longer until it was a torture.
    const isEnough = () => performance.now() >= end && salts.size > 1 && (!mayKill || kills > 0);
    while (!isEnough() && wrong.length === 0) {
      const rounds = 1 + Math.floor(random.unit() * 3);
      for (let round = 0; round < rounds; round += 1) {
        await have("sync", { mayDie: true });
        if (random.unit() < 0.7) await have("capture", { mayDie: true });
        await delay(random.unit() * 20);
      }
      if (mayKill && random.unit() < 0.5) {
        await writers[Math.floor(random.unit() * writers.length)]?.killAndRestart();
        kills += 1;
      }
      const before = newestAcknowledged(writers);
      await have("sync", { mayDie: false });
      await check({ atLeast: before, exactly: false });
    }
    await Promise.all(writers.map((writer) => writer.stop()));
    await have("sync", { mayDie: false });
    await check({ atLeast: newestAcknowledged(writers), exactly: true });
    for (const { stderr } of writers) if (stderr() !== "") wrong.push(`a writer failed: ${stderr()}`);
  } finally {
    await Promise.all([replicator.kill(), ...writers.map((writer) => writer.kill())]);
  }
  return {
    committed: newestAcknowledged(writers),
    restores,
    restarts: Math.max(0, salts.size - 1),
    kills,
    fullCopies: fullCopies.slice(1),
    wrong,
  };
}

async function killLater(process: ReplicatorProcess, afterMs: number): Promise<true> {
  await delay(afterMs);
  await process.kill();
  return true;
}

/** The database file as it would be if the log were copied into it. Made from copies, as others have it open. */
function readAsSqliteSees(path: string, directory: string): Buffer {
  const copy = join(directory, "as-is.db");
  try {
    // This process has no locks on the database that closing its file could drop.
    copyFileSync(path, copy);
    if (existsSync(`${path}-wal`)) copyFileSync(`${path}-wal`, `${copy}-wal`);
    {
      using database = new DatabaseSync(copy);
      database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    }
    return readFileSync(copy);
  } finally {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${copy}${suffix}`, { force: true });
  }
}

function startWriter(
  path: string,
  { directory, name, seed }: { readonly directory: string; readonly name: string; readonly seed: number },
) {
  const acknowledged = join(directory, `acknowledged-${name}`);
  const script = join(import.meta.dirname, "writer.ts");
  let stderr = "";
  let starts = 0;
  let ended: Promise<unknown> = Promise.resolve();
  const start = (): ChildProcess => {
    starts += 1;
    const words = [script, path, acknowledged, String(seed + 100 * starts), "chaos"];
    const started = spawn(process.execPath, words, { stdio: ["ignore", "ignore", "pipe"] });
    started.stderr?.on("data", (text) => {
      stderr += text;
    });
    ended = once(started, "close");
    return started;
  };
  let child = start();
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await ended;
  };
  return {
    acknowledged,
    stderr: () => stderr,
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    async killAndRestart(): Promise<void> {
      await end("SIGKILL");
      child = start();
    },
  };
}

function newestAcknowledged(writers: readonly { readonly acknowledged: string }[]): number {
  const numbers = writers.flatMap(({ acknowledged }) => {
    if (!existsSync(acknowledged)) return [];
    const lines = readFileSync(acknowledged, "utf8").split("\n");
    return Number(lines.at(-2) ?? 0); // the last one may be half written
  });
  return Math.max(0, ...numbers);
}
