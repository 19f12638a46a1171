// Level-0 files on the volume: written before the log is let go, uploaded in order, and kept until level 1 has
// them. So a bucket that is away keeps nobody waiting, and compaction has its sources at hand.

import { statfsSync } from "node:fs";
import { join } from "node:path";
import { syncDirectory } from "../base/durable-file.ts";
import { FlysqliteError, systemCode } from "../base/errors.ts";
import type { ObjectInfo, ObjectStore } from "../storage/store.ts";
import { decodeLtx } from "./ltx/decode.ts";
import { decodeHeader, LTX_HEADER_SIZE, type LtxHeader } from "./ltx/header.ts";
import { formatLtxName, type LtxFileInfo, parseLtxName, SYNC_LEVEL } from "./ltx/names.ts";
import { nextTxid, type Txid } from "./ltx/txid.ts";
import type { Shipment } from "./shipment.ts";

export type StagedFile = {
  readonly txid: Txid;
  readonly key: string;
  readonly sizeBytes: number;
  /** Time of the transaction, in milliseconds since the Unix epoch. */
  readonly timestampMs: number;
};

/** Left free on the volume by staging, in bytes: the app comes first. */
const RESERVE_BYTES = 64 * 1024 * 1024;

/** What waits for the bucket may take this much, or as much as the database where that is larger. */
const WAITING_BYTES = 64 * 1024 * 1024;

/** Files that the replica has already are kept for compaction up to this many. */
const MOST_UPLOADED = 64;

/** There is no room to wait for the bucket. The database itself has everything; only the history gets a gap. */
export class StagingFull extends Error {}

export type Staging = Awaited<ReturnType<typeof openStaging>>;

/**
 * Opens what an earlier process left in `store`. Files behind `captured` were never recorded and are removed; so is
 * what is not sound of those that the replica lacks, with all behind it. Those that it has are kept for compaction,
 * which takes the replica's where one is not sound: to read them all now would only keep the app waiting.
 */
