// Makes a level's next files of the level below it, in the replica.
//
// What is read may have vanished or be damaged. That doesn't stop a level for ever: the compactor says which part of the
// history is lost, whoever hears it adds a copy of the whole database, and with that the level goes on.

import type { At } from "../base/context.ts";
import { FlysqliteError } from "../base/errors.ts";
import { debug, type Log, warn } from "../base/events.ts";
import { formatBytes } from "../base/format.ts";
import type { ObjectStore } from "../storage/store.ts";
import type { Catalog } from "./catalog.ts";
import type { Guard } from "./lease/hold.ts";
import { type MergePlan, PIECE_BYTES, planMerge, reachedWith } from "./levels.ts";
import { InputRefused, type LtxMerge, openMerge } from "./ltx/merge.ts";
import { formatLtxName, LEVELS, type LtxFileInfo, SYNC_LEVEL } from "./ltx/names.ts";
import { restorableTxid } from "./ltx/plan.ts";
import { formatTxid, type Txid, toTxid } from "./ltx/txid.ts";
import { writtenByAnother } from "./newest.ts";
import { release } from "./release.ts";
import { sameBytes } from "./same-bytes.ts";

/** Files of level 0 on the volume: those that were uploaded, those that wait for it, or both. */
export type LocalFiles = {
  readonly store: ObjectStore;
  /** What is there now. */
  files(): readonly LtxFileInfo[];
};

export type Compaction = {
  /** Files that were made. */
  readonly files: number;
  /** Last transaction that the level holds. Local files up to it, of a level 0 so compacted, are no longer needed. */
  readonly reached: Txid;
  /** Transactions that stand in the way: nothing leads over them but a copy of the database at `last` or later. */
  readonly hole: { readonly first: Txid; readonly last: Txid } | undefined;
  /** True where a file of the replica was found to be of no use. */
  readonly foundDamage: boolean;
};

export type Compactor = {
  /**
   * Compacts into `level` what the level below holds in the replica. A level is compacted by one call at a time, others wait.
   *
   * Fails as the store does, with E_DIVERGED where another writer put other bytes under a key of ours, or with the
   * signal's reason. What was made before a failure stays, and the next call goes on from there.
   */
  compact(options: { readonly level: number; readonly signal: AbortSignal }): Promise<Compaction>;
  /** The newest snapshot, but for one that was found damaged. */
  soundSnapshot(): LtxFileInfo | undefined;
  /** True where the files that are not known to be damaged lead to the last transaction. */
  isRestorable(): boolean;
};

/** A file of the replica is read this often before it counts as damaged or gone: a network may have been the cause. */
const TRIES = 2;

/** What a decoder is given at a time, in bytes: it copies as much. */
const FEED_BYTES = 64 * 1024;

type Merge = Extract<MergePlan, { kind: "merge" }>;

/** One place where a file can be read. */
type Copy = { readonly file: LtxFileInfo; readonly store: ObjectStore; readonly isLocal: boolean };

/** A file was there, and is not any more. */
class Missing extends FlysqliteError {
  readonly key: string;

  constructor(key: string, address: string) {
    super("E_REPLICA_GAP", `Cannot read "${key}": it is gone from "${address}"`);
    this.key = key;
  }
}

