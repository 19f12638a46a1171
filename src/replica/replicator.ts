// Ships every commit of an attached database to a store, as LTX files: captured into files on the volume
// (capture.ts), uploaded from there (upload.ts), and now and then the whole database as a snapshot.

import type { At, Clock } from "../base/context.ts";
import { FlysqliteError } from "../base/errors.ts";
import { debug, info, type Log } from "../base/events.ts";
import { formatBytes, formatDuration } from "../base/format.ts";
import { createSerial } from "../base/serial.ts";
import type { Attached } from "../sqlite/attached.ts";
import type { ObjectStore } from "../storage/store.ts";
import { type Continuation, createCapturer, type WholeDatabase } from "./capture.ts";
import type { Catalog } from "./catalog.ts";
import { createCompactor } from "./compact.ts";
import { inspectReplica, type ReplicaContent } from "./inspect.ts";
import type { Guard } from "./lease/hold.ts";
import { decodeLtx } from "./ltx/decode.ts";
import type { LtxHeader } from "./ltx/header.ts";
import { formatLtxName, SNAPSHOT_LEVEL } from "./ltx/names.ts";
import { FIRST_TXID, formatTxid, NO_TXID, type Txid } from "./ltx/txid.ts";
import { createMemory } from "./memory.ts";
import { isAmong, lastFile, readHeader, writtenByAnother } from "./newest.ts";
import { type Backlog, createProgress } from "./progress.ts";
import { releasing } from "./release.ts";
import { counted, openStaging, type Staging } from "./staging.ts";
import type { Remembered } from "./state.ts";
import { createUploader, GivenUpArrived } from "./upload.ts";

/** How the history in the replica goes on. */
export type Start = Remembered & {
  readonly databaseId: string;
  /** The replica's last transaction; 0 where it is empty. */
  readonly lastTxid: Txid;
  /** Header of the replica's newest file, where the volume does not know that it arrived. */
  readonly newest?: LtxHeader | undefined;
};

export type Replicator = Awaited<ReturnType<typeof createReplicator>>;

export type ReplicatorOptions = {
  readonly attached: Attached;
  readonly start: Start;
  readonly store: ObjectStore;
  /** A store of files in `stateDirectory`, for what waits for the replica. */
  readonly local: ObjectStore;
  readonly stateDirectory: string;
  /** What the replica holds; kept up to date from here on. */
  readonly catalog: Catalog;
  readonly guard: Guard;
  readonly clock: Clock;
  readonly log: Log;
  readonly at: At;
  readonly signal: AbortSignal;
};

/**
 * Takes up the history where the log continues from it; else the first capture is a copy of the whole database.
 * To be called before the app starts: then nothing can have happened to the log since the attaching.
 */
