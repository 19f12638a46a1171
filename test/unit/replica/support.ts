// What the tests of replicas share: a database with a replicator in this process, and stores that fail.

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { At } from "../../../src/base/context.ts";
import { systemClock, systemRandom } from "../../../src/base/system.ts";
import { type Catalog, createCatalog } from "../../../src/replica/catalog.ts";
import { type Guard, unguarded } from "../../../src/replica/lease/hold.ts";
import { decodeLtx, type LtxSummary } from "../../../src/replica/ltx/decode.ts";
import { SNAPSHOT_LEVEL } from "../../../src/replica/ltx/names.ts";
import { createReplicator, type Replicator } from "../../../src/replica/replicator.ts";
import { attach } from "../../../src/sqlite/attached.ts";
import type { Driver } from "../../../src/sqlite/driver.ts";
import { openFileStore } from "../../../src/storage/file.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { type App, startApp } from "../../support/app.ts";
import { decideStart, judgeReplica, listFiles } from "../../support/replica.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { type judge, makeDatabase } from "../../support/workload.ts";

export const never = new AbortController().signal;

export type Replicated = Awaited<ReturnType<typeof replicated>>;

/** A database that an app in another process writes to, and a replicator of it. */
export async function replicated(
  driver: Driver,
  {
    pageSize = 1024,
    at = () => {},
    wrap = (store) => store,
    wrapLocal = (store) => store,
    guard = unguarded,
    makeWith = makeDatabase,
  }: {
    readonly pageSize?: number;
    readonly at?: At;
    /** The store as the replicator sees it. */
    readonly wrap?: (store: ObjectStore) => ObjectStore;
    /** The store on the volume. */
    readonly wrapLocal?: (store: ObjectStore) => ObjectStore;
    readonly guard?: Guard;
    readonly makeWith?: (path: string, options: { readonly pageSize: number }) => void;
  } = {},
) {
  const directory = temporaryDirectory();
  const path = join(directory.path, "app.db");
  makeWith(path, { pageSize });
  const stateDirectory = join(directory.path, "state");
  mkdirSync(stateDirectory);
  const store = openFileStore(join(directory.path, "replica"), { random: systemRandom });
  const app: App = await startApp(path);
  const fullCopies: string[] = [];

  async function start() {
    const attached = attach(path, { driver, at });
    const catalog = createCatalog(await listFiles(store));
    const replicator = await createReplicator({
      attached,
      start: await decideStart(store, { path, stateDirectory, databaseId: "one-database" }),
      catalog,
      store: wrap(store),
      local: wrapLocal(openFileStore(stateDirectory, { random: systemRandom, durable: false })),
      stateDirectory,
      guard,
      clock: systemClock,
      log: ({ text }) => void (text.startsWith("copied the whole") && fullCopies.push(text)),
      at,
      signal: never,
    });
    return { attached, replicator, catalog };
  }

  let running = await start();
  let isHeld = true;
  return {
    directory: directory.path,
    path,
    stateDirectory,
    store,
    app,
    driver,
    /** Why the whole database was copied, each time it was. */
    fullCopies,
    get replicator(): Replicator {
      return running.replicator;
    },
    get catalog(): Catalog {
      return running.catalog;
    },
    get attached() {
      return running.attached;
    },
    /** Ships what is committed, and a snapshot after a copy, as the keeping of levels does. Gives the number of files. */
    async sync(): Promise<number> {
      const { replicator } = running;
      const files = await replicator.sync({ signal: never });
      if (running.catalog.reached(SNAPSHOT_LEVEL) >= replicator.copiedAt) return files;
      await replicator.snapshot({ signal: never });
      return files + 1;
    },
    capture: () => running.replicator.capture({ signal: never }),
    upload: () => running.replicator.upload({ signal: never }),
    snapshot: () => running.replicator.snapshot({ signal: never }),
    /** Lets go of the database for good, for another replicator. */
    letGo(): void {
      running.attached.close();
      isHeld = false;
    },
    /** Lets go, and starts anew. As the app has the database open, the log stays as it is. */
    async restart(meanwhile: () => Promise<unknown> = async () => {}): Promise<void> {
      running.attached.close();
      await meanwhile();
      running = await start();
    },
    /** What a restore of the replica gives. */
    judge: (): Promise<ReturnType<typeof judge>> =>
      judgeReplica({ store, driver, target: join(directory.path, "restored.db") }),
    async [Symbol.asyncDispose]() {
      if (isHeld) running.attached.close();
      await app.kill();
      directory[Symbol.dispose]();
    },
  };
}

/** A store that keeps what is put, and answers nothing; what it keeps may be made to arrive later. */
export function holding() {
  const state = { holds: false, held: [] as (() => Promise<unknown>)[] };
  const wrap = (store: ObjectStore): ObjectStore => ({
    ...store,
    async put(key, body, options) {
      if (!state.holds) return store.put(key, body, options);
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(Uint8Array.from(chunk));
      state.held.push(() => store.put(key, chunks, options));
      throw new Error("no answer");
    },
  });
  return { state, wrap };
}

/** A volume that has no room from some time on. */
export function full() {
  const state = { isFull: false };
  const wrapLocal = (store: ObjectStore): ObjectStore => ({
    ...store,
    async put(key, body, options) {
      if (!state.isFull) return store.put(key, body, options);
      throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    },
  });
  return { state, wrapLocal };
}

/** A commit is captured while the volume has no room for it. */
export async function captureInVain(
  replica: Replicated,
  { state }: Pick<ReturnType<typeof full>, "state">,
): Promise<void> {
  state.isFull = true;
  await replica.app.commit();
  await replica.capture();
  state.isFull = false;
}

/** What a power cut takes from the volume: staged files, and the note of how far was captured, wait for no disk. */
export function losePower(stateDirectory: string): void {
  rmSync(join(stateDirectory, "ltx"), { recursive: true });
  rmSync(join(stateDirectory, "captured.json"), { force: true });
}

/** Numbers of the transactions at a level, as ranges: "1-1", "1-4". */
export async function rangesAt(store: ObjectStore, level: number): Promise<readonly string[]> {
  return (await listFiles(store)).filter((file) => file.level === level).map(({ min, max }) => `${min}-${max}`);
}

/** "1-1", "2-2" and so on: the level-0 files of a history without a hole. */
export function chain(length: number): readonly string[] {
  return Array.from({ length }, (_, i) => `${i + 1}-${i + 1}`);
}

export type FileContent = LtxSummary & {
  readonly level: number;
  readonly key: string;
  readonly pages: readonly number[];
};

/** All LTX files of the replica, decoded and verified. */
export async function readFiles(store: ObjectStore): Promise<readonly FileContent[]> {
  const contents: FileContent[] = [];
  for (const { key, level } of await listFiles(store)) {
    const chunks = await store.get(key, { signal: never });
    if (chunks === undefined) throw new Error(`"${key}" is gone`);
    const pages: number[] = [];
    const summary = await decodeLtx(chunks, key, { onPage: ({ page }) => pages.push(page) });
    contents.push({ ...summary, level, key, pages });
  }
  return contents;
}