export async function openStaging({
  store,
  directory,
  captured,
  replicated,
  signal,
}: {
  /** A store of files on the volume. */
  readonly store: ObjectStore;
  /** Where that store is: for the volume's free space, and for what must not come back. */
  readonly directory: string;
  /** The last transaction that was recorded as staged. */
  readonly captured: Txid;
  /** The replica's last transaction. */
  readonly replicated: Txid;
  readonly signal: AbortSignal;
}) {
  const level = `${store.levelDirectory(SYNC_LEVEL)}/`;
  let files: StagedFile[] = [];
  for (const found of (await store.list(level, { signal })).toSorted(byKey)) {
    const file = toStaged(found, level);
    if (file !== undefined) files.push(file);
  }

  async function remove(unwanted: readonly StagedFile[]): Promise<void> {
    const keys = new Set(unwanted.map(({ key }) => key));
    if (keys.size === 0) return;
    await store.deleteMany([...keys], { signal });
    files = files.filter(({ key }) => !keys.has(key));
  }

  /** For files whose names others will get: after a power cut an old one would be taken for the new. */
  async function removeForGood(unwanted: readonly StagedFile[]): Promise<void> {
    if (unwanted.length === 0) return;
    await remove(unwanted);
    await syncDirectory(join(directory, store.levelDirectory(SYNC_LEVEL)));
  }

  async function isSound({ key }: StagedFile): Promise<boolean> {
    try {
      await decodeLtx((await store.get(key, { signal })) ?? empty(), key, { onPage: () => {} });
      return true;
    } catch (error) {
      if (error instanceof FlysqliteError && error.code === "E_REPLICA_CORRUPT") return false;
      throw error;
    }
  }

  await removeForGood(files.filter(({ txid }) => txid > captured));
  for (const file of files) {
    if (file.txid <= replicated || (await isSound(file))) continue;
    await removeForGood(files.filter(({ txid }) => txid >= file.txid));
    break;
  }

  async function read(key: string, range: { readonly lengthBytes?: number } = {}): Promise<AsyncIterable<Uint8Array>> {
    const chunks = await store.get(key, { ...range, signal });
    if (chunks !== undefined) return chunks;
    throw new FlysqliteError("E_INTERNAL", `the staged file "${key}" is gone`);
  }

  const freeBytes = () => {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  };

  return {
    store,

    /** Ascending by transaction. */
    get files(): readonly StagedFile[] {
      return files;
    },

    /** The same as a listing shows them. */
    list: (): readonly LtxFileInfo[] =>
      files.map(({ txid, key, sizeBytes, timestampMs }) => ({
        level: SYNC_LEVEL,
        min: txid,
        max: txid,
        key,
        sizeBytes,
        modifiedMs: timestampMs,
      })),

    /** Those behind `replicated`. */
    waiting: (replicated: Txid): readonly StagedFile[] => files.filter(({ txid }) => txid > replicated),

    /** True where the files lead from `from` to `to` without a gap. */
    bridges({ from, to }: { readonly from: Txid; readonly to: Txid }): boolean {
      let reached = from;
      for (const { txid } of files) if (txid === nextTxid(reached)) reached = txid;
      return reached >= to;
    },

    /** True where a file of that size leaves the app its room. */
    hasRoom: (sizeBytes: number): boolean => freeBytes() >= sizeBytes + RESERVE_BYTES,

    /**
     * Writes a file, durable when this is back, in place of one that was not admitted. Throws StagingFull, and nothing
     * is left of it, where the volume is full or too much waits for the bucket already.
     */
    async write(
      { header: { timestampMs }, position: { txid }, body, databaseBytes }: Shipment,
      { replicated }: { readonly replicated: Txid },
    ): Promise<StagedFile> {
      const waitingBytes = files.reduce((sum, file) => (file.txid > replicated ? sum + file.sizeBytes : sum), 0);
      if (waitingBytes > Math.max(WAITING_BYTES, databaseBytes)) {
        throw new StagingFull("more waits for the replica than the database has");
      }
      const key = `${level}${formatLtxName({ min: txid, max: txid })}`;
      const count = { bytes: 0 };
      try {
        await store.put(key, counted(body({ releases: true }), count), { modifiedMs: timestampMs, signal });
      } catch (error) {
        if (isFull(error)) throw new StagingFull("the volume is full");
        throw error;
      }
      return { txid, key, sizeBytes: count.bytes, timestampMs };
    },

    /** Lets a file be uploaded, once the position behind it is recorded. */
    admit(file: StagedFile): void {
      files.push(file);
    },

    /** Removes a file that was not admitted. */
    discard: (file: StagedFile): Promise<void> => removeForGood([file]),

    /** The file's bytes. */
    read: ({ key }: StagedFile): Promise<AsyncIterable<Uint8Array>> => read(key),

    async header({ key }: StagedFile): Promise<LtxHeader> {
      const chunks: Uint8Array[] = [];
      for await (const chunk of await read(key, { lengthBytes: LTX_HEADER_SIZE })) chunks.push(chunk);
      return decodeHeader(Buffer.concat(chunks), key);
    },

    /** Removes what level 1 holds, up to `compacted`, and the oldest of what else the replica has where it gets too many. */
    async prune({ compacted, replicated }: { readonly compacted: Txid; readonly replicated: Txid }): Promise<void> {
      const uploaded = files.filter(({ txid }) => txid <= replicated);
      const surplus = new Set(uploaded.slice(0, Math.max(0, uploaded.length - MOST_UPLOADED)));
      await remove(uploaded.filter((file) => file.txid <= compacted || surplus.has(file)));
    },

    /** Removes everything behind `txid`. */
    removeBehind: (txid: Txid): Promise<void> => removeForGood(files.filter((file) => file.txid > txid)),
  };
}

/** The chunks, counted as they are taken. */
export function* counted(chunks: Iterable<Uint8Array>, count: { bytes: number }): Generator<Uint8Array> {
  for (const chunk of chunks) {
    count.bytes += chunk.byteLength;
    yield chunk;
  }
}

async function* empty(): AsyncGenerator<Uint8Array> {}

function byKey(a: ObjectInfo, b: ObjectInfo): number {
  return a.key < b.key ? -1 : 1;
}

function toStaged({ key, sizeBytes, modifiedMs }: ObjectInfo, level: string): StagedFile | undefined {
  const range = parseLtxName(key.slice(level.length));
  if (range === undefined || range.min !== range.max) return undefined;
  return { txid: range.min, key, sizeBytes, timestampMs: modifiedMs };
}

/** True where a write found no space, whatever was wrapped around that. */
function isFull(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = systemCode(at);
    if (code === "ENOSPC" || code === "EDQUOT") return true;
  }
  return false;
}
