// Ships every commit of an attached database to a store, as LTX files of level 0.
//
// One round: capture what is committed, make the log durable, note what is about to be uploaded, upload,
// advance. A round that fails is tried again with the very same bytes, since an upload may have arrived
// although its answer did not.

import assert from "node:assert/strict";
import type { At, Clock } from "../base/context.ts";
import { FlysqliteError } from "../base/errors.ts";
import { debug, info, type Log } from "../base/events.ts";
import { formatBytes, formatDuration } from "../base/format.ts";
import type { Attached, Capture, Snapshot } from "../sqlite/attached.ts";
import type { ObjectStore } from "../storage/store.ts";
import { claimReplica } from "./inspect.ts";
import { formatLtxName, SNAPSHOT_LEVEL, SYNC_LEVEL } from "./ltx/names.ts";
import { FIRST_TXID, formatTxid, NO_TXID, nextTxid, type Txid } from "./ltx/txid.ts";
import { type Shipment, shipChanges, shipSnapshot } from "./shipment.ts";
import { type ReplicatedPosition, writeState } from "./state.ts";

/** From how many frames on the log is copied into the database file. SQLite's own default. */
const CHECKPOINT_FRAMES = 1000;

/** From how many frames on writers are kept waiting for a moment, where nothing gentler emptied the log. */
const SEAL_FRAMES = 4000;

/** How the history in the replica goes on. */
export type Start = {
  readonly databaseId: string;
  /** The replica's last transaction; 0 where it is empty. */
  readonly lastTxid: Txid;
  /** Where the log was copied to when the last transaction was shipped, if that is known. */
  readonly position: ReplicatedPosition | undefined;
};

export type Replicator = {
  /** Ships all that was committed before the call. Gives the number of files that it took. */
  sync(options: { readonly signal: AbortSignal }): Promise<number>;
  /** Moves our hold on the log forward, and empties the log where it has grown. After a sync. */
  maintain(options: { readonly signal: AbortSignal }): Promise<void>;
  /** The last transaction that the replica is known to hold. */
  readonly lastTxid: Txid;
};

type Changes = Extract<Capture, { kind: "changes" }>;

type FullCopy = {
  readonly snapshot: Snapshot;
  /** Why a copy is needed, for the log. */
  readonly reason: string;
  readonly timestampMs: number;
  readonly startedMs: number;
};

/**
 * Takes up the history where the log continues from it; else the first sync adds a copy of the whole database.
 * To be called before the app starts: then nothing can have happened to the log since the attaching.
 */
