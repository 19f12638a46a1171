// Replicates a database that other processes write to, with pauses at random points of the protocol, restores
// again and again, and judges what comes back. A soak without the pauses finds next to nothing.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock, systemRandom } from "../../src/base/system.ts";
import { inspectReplica } from "../../src/replica/inspect.ts";
import { NO_TXID } from "../../src/replica/ltx/txid.ts";
import { createReplicator } from "../../src/replica/replicator.ts";
import { restoreLatest } from "../../src/replica/restore.ts";
import { attach } from "../../src/sqlite/attached.ts";
import { loadDriver } from "../../src/sqlite/load-driver.ts";
import { openFileStore } from "../../src/storage/file.ts";
import { seededRandom } from "./random.ts";
import { judge, makeDatabase } from "./workload.ts";

export type TortureResult = {
  /** Transactions that writers saw committed. */
  readonly committed: number;
  readonly restores: number;
  /** Times the log began anew under new salts. */
  readonly restarts: number;
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
}: {
  readonly directory: string;
  readonly seed: number;
  readonly seconds: number;
  readonly longestPauseMs: number;
}): Promise<TortureResult> {
  const random = seededRandom(seed);
  const path = join(directory, "app.db");
  makeDatabase(path, { pageSize: [512, 1024, 4096, 16384][Math.floor(random.unit() * 4)] ?? 4096 });
  const stateDirectory = join(directory, "state");
  mkdirSync(stateDirectory);
  const store = openFileStore(join(directory, "replica"), { random: systemRandom });
  const { signal } = new AbortController();
  const wait = new Int32Array(new SharedArrayBuffer(4));
  const driver = await loadDriver({ assets: { read: () => undefined }, temporaryDirectories: [], log: () => {} });
  const fullCopies: string[] = [];
  const attached = attach(path, {
    driver,
    at: () => void (random.unit() < 0.5 && Atomics.wait(wait, 0, 0, random.unit() * longestPauseMs)),
  });
  const replicator = createReplicator({
    attached,
    start: { databaseId: random.uuid(), lastTxid: NO_TXID, position: undefined },
    store,
    stateDirectory,
    clock: systemClock,
    log: ({ text }) => void (text.startsWith("copied the whole") && fullCopies.push(text)),
    at: () => void (random.unit() < 0.3 && Atomics.wait(wait, 0, 0, random.unit() * longestPauseMs)),
  });

  const writers = [
    startWriter(path, { directory, name: "a", seed }),
    startWriter(path, { directory, name: "b", seed: seed + 1 }),
  ];
  const salts = new Set<string>();
  const wrong: string[] = [];
  let restores = 0;
  const check = async (atLeast: number) => {
    const target = join(directory, "restored.db");
    const { files } = await inspectReplica(store, { signal });
    try {
      await restoreLatest({ store, files, target, driver, signal, verified: async () => {} });
      const found = judge(target);
      if ("wrong" in found) wrong.push(found.wrong);
      else if (found.n < atLeast)
        wrong.push(`restored transaction ${found.n}, and ${atLeast} was committed before the sync`);
    } catch (error) {
      wrong.push(String(error));
    }
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${target}${suffix}`, { force: true });
    restores += 1;
  };

  try {
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end && wrong.length === 0) {
      for (let round = 0; round < 4; round += 1) {
        await replicator.sync({ signal });
        if (random.unit() < 0.7) await replicator.maintain({ signal });
        if (attached.position?.kind === "log") salts.add(attached.position.header.salts.join());
        await delay(random.unit() * 20);
      }
      const before = newestAcknowledged(writers);
      await replicator.sync({ signal });
      await check(before);
    }
    for (const { child } of writers) child.kill("SIGTERM");
    await Promise.all(writers.map(({ ended }) => ended));
    await replicator.sync({ signal });
    await check(newestAcknowledged(writers));
    for (const { stderr } of writers) if (stderr() !== "") wrong.push(`a writer failed: ${stderr()}`);
  } finally {
    for (const { child } of writers) child.kill("SIGKILL");
    attached.close();
  }
  return {
    committed: newestAcknowledged(writers),
    restores,
    restarts: salts.size - 1,
    fullCopies: fullCopies.slice(1),
    wrong,
  };
}

function startWriter(
  path: string,
  { directory, name, seed }: { readonly directory: string; readonly name: string; readonly seed: number },
) {
  const acknowledged = join(directory, `acknowledged-${name}`);
  const script = join(import.meta.dirname, "writer.ts");
  const child: ChildProcess = spawn(process.execPath, [script, path, acknowledged, String(seed), "chaos"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr?.on("data", (text) => {
    stderr += text;
  });
  return { child, acknowledged, ended: once(child, "exit"), stderr: () => stderr };
}

function newestAcknowledged(writers: readonly { readonly acknowledged: string }[]): number {
  const numbers = writers.flatMap(({ acknowledged }) => {
    if (!existsSync(acknowledged)) return [];
    const lines = readFileSync(acknowledged, "utf8").split("\n");
    return Number(lines.at(-2) ?? 0); // the last one may be half written
  });
  return Math.max(0, ...numbers);
}