export function createCompactor({
  catalog,
  store,
  local,
  guard,
  log,
  at,
}: {
  readonly catalog: Catalog;
  readonly store: ObjectStore;
  readonly local: LocalFiles | undefined;
  readonly guard: Guard;
  readonly log: Log;
  readonly at: At;
}): Compactor {
  /** Keys of files on the volume that can't be read, and of those in the replica, with how often that was tried. */
  const failedLocal = new Set<string>();
  const failedRemote = new Map<string, number>();
  /** By level: where a merge ends whose outcome is not known. It is tried again as it was, so that none overlaps it. */
  const begun = new Map<number, Txid>();
  const queues = new Map<number, Promise<unknown>>();

  const isUsable = ({ key }: LtxFileInfo) => (failedRemote.get(key) ?? 0) < TRIES;
  const snapshots = () => catalog.snapshots().filter(isUsable);

  /** What can be read of the level below and is new, by name; local copies first. */
  function copiesFor(level: number, reached: Txid): ReadonlyMap<string, Copy> {
    const copies = new Map<string, Copy>();
    const isNew = ({ max }: LtxFileInfo) => max > reached;
    for (const file of catalog.files(level - 1).filter(isNew)) {
      if (isUsable(file)) copies.set(nameOf(file), { file, store, isLocal: false });
    }
    if (level - 1 !== SYNC_LEVEL || local === undefined) return copies;
    for (const file of local.files().filter(isNew)) {
      if (!failedLocal.has(file.key)) copies.set(nameOf(file), { file, store: local.store, isLocal: true });
    }
    return copies;
  }

  async function compactLevel(level: number, signal: AbortSignal): Promise<Compaction> {
    const end = catalog.reached(level - 1);
    let files = 0;
    let foundDamage = false;
    let most = end;
    for (;;) {
      signal.throwIfAborted();
      const reached = reachedWith(level, catalog.reached);
      const copies = copiesFor(level, reached);
      const sources = [...copies.values()].map(({ file }) => file);
      const plan = planBegun({ files: sources, snapshots: snapshots(), reached, upTo: most }, level);
      if (plan.kind !== "merge") {
        return { files, reached, hole: plan.kind === "hole" ? plan : undefined, foundDamage };
      }
      const inputs = plan.inputs.map((file) => copies.get(nameOf(file)) ?? { file, store, isLocal: false });
      try {
        catalog.add(await merge(level, { plan, inputs, signal }));
        begun.delete(level);
        files += 1;
        most = end;
      } catch (error) {
        if (error instanceof InputRefused && error.kind === "page-size") {
          const other = inputs.find(({ file }) => file.key === error.key);
          if (other === undefined) throw error;
          most = toTxid(other.file.min - 1n); // what has pages of another size begins the next file
        } else if (error instanceof InputRefused || error instanceof Missing) {
          const copy = inputs.find(({ file }) => file.key === error.key) ?? fail(error);
          if (noteFailure(copy, error) === "damaged") foundDamage = true;
        } else {
          throw error;
        }
      }
    }
  }

  /** The merge that was begun, if it still can be made; else the next one. */
  function planBegun(sources: Parameters<typeof planMerge>[0], level: number): MergePlan {
    const end = begun.get(level);
    if (end !== undefined && end > sources.reached && end <= sources.upTo) {
      const plan = planMerge({ ...sources, upTo: end });
      if (plan.kind === "merge" && plan.max === end) return plan;
    }
    return planMerge(sources);
  }

  function noteFailure({ file, isLocal }: Copy, error: FlysqliteError): "other copy" | "once more" | "damaged" {
    if (isLocal) {
      failedLocal.add(file.key);
      const level = error instanceof Missing ? debug : warn; // what is no longer needed may have been removed
      log(level("replicate", `a file on the volume is of no use, the replica's is taken: ${error.message}`));
      return "other copy";
    }
    const failures = (failedRemote.get(file.key) ?? 0) + 1;
    failedRemote.set(file.key, failures);
    if (failures < TRIES) return "once more";
    log(warn("replicate", `a file of the replica is of no use: ${error.message}`));
    if (error instanceof Missing) catalog.remove([file]);
    return "damaged";
  }

  /** Writes one file of the level. */
  async function merge(
    level: number,
    { plan, inputs, signal }: { readonly plan: Merge; readonly inputs: readonly Copy[]; readonly signal: AbortSignal },
  ): Promise<LtxFileInfo> {
    const { min, max } = plan;
    const open = () =>
      openMerge(
        inputs.map((copy) => ({ key: copy.file.key, chunks: readCopy(copy, signal) })),
        { min },
      );
    const key = `${store.levelDirectory(level)}/${formatLtxName(plan)}`;
    await using merged = await open();
    const modifiedMs = merged.header.timestampMs;
    const count = { bytes: 0 };
    await guard({ signal });
    at("merging");
    begun.set(level, max);
    if (!(await store.put(key, counted(merged, count), { ifAbsent: true, modifiedMs, signal }))) {
      await using again = await open();
      count.bytes = await compareStored(key, again, signal);
    }
    at("merged");
    const size = formatBytes(count.bytes);
    log(debug("replicate", `level ${level} holds ${formatTxid(max)}: ${size} of ${inputs.length} files`));
    return { level, min, max, key, sizeBytes: count.bytes, modifiedMs };
  }

  /** The size of what stands under a key. Fails where it is not what we would have written. */
  async function compareStored(key: string, merged: LtxMerge, signal: AbortSignal): Promise<number> {
    const stored = await store.get(key, { signal });
    if (stored === undefined) {
      throw new FlysqliteError(
        "E_REPLICA_UNREACHABLE",
        `Cannot read "${key}" of "${store.address}": it is there and is not`,
      );
    }
    const count = { bytes: 0 };
    if (await sameBytes(counted({ chunks: stored }, count), merged.chunks)) return count.bytes;
    throw writtenByAnother(key, store);
  }

  return {
    compact({ level, signal }) {
      const run = () => compactLevel(level, signal);
      const done = (queues.get(level) ?? Promise.resolve()).then(run, run);
      queues.set(level, done);
      return done;
    },
    soundSnapshot: () => snapshots().at(-1),
    isRestorable: () =>
      restorableTxid(LEVELS.flatMap((level) => catalog.files(level)).filter(isUsable)) === catalog.lastTxid,
  };
}

function nameOf(file: LtxFileInfo): string {
  return `${file.level}/${formatLtxName(file)}`;
}

function fail(error: unknown): never {
  throw error;
}

/** The file in pieces, each of a request of its own: a connection that waited for its turn would be in others' way. */
async function* readCopy({ file: { key }, store }: Copy, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  for (let offset = 0; offset % PIECE_BYTES === 0; ) {
    const chunks = await store.get(key, { offset, lengthBytes: PIECE_BYTES, signal });
    if (chunks === undefined) throw new Missing(key, store.address);
    const piece: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const chunk of chunks) {
      piece.push(chunk);
      sizeBytes += chunk.byteLength;
    }
    if (sizeBytes === 0) return;
    for (const chunk of piece) {
      for (let at = 0; at < chunk.byteLength; at += FEED_BYTES) yield chunk.subarray(at, at + FEED_BYTES);
      release(chunk); // the decoder keeps none of it
    }
    offset += sizeBytes; // a piece that is not full is the last one
  }
}

async function* counted(
  { chunks }: { readonly chunks: AsyncIterable<Uint8Array> },
  count: { bytes: number },
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    count.bytes += chunk.byteLength;
    yield chunk;
  }
}
