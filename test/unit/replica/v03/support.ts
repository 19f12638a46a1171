// What the tests of Litestream 0.3's format share: its own program, its fixture, and a restore of ours.

import { execFile, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { LtxPage } from "../../../../src/replica/ltx/encode.ts";
import { type RestoredDatabase, type RestoreToOptions, restoreTo } from "../../../../src/replica/restore-to.ts";
import { listV03, type V03Files } from "../../../../src/replica/v03/names.ts";
import { planV03, type V03Target } from "../../../../src/replica/v03/plan.ts";
import { createNodeSqliteDriver } from "../../../../src/sqlite/node-sqlite.ts";
import { addChecksum } from "../../../../src/sqlite/wal/format.ts";
import { openFileStore } from "../../../../src/storage/file.ts";
import type { ObjectStore } from "../../../../src/storage/store.ts";
import { seededRandom } from "../../../support/random.ts";

export const FIXTURE = fileURLToPath(new URL("../../../fixtures/litestream/generated/v0.3.13/", import.meta.url));

const LITESTREAM = fileURLToPath(
  new URL("../../../../node_modules/@flydotio/litestream-linux-x64/litestream", import.meta.url),
);

/** The program runs on Linux on x64 only. */
export const HAS_LITESTREAM = process.platform === "linux" && process.arch === "x64" && existsSync(LITESTREAM);

export const signal = new AbortController().signal;

/** Copies the fixture's replica, with the times that tell its history. */
export function copyFixture(directory: string): string {
  const replica = join(directory, "replica");
  cpSync(join(FIXTURE, "replica"), replica, { recursive: true });
  const times: Record<string, number> = JSON.parse(readFileSync(join(FIXTURE, "mtimes_ms.json"), "utf8"));
  for (const [key, ms] of Object.entries(times)) utimesSync(join(replica, key), ms / 1000, ms / 1000);
  return replica;
}

export function openStore(replica: string): ObjectStore {
  return openFileStore(replica, { random: seededRandom(1) });
}

export async function listReplica(store: ObjectStore): Promise<V03Files> {
  return listV03(await store.list("", { signal }));
}

export type Ours = RestoredDatabase & { readonly bytes: Buffer };

/** Restores with flysqlite, and gives the database's bytes. Fails as it does. */
export async function restoreOurs(
  store: ObjectStore,
  target: V03Target,
  directory: string,
  options: Partial<RestoreToOptions> = {},
): Promise<Ours> {
  const path = join(directory, "ours.db");
  rmSync(path, { force: true });
  const restored = await restoreTo({
    store,
    plan: { format: "v03", plan: planV03(await listReplica(store), target) },
    target: path,
    driver: createNodeSqliteDriver(),
    clock: { now: () => 0 },
    signal,
    integrity: "none",
    ...options,
  });
  const bytes = readFileSync(path);
  rmSync(path);
  return { ...restored, bytes };
}

/** Restores with Litestream 0.3.13: the database's bytes, or undefined where it fails. */
export async function restoreTheirs(replica: string, arguments_: readonly string[], directory: string) {
  const path = join(directory, "theirs.db");
  rmSync(path, { force: true });
  const all = ["restore", "-o", path, ...arguments_, pathToFileURL(replica).href];
  try {
    await promisify(execFile)(LITESTREAM, all, { timeout: 60_000 });
  } catch {
    return undefined;
  }
  // Without anything to restore it ends well, and writes nothing.
  return existsSync(path) ? readFileSync(path) : undefined;
}

/** Litestream 0.3.13 while it replicates; disposing stops it and waits for that. */
export function replicate(directory: string, { database, replica }: { database: string; replica: string }) {
  const config = join(directory, "litestream.yml");
  writeFileSync(
    config,
    JSON.stringify({
      dbs: [
        {
          path: database,
          "monitor-interval": "20ms",
          "checkpoint-interval": "300ms",
          "min-checkpoint-page-count": 20,
          replicas: [
            {
              type: "file",
              path: replica,
              "sync-interval": "20ms",
              "snapshot-interval": "1s",
              retention: "24h",
            },
          ],
        },
      ],
    }),
  );
  const child = spawn(LITESTREAM, ["replicate", "-config", config], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));
  return {
    output: () => output,
    async [Symbol.asyncDispose]() {
      child.kill("SIGINT");
      await exited;
    },
  };
}

/** Paths of all files below `directory`, relative to it. */
export function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .sort();
}

export function writeObject(replica: string, key: string, bytes: Uint8Array): void {
  mkdirSync(dirname(join(replica, key)), { recursive: true });
  writeFileSync(join(replica, key), bytes);
}

export type Frame = LtxPage & {
  /** Size of the database in pages, on the last frame of a transaction. */
  readonly commit?: number;
};

/** A write-ahead log as SQLite writes it: header and frames. */
export function writeLog({
  pageSize,
  frames,
  salts = [1, 2],
  bigEndian = false,
}: {
  readonly pageSize: number;
  readonly frames: readonly Frame[];
  readonly salts?: readonly [number, number];
  readonly bigEndian?: boolean;
}): Uint8Array {
  const bytes = new Uint8Array(32 + frames.length * (24 + pageSize));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bigEndian ? 0x377f0683 : 0x377f0682);
  view.setUint32(4, 3007000);
  view.setUint32(8, pageSize);
  view.setUint32(16, salts[0]);
  view.setUint32(20, salts[1]);
  let checksum = addChecksum([0, 0], bytes.subarray(0, 24), bigEndian);
  view.setUint32(24, checksum[0]);
  view.setUint32(28, checksum[1]);
  for (const [i, { page, data, commit = 0 }] of frames.entries()) {
    const at = 32 + i * (24 + pageSize);
    view.setUint32(at, page);
    view.setUint32(at + 4, commit);
    view.setUint32(at + 8, salts[0]);
    view.setUint32(at + 12, salts[1]);
    bytes.set(data, at + 24);
    checksum = addChecksum(checksum, bytes.subarray(at, at + 8), bigEndian);
    checksum = addChecksum(checksum, data, bigEndian);
    view.setUint32(at + 16, checksum[0]);
    view.setUint32(at + 20, checksum[1]);
  }
  return bytes;
}
