// Two machines and a replica, and what must be true of it in the end.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished } from "vitest";
import { systemClock, systemRandom } from "../../../src/base/system.ts";
import { inspectReplica } from "../../../src/replica/inspect.ts";
import { planRestore } from "../../../src/replica/ltx/plan.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import { restoreTo } from "../../../src/replica/restore-to.ts";
import { openFileStore } from "../../../src/storage/file.ts";
import { makeS3Place } from "../../../src/storage/s3/place.ts";
import { openS3Store } from "../../../src/storage/s3/store.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { installedDriver } from "../../support/driver.ts";
import { createMachine, type Machine, type MachinePlaces } from "../../support/keeper.ts";
import { BUCKET, KEY, type S3Server, type ServerOptions, startS3Server } from "../../support/s3-server.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

export const signal = new AbortController().signal;

/** How long a test waits for something that must happen, in milliseconds. */
const PATIENCE_MS = 30_000;

export type World = Awaited<ReturnType<typeof world>>;

/** A replica of this kind, and room for machines. All of it is gone after the test. */
export async function world(kind: "bucket" | "directory", options: ServerOptions = {}) {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  let server: S3Server | undefined;
  let store: ObjectStore;
  let replica: Pick<MachinePlaces, "replica" | "environment">;
  if (kind === "directory") {
    store = openFileStore(join(directory.path, "replica"), { random: systemRandom });
    replica = { replica: store.address };
  } else {
    server = await startS3Server(options);
    const { origin, region } = server;
    const credentials = { get: async () => KEY, refused: () => {} };
    const place = makeS3Place({ bucket: BUCKET, path: "app", endpoint: origin, region });
    store = openS3Store(place, { clock: systemClock, random: systemRandom, credentials });
    replica = {
      replica: `s3://${BUCKET}/app?endpoint=${origin}&region=${region}`,
      environment: { AWS_ACCESS_KEY_ID: KEY.accessKeyId, AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey },
    };
    onTestFinished(() => server?.[Symbol.asyncDispose]());
  }
  const machines: Machine[] = [];

  /** The entries in the replica's state after a transaction. */
  async function entriesAt(txid: number): Promise<readonly string[]> {
    const { files } = await inspectReplica(store, { signal });
    const target = join(directory.path, `look-${systemRandom.uuid()}.db`);
    const plan = { format: "ltx", files: planRestore(files, { kind: "txid", txid: toTxid(BigInt(txid)) }) } as const;
    const driver = await installedDriver();
    await restoreTo({ store, plan, target, driver, clock: systemClock, signal, integrity: "full" });
    try {
      return entriesOf(target);
    } finally {
      for (const suffix of ["", "-wal", "-shm"]) rmSync(`${target}${suffix}`, { force: true });
    }
  }

  async function lastTxid(): Promise<number> {
    return Number((await inspectReplica(store, { signal })).lastTxid);
  }

  return {
    directory: directory.path,
    store,
    server,

    machine(name: string, { volume }: Pick<MachinePlaces, "volume"> = {}): Machine {
      const made = createMachine({ name, directory: directory.path, ...replica, ...(volume ? { volume } : {}) });
      machines.push(made);
      onTestFinished(() => made[Symbol.asyncDispose]());
      return made;
    },

    /** The entries in the replica's newest state. */
    entries: async () => entriesAt(await lastTxid()),

    /** Waits until a transaction that the machine knows to be in the replica has this entry. */
    async acknowledged(machine: Machine, entry: string): Promise<void> {
      const deadline = performance.now() + PATIENCE_MS;
      let looked = 0;
      for (;;) {
        const newest = Math.max(0, ...machine.acknowledged);
        if (newest > looked && (await entriesAt(newest)).includes(entry)) return;
        looked = newest;
        if (performance.now() > deadline) throw new Error(`waited in vain for ${entry} to be in the replica`);
        await delay(10);
      }
    },

    /**
     * Holds for a replica that machines wrote to one after the other: no transaction was acknowledged by two of them, each
     * state is the beginning of the next one, and the newest has all that was ever acknowledged. Gives its entries.
     */
    async expectOneHistory(): Promise<readonly string[]> {
      const all = machines.flatMap(({ acknowledged }) => [...acknowledged]);
      expect(new Set(all).size, "a transaction was acknowledged twice").toBe(all.length);
      let previous: readonly string[] = [];
      const last = await lastTxid();
      expect(Math.max(0, ...all)).toBeLessThanOrEqual(last);
      for (let txid = 1; txid <= last; txid += 1) {
        const entries = await entriesAt(txid);
        expect(entries.slice(0, previous.length), `transaction ${txid}`).toEqual(previous);
        previous = entries;
      }
      return previous;
    },
  };
}

export function entriesOf(path: string): readonly string[] {
  using database = new DatabaseSync(path, { readOnly: true });
  const rows = database.prepare('SELECT "machine", "n" FROM "Entry" ORDER BY "id"').all();
  return rows.map(({ machine, n }) => `${machine}${n}`);
}