export function createReplicator({
  attached,
  start,
  store,
  stateDirectory,
  clock,
  log,
  at,
}: {
  readonly attached: Attached;
  readonly start: Start;
  readonly store: ObjectStore;
  readonly stateDirectory: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly at: At;
}): Replicator {
  const { databaseId } = start;
  /** The last transaction in the replica. */
  let lastTxid = start.lastTxid;
  /** How far the replica reaches; undefined where only a full copy can tell. */
  let acked = start.position !== undefined && attached.resume(start.position.position) ? start.position : undefined;
  assert(acked === undefined || acked.txid === lastTxid, "a position is that of the replica's last transaction");
  let claimed = false;
  /** What is being uploaded. Nothing new is captured before it has arrived. */
  let shipment: Shipment | undefined;
  /** The view that `shipment` reads from, where that is the whole database. Open until both its files have arrived. */
  let fullCopy: FullCopy | undefined;

  const key = (level: number, range: { min: Txid; max: Txid }) =>
    `${store.levelDirectory(level)}/${formatLtxName(range)}`;

  async function ship(signal: AbortSignal): Promise<void> {
    assert(shipment !== undefined);
    const { position, body, timestampMs, mark } = shipment;
    const { txid } = position;
    assert(txid === nextTxid(lastTxid), `transaction ${txid} does not follow ${lastTxid}`);
    attached.syncWal(); // so that the replica is never ahead of the volume
    at("log synced");
    await writeState(stateDirectory, { databaseId, replica: store.address, acked, pending: position });
    at("state saved");
    await upload(key(SYNC_LEVEL, { min: txid, max: txid }), body, { timestampMs, signal });
    at("uploaded");
    acked = position;
    lastTxid = txid;
    attached.advance(mark);
    shipment = undefined;
    log(debug("replicate", `transaction ${formatTxid(txid)} is in the replica`));
  }

  /** Uploads; where the key is taken already, by these bytes, an earlier try had arrived. */
  async function upload(
    name: string,
    body: () => Iterable<Uint8Array>,
    { timestampMs, signal }: { readonly timestampMs: number; readonly signal: AbortSignal },
  ): Promise<void> {
    if (await store.put(name, body(), { ifAbsent: true, modifiedMs: timestampMs, signal })) return;
    const stored = await store.get(name, { signal });
    if (stored !== undefined && (await sameBytes(stored, body()))) return;
    throw new FlysqliteError(
      "E_DIVERGED",
      `Cannot replicate: "${name}" of "${store.address}" was written by someone else`,
      { hint: "Stop the other writer; two of them on one replica path destroy it" },
    );
  }

  /** Captures into `shipment`; false where nothing was committed. */
  function captureNext(): boolean {
    assert(shipment === undefined);
    if (acked === undefined) {
      beginFullCopy(whyFullCopy(start));
      return true;
    }
    const found = attached.capture();
    if (found.kind === "nothing") return false;
    if (found.kind === "broken") beginFullCopy(found.reason);
    else shipment = shipNext(found, acked);
    return true;
  }

  function shipNext(found: Changes, previous: ReplicatedPosition): Shipment {
    return shipChanges(found, { txid: nextTxid(lastTxid), previous, timestampMs: clock.now() });
  }

  async function shipAll(signal: AbortSignal): Promise<number> {
    if (!claimed) await claim(signal);
    // What an earlier call left, then one capture: it holds all that was committed before this call. What is committed
    // meanwhile is left to the next one, or a busy app would keep this one from ever ending.
    const files = await shipBegun(signal);
    return captureNext() ? files + (await shipBegun(signal)) : files;
  }

  async function shipBegun(signal: AbortSignal): Promise<number> {
    for (let files = 0; ; files += 1) {
      signal.throwIfAborted();
      if (shipment !== undefined) await ship(signal);
      else if (fullCopy !== undefined) await finishFullCopy(fullCopy, signal);
      else return files;
    }
  }

  /** Continues the history with a copy of the whole database. */
  function beginFullCopy(reason: string): void {
    const txid = nextTxid(lastTxid);
    const timestampMs = clock.now();
    const snapshot = attached.snapshot();
    fullCopy = { snapshot, reason, timestampMs, startedMs: clock.monotonic() };
    shipment = shipSnapshot(snapshot, { min: txid, max: txid, pageSize: attached.pageSize, timestampMs });
  }

  /** Adds the same pages as a snapshot, so that a restore need not read what is older. */
  async function finishFullCopy(
    { snapshot, reason, timestampMs, startedMs }: FullCopy,
    signal: AbortSignal,
  ): Promise<void> {
    const { pageSize } = attached;
    const range = { min: FIRST_TXID, max: lastTxid };
    const { body } = shipSnapshot(snapshot, { ...range, pageSize, timestampMs });
    await upload(key(SNAPSHOT_LEVEL, range), body, { timestampMs, signal });
    snapshot[Symbol.dispose]();
    fullCopy = undefined;
    const size = formatBytes(snapshot.pageCount * pageSize);
    const took = formatDuration(clock.monotonic() - startedMs);
    log(info("replicate", `copied the whole database, ${size} in ${took}: ${reason}`));
  }

  /** Makes sure that the replica is this database's, before the first write to it. */
  async function claim(signal: AbortSignal): Promise<void> {
    const owner = await claimReplica(store, { databaseId, signal });
    if (owner !== databaseId) {
      throw new FlysqliteError(
        "E_DIVERGED",
        `Cannot replicate: "${store.address}" holds the history of another database (${owner})`,
      );
    }
    claimed = true;
    const from =
      acked !== undefined ? `on from transaction ${formatTxid(lastTxid)}` : "with a copy of the whole database";
    log(info("replicate", `to ${store.address}, ${from}`));
  }

  return {
    get lastTxid() {
      return lastTxid;
    },

    sync: ({ signal }) => shipAll(signal),

    async maintain({ signal }) {
      const copy = async () => void (await shipAll(signal));
      await attached.handOver(copy);
      if (attached.walState().frames < CHECKPOINT_FRAMES) return;
      attached.checkpoint();
      await attached.handOver(copy);
      const { frames, checkpointed } = attached.walState();
      if (frames === checkpointed || frames < SEAL_FRAMES) return;
      await seal(signal);
    },
  };

  /** Empties the log under the write lock. What is captured meanwhile is kept in memory, and shipped after it. */
  async function seal(signal: AbortSignal): Promise<void> {
    let failure = "a writer keeps its lock";
    const sealed = attached.sealedCheckpoint(() => {
      assert(shipment === undefined && acked !== undefined);
      const found = attached.capture();
      if (found.kind === "broken") failure = found.reason;
      if (found.kind !== "changes") return found.kind === "nothing";
      const tail = shipNext(found, acked);
      const bytes = [...tail.body()]; // now: the log may be overwritten once writers are let in again
      shipment = { ...tail, body: () => bytes };
      return true;
    });
    if (sealed === undefined) return log(debug("replicate", `the log is long, and can't be emptied: ${failure}`));
    if (shipment === undefined) {
      if (attached.position !== undefined) attached.advance({ position: attached.position, sealed });
    } else {
      shipment = { ...shipment, mark: { position: shipment.mark.position, sealed } };
      await ship(signal);
    }
  }
}

function whyFullCopy({ lastTxid, position }: Start): string {
  if (lastTxid === NO_TXID) return "the replica is empty";
  return position === undefined
    ? "where the log continues from the replica is not known"
    : "the log does not continue from the replica";
}

async function sameBytes(stored: AsyncIterable<Uint8Array>, body: Iterable<Uint8Array>): Promise<boolean> {
  const expected = Buffer.concat([...body]);
  let offset = 0;
  for await (const chunk of stored) {
    if (!expected.subarray(offset, offset + chunk.byteLength).equals(chunk)) return false;
    offset += chunk.byteLength;
  }
  return offset === expected.byteLength;
}