export async function createReplicator({
  attached,
  start,
  store,
  local,
  stateDirectory,
  catalog,
  guard,
  clock,
  log,
  at,
  signal: lifetime,
}: ReplicatorOptions) {
  const { databaseId, lastTxid, known } = start;
  const captured = known[0]?.txid ?? NO_TXID;
  const staging = await openStaging({
    store: local,
    directory: stateDirectory,
    captured,
    replicated: lastTxid,
    signal: lifetime,
  });
  const isGivenUp = isAmong(start.newest, start.givenUp);
  const continuation = await takeUp({ start, isGivenUp, staging, attached });
  log(debug("replicate", describeContinuation(continuation)));

  const memory = createMemory({
    directory: stateDirectory,
    databaseId,
    replica: store.address,
    remembered: start,
    acked: isGivenUp ? undefined : known.find(({ txid }) => txid === lastTxid),
    syncLog: attached.syncWal,
  });
  if (continuation.kind === "position") memory.goOn(continuation.position);
  else if (isGivenUp) memory.beginAnew(lastTxid);
  else memory.goOnBehind(continuation.after);
  const prepare = (file: LtxHeader) => memory.uploading(file, { replicated: uploader.replicated });

  const compactor = createCompactor({
    catalog,
    store,
    local: { store: local, files: staging.list },
    guard,
    log,
    at,
  });
  const oneSnapshot = createSerial();

  const uploader = createUploader({
    staging,
    store,
    databaseId,
    replicated: lastTxid,
    guard,
    prepare,
    isGivenUp: memory.isGivenUp,
    uploaded: (file) => {
      lastUploadMs = clock.now();
      catalog.add(file);
      memory.arrived(file.max);
    },
    log,
    at,
  });
  const capturer = createCapturer({
    attached,
    staging,
    continuation,
    replicated: () => uploader.replicated,
    memory,
    sendAtOnce: uploader.sendAtOnce,
    clock,
    log,
    at,
  });
  const progress = createProgress(clock);
  let lastUploadMs: number | undefined;

  async function capture(signal: AbortSignal): Promise<boolean> {
    const begunMs = clock.monotonic();
    const isNew = await capturer.capture({ signal });
    if (!capturer.hasLetGo) progress.looked(capturer.captured, begunMs);
    return isNew;
  }

  async function upload(signal: AbortSignal): Promise<number> {
    if (capturer.hasLetGo) {
      await guard({ signal });
      const reached = await uploader.reconcile(() => lookUp(signal));
      await capturer.reconcile(reached);
      await capture(signal);
    }
    const files = await uploadStaged(signal);
    await staging.prune({ compacted: catalog.reached(1), replicated: uploader.replicated });
    return files;
  }

  /** The replica's last transaction. What arrived there without our knowledge is known from then on. */
  async function lookUp(signal: AbortSignal): Promise<Txid> {
    const content = await inspectReplica(store, { signal });
    await requireOurs(content, signal);
    for (const file of content.files) catalog.add(file);
    return content.lastTxid;
  }

  /** A copy of the whole database would take the place of what somebody else wrote. */
  async function requireOurs({ files, lastTxid: reached }: ReplicaContent, signal: AbortSignal): Promise<void> {
    if (reached <= uploader.replicated) return;
    const newest = lastFile(files, reached);
    const header = newest && (await readHeader(store, newest.key, signal));
    if (newest === undefined || memory.isOurs(header)) return;
    throw writtenByAnother(newest.key, store);
  }

  async function uploadStaged(signal: AbortSignal): Promise<number> {
    try {
      return await uploader.upload({ signal });
    } catch (error) {
      if (error instanceof GivenUpArrived) await capturer.giveUp(error.message);
      throw error;
    }
  }

  async function snapshot(signal: AbortSignal): Promise<void> {
    const startedMs = clock.monotonic();
    const whole = await capturer.wholeDatabase({ signal });
    if (whole === undefined) throw new Error("neither the volume's room nor the commits leave a chance for one");
    const key = `${store.levelDirectory(SNAPSHOT_LEVEL)}/${formatLtxName({ min: FIRST_TXID, max: whole.txid })}`;
    const options = { ifAbsent: true, modifiedMs: whole.timestampMs, signal } as const;
    await using spooled = await spool(whole, { local, staging, signal });
    await uploadStaged(signal);
    // A snapshot never leads the level-0 files: what we know of the replica's end goes by those.
    if (uploader.replicated < whole.txid) throw new Error("the volume had no room for what leads to it");
    await guard({ signal });
    if (!(await store.put(key, await spooled.read(), options))) await requireSnapshot(store, key, whole, signal);
    at("snapshot uploaded");
    const { txid, timestampMs } = whole;
    catalog.add({
      level: SNAPSHOT_LEVEL,
      min: FIRST_TXID,
      max: txid,
      key,
      sizeBytes: spooled.sizeBytes,
      modifiedMs: timestampMs,
    });
    const took = formatDuration(clock.monotonic() - startedMs);
    log(
      info(
        "replicate",
        `snapshot of transaction ${formatTxid(whole.txid)}, ${formatBytes(whole.sizeBytes)} in ${took}`,
      ),
    );
  }

  return {
    /** Stages all that was committed before the call, and keeps the log short. Gives whether anything was staged. */
    capture: ({ signal }: { readonly signal: AbortSignal }): Promise<boolean> => capture(signal),

    /** Uploads what is staged. Gives the number of files that it took. */
    upload: ({ signal }: { readonly signal: AbortSignal }): Promise<number> => upload(signal),

    /** Ships all that was committed before the call. Gives the number of files that it took. */
    async sync({ signal }: { readonly signal: AbortSignal }): Promise<number> {
      signal.throwIfAborted();
      await capture(signal);
      const files = await upload(signal);
      if (capturer.hasLetGo) throw new Error("the volume has no room to note what is to be replicated");
      return files;
    },

    /** Adds the whole database as a snapshot, so that a restore need not read what is older. Fails where it can't. */
    snapshot: ({ signal }: { readonly signal: AbortSignal }): Promise<void> => oneSnapshot(() => snapshot(signal)),

    /** Merges level-0 files, and what was made of them, into the levels above. */
    compactor,

    /** Last transaction that was a copy of the whole database; 0 where none was. */
    get copiedAt(): Txid {
      return capturer.copiedAt;
    },

    /** The last transaction that the replica is known to hold. */
    get lastTxid(): Txid {
      return uploader.replicated;
    },

    /** The last transaction that is on the volume as a file, or in the replica. */
    get captured(): Txid {
      return capturer.captured;
    },

    /** What waits on the volume, in bytes. */
    get waitingBytes(): number {
      return staging.waiting(uploader.replicated).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    },

    /** True where there is something that the replica lacks and that upload() may bring there. */
    get isBehind(): boolean {
      return uploader.replicated < capturer.captured || capturer.hasLetGo;
    },

    /** When the last file arrived in the replica, in milliseconds since the Unix epoch; undefined for none so far. */
    get lastUploadMs(): number | undefined {
      return lastUploadMs;
    },

    /** What the replica lacks, as things stand. */
    get backlog(): Backlog {
      const { replicated } = uploader;
      return progress.backlog({
        replicated,
        captured: capturer.captured,
        waiting: staging.waiting(replicated),
        uncapturedBytes: this.uncapturedBytes,
        wholeDatabase: capturer.owesCopy,
      });
    },

    /** Frames in the log, and how many of them are in the database file. */
    walState: attached.walState,

    /** True where so much is in the log that it should be captured now, and not at the interval's end. */
    get isCaptureDue(): boolean {
      return capturer.isDue;
    },

    /** Bytes of the log that wait to be captured, as far as that can be told without reading it. */
    get uncapturedBytes(): number {
      return capturer.hasLetGo ? 0 : attached.uncapturedFrames() * attached.pageSize;
    },
  };
}

/**
 * Decides where capturing goes on. The newest position counts if its log is still there and the files up to it are in
 * the replica or on the volume. Where the log is not, those that lead on from the replica are true history as far as the
 * database is sure to have had them.
 */
async function takeUp({
  start: { lastTxid, known, durable },
  isGivenUp,
  staging,
  attached,
}: {
  readonly start: Start;
  /** True where the replica ends with a file that nothing on the volume goes on from. */
  readonly isGivenUp: boolean;
  readonly staging: Staging;
  readonly attached: Attached;
}): Promise<Continuation> {
  if (isGivenUp) {
    await staging.removeBehind(lastTxid);
    return { kind: "copy", after: lastTxid, reason: "an upload came late, after it was given up" };
  }
  for (const position of known) {
    const { txid } = position;
    if (txid < lastTxid || !staging.bridges({ from: lastTxid, to: txid })) continue;
    if (attached.resume(position.position)) {
      await staging.removeBehind(txid);
      return { kind: "position", position };
    }
    const after = durable >= txid ? txid : durable > lastTxid ? durable : lastTxid;
    await staging.removeBehind(after);
    return { kind: "copy", after, reason: "the log does not continue from the replica" };
  }
  await staging.removeBehind(lastTxid);
  const reason =
    lastTxid === NO_TXID ? "the replica is empty" : "where the log continues from the replica is not known";
  return { kind: "copy", after: lastTxid, reason };
}

function describeContinuation(continuation: Continuation): string {
  if (continuation.kind === "copy") return `with a copy of the whole database: ${continuation.reason}`;
  return `on from transaction ${formatTxid(continuation.position.txid)}`;
}

/** An earlier try may have arrived; its time differs, so that it can't be told by its bytes. It must be sound. */
async function requireSnapshot(
  store: ObjectStore,
  key: string,
  { pageCount }: WholeDatabase,
  signal: AbortSignal,
): Promise<void> {
  const chunks = await store.get(key, { signal });
  if (chunks === undefined) throw new Error(`"${key}" is neither there nor to be written`);
  const { header } = await decodeLtx(chunks, key, { onPage: () => {} });
  if (header.commit === pageCount) return;
  throw new FlysqliteError("E_DIVERGED", `Cannot replicate: "${key}" of "${store.address}" is of another history`);
}

type Spooled = AsyncDisposable & {
  readonly sizeBytes: number;
  read(): Promise<AsyncIterable<Uint8Array> | Iterable<Uint8Array>>;
};

/**
 * The snapshot's file on the volume, so that the log need not be kept for as long as a bucket takes. Where there is no
 * room for it, it is read from the database as it is uploaded.
 */
async function spool(
  whole: WholeDatabase,
  { local, staging, signal }: { readonly local: ObjectStore; readonly staging: Staging; readonly signal: AbortSignal },
): Promise<Spooled> {
  if (!staging.hasRoom(whole.sizeBytes)) {
    const { sizeBytes } = whole; // of the database: only the bucket will know the file's
    return { sizeBytes, read: async () => whole.body(), [Symbol.asyncDispose]: async () => whole[Symbol.dispose]() };
  }
  using _view = whole;
  const key = `${local.levelDirectory(SNAPSHOT_LEVEL)}/${formatLtxName({ min: FIRST_TXID, max: whole.txid })}`;
  const count = { bytes: 0 };
  await local.put(key, counted(whole.body({ releases: true }), count), { signal });
  return {
    sizeBytes: count.bytes,
    async read() {
      const chunks = await local.get(key, { signal });
      if (chunks === undefined) throw new Error(`"${key}" is gone from "${local.address}"`);
      return releasing(chunks);
    },
    [Symbol.asyncDispose]: () => local.delete(key, { signal: new AbortController().signal }),
  };
}
