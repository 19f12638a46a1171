// Copies what is committed into level-0 files on the volume, and keeps the log short. Waits for no bucket: what is
// staged leaves the log free to be emptied.
//
// One round: begin a new hold on the log, capture what is committed, stage it as a file, note the position, end the
// old hold; then, where the log has grown, empty it. Nothing here waits for the disk: what a power cut takes from the
// staged files, the database itself still has, and an upload makes durable what it is about to show to the world.

import type { At, Clock } from "../base/context.ts";
import { systemCode } from "../base/errors.ts";
import { debug, info, type Log, warn } from "../base/events.ts";
import { formatBytes, formatDuration } from "../base/format.ts";
import { createSerial } from "../base/serial.ts";
import type { Attached, Capture } from "../sqlite/attached.ts";
import type { EncodeOptions } from "./ltx/encode.ts";
import { formatTxid, NO_TXID, nextTxid, type Txid } from "./ltx/txid.ts";
import type { Memory } from "./memory.ts";
import { encodeSnapshot, type Shipment, shipChanges, shipCopy } from "./shipment.ts";
import { type Staging, StagingFull } from "./staging.ts";
import type { ReplicatedPosition } from "./state.ts";

/** A length of the log: reached with either. */
type Length = { readonly frames: number; readonly bytes: number };

/** From here on the log is copied into the database file. SQLite's own default. */
const CHECKPOINT_FROM: Length = { frames: 1000, bytes: 4 * 1024 * 1024 };

/**
 * From here on the log is emptied while writers wait. A writer at full speed adds some 250 MB a second; this keeps the
 * log below 64 MB or so, and the waits to a tenth of the time.
 */
const SEAL_FROM: Length = { frames: 4000, bytes: 16 * 1024 * 1024 };

/** More than this is not copied into the database file while writers wait, but once before, while they add to it. */
const SEAL_UP_TO: Length = { frames: 8000, bytes: 32 * 1024 * 1024 };

/** But for a log of this length, as on a machine that is short of processors: writers would be ahead again by then. */
const WAIT_FROM: Length = { frames: 11_000, bytes: 44 * 1024 * 1024 };

/**
 * From here on our hold is moved off the log's start, where it was left when the log was emptied: well before an app
 * begins to think of a checkpoint, which our hold there would let it prepare and not make, at each commit.
 */
const MOVE_FROM: Length = { frames: 200, bytes: 1024 * 1024 };

/** So much in the log is captured at once. Each time an app at full speed makes a checkpoint, of some milliseconds. */
const CAPTURE_FROM: Length = { frames: 4000, bytes: 16 * 1024 * 1024 };

/** How often a snapshot is begun anew because commits got in between. */
const SNAPSHOT_TRIES = 20;

const NO_ROOM = "the volume had no room to wait";

/** Where the history goes on. */
export type Continuation =
  /** At a place in the log that is known, and still there. */
  | { readonly kind: "position"; readonly position: ReplicatedPosition }
  /** Behind transaction `after`, by a copy of the whole database. */
  | { readonly kind: "copy"; readonly after: Txid; readonly reason: string };

export type WholeDatabase = Disposable & {
  /** The transaction after which it is as here. */
  readonly txid: Txid;
  readonly pageCount: number;
  readonly sizeBytes: number;
  readonly timestampMs: number;
  /** The snapshot's file; each call reads the database anew and gives the same bytes. */
  body(options?: Pick<EncodeOptions, "releases">): Iterable<Uint8Array>;
};

export type Capturer = ReturnType<typeof createCapturer>;

export function createCapturer({
  attached,
  staging,
  continuation,
  replicated,
  memory,
  sendAtOnce,
  clock,
  log,
  at,
}: {
  readonly attached: Attached;
  readonly staging: Staging;
  readonly continuation: Continuation;
  /** The last transaction that the replica is known to hold. */
  readonly replicated: () => Txid;
  readonly memory: Pick<Memory, "settle" | "captured" | "beginAnew">;
  /** Uploads all that is staged, then this, which the volume has no room for. */
  readonly sendAtOnce: (shipment: Shipment, options: { readonly signal: AbortSignal }) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly at: At;
}) {
  const serial = createSerial();
  let next: Continuation | { readonly kind: "let go"; readonly after: Txid; readonly reason: string } = continuation;
  /** The last transaction that is staged or in the replica. */
  const captured = (): Txid => (next.kind === "position" ? next.position.txid : next.after);
  /** What was captured before the log was emptied, and could not be staged yet. Nothing is captured before it is. */
  let unstaged: Shipment | undefined;
  let copiedAt = NO_TXID;

  /** Makes a file of it that outlives us. From then on the log may forget it. */
  async function stage(shipment: Shipment): Promise<void> {
    const { position, mark } = shipment;
    await memory.settle();
    const file = await staging.write(shipment, { replicated: replicated() });
    at("staged");
    try {
      await memory.captured(position);
    } catch (error) {
      await staging.discard(file);
      throw error;
    }
    at("recorded");
    staging.admit(file);
    attached.advance(mark);
    next = { kind: "position", position };
    log(debug("replicate", `transaction ${formatTxid(position.txid)} is staged`));
  }

  /** Lets the log go on without us, as where the volume has no room for what the bucket does not take. */
  async function letGo(warning: string, reason = NO_ROOM): Promise<void> {
    const after = replicated();
    next = { kind: "let go", after, reason };
    unstaged = undefined;
    await staging.removeBehind(after);
    log(warn("replicate", `${warning}: when the replica answers, the whole database is copied`));
  }

  /** Stages what was committed; false where there was nothing. */
  async function stageNew(signal: AbortSignal): Promise<boolean> {
    try {
      if (next.kind === "let go") return false;
      if (unstaged !== undefined) await stageRest(unstaged);
      if (next.kind === "copy") {
        await copyWhole(next.reason, signal);
        return true;
      }
      const found = attached.capture();
      if (found.kind === "nothing") return false;
      if (found.kind === "broken") await copyWhole(found.reason, signal);
      else await stage(ship(found, next.position));
      return true;
    } catch (error) {
      if (!isOutOfRoom(error)) throw error;
      await letGo(error instanceof StagingFull ? error.message : "the volume is full");
      return false;
    }
  }

  async function stageRest(shipment: Shipment): Promise<void> {
    await stage(shipment);
    unstaged = undefined;
  }

  function ship(found: Extract<Capture, { kind: "changes" }>, previous: ReplicatedPosition): Shipment {
    return shipChanges(found, { txid: nextTxid(previous.txid), previous, timestampMs: clock.now() });
  }

  /** Continues the history with a copy of the whole database. */
  async function copyWhole(reason: string, signal: AbortSignal): Promise<void> {
    const startedMs = clock.monotonic();
    const { pageSize } = attached;
    next = { kind: "copy", after: captured(), reason };
    using snapshot = attached.snapshot();
    const shipment = shipCopy(snapshot, { txid: nextTxid(captured()), pageSize, timestampMs: clock.now() });
    if (staging.hasRoom(shipment.databaseBytes)) await stage(shipment);
    else await sendCopy(shipment, signal);
    copiedAt = shipment.position.txid;
    const took = formatDuration(clock.monotonic() - startedMs);
    log(info("replicate", `copied the whole database, ${formatBytes(shipment.databaseBytes)} in ${took}: ${reason}`));
  }

  /** Uploads the copy as it is read, where the volume has no room for it. */
  async function sendCopy(shipment: Shipment, signal: AbortSignal): Promise<void> {
    const { position, mark } = shipment;
    await memory.settle();
    await memory.captured(position);
    try {
      await sendAtOnce(shipment, { signal });
    } catch (error) {
      // It may have arrived, and a second copy has other bytes: only the replica can tell how the history goes on.
      next = { kind: "let go", after: replicated(), reason: NO_ROOM };
      throw error;
    }
    attached.advance(mark);
    next = { kind: "position", position };
  }

  /** Empties the log under the write lock. What is captured meanwhile is kept in memory, and staged after it. */
  async function seal(): Promise<void> {
    let failure = "a writer keeps its lock";
    const sealed = attached.sealedCheckpoint(() => {
      if (next.kind !== "position") return true; // nothing of the log is wanted
      const { position } = next;
      const found = attached.capture();
      if (found.kind === "broken") failure = found.reason;
      if (found.kind !== "changes") return found.kind === "nothing";
      const shipment = ship(found, position);
      const bytes = [...shipment.body()]; // now: the log may be overwritten once writers are let in again
      unstaged = { ...shipment, body: () => bytes };
      return true;
    });
    if (sealed === undefined) return log(debug("replicate", `the log is long, and can't be emptied: ${failure}`));
    if (unstaged !== undefined) {
      unstaged = { ...unstaged, mark: { position: unstaged.mark.position, sealed } };
      await stageRest(unstaged);
    } else if (attached.position !== undefined) attached.advance({ position: attached.position, sealed });
  }

  function isAtLeast(length: Length, frames = attached.walState().frames): boolean {
    return frames >= length.frames || frames * attached.pageSize >= length.bytes;
  }

  /** Moves our hold on the log forward, past what is staged on the way. Gives whether anything was. */
  async function moveOn(signal: AbortSignal): Promise<boolean> {
    let staged = false;
    await attached.handOver(async () => {
      staged = await stageNew(signal);
    });
    return staged;
  }

  async function round(signal: AbortSignal): Promise<boolean> {
    if (!(await moveOn(signal))) {
      if (next.kind === "let go") await shorten(signal);
      return false;
    }
    await shorten(signal);
    return true;
  }

  /**
   * Empties the log where it has grown: it is copied into the database file up to our hold, and where nothing was
   * committed meanwhile, the next writer begins it anew. Where writers are too busy for that, they are kept waiting.
   */
  async function shorten(signal: AbortSignal): Promise<void> {
    if (!isAtLeast(CHECKPOINT_FROM)) return;
    const isTooMuch = isAtLeast(SEAL_UP_TO, uncheckpointed()) && !isAtLeast(WAIT_FROM);
    if (!isAtLeast(SEAL_FROM) || isTooMuch) {
      attached.checkpoint();
      await moveOn(signal);
    }
    if (!isAtLeast(SEAL_FROM) || attached.isSealed) return;
    try {
      await seal();
    } catch (error) {
      if (!isOutOfRoom(error)) throw error;
      await letGo("the volume is full");
    }
  }

  /** Frames of the log that the database file does not have yet. */
  function uncheckpointed(): number {
    const { frames, checkpointed } = attached.walState();
    return frames - checkpointed;
  }

  return {
    /** The last transaction that is staged or in the replica. */
    get captured(): Txid {
      return captured();
    },

    /** Last transaction that was a copy of the whole database; 0 where none was. */
    get copiedAt(): Txid {
      return copiedAt;
    },

    /** True where the history can't go on before the replica answers: see reconcile(). */
    get hasLetGo(): boolean {
      return next.kind === "let go";
    },

    /** True where the history goes on with a copy of the whole database, and that is still to be made. */
    get owesCopy(): boolean {
      return next.kind !== "position";
    },

    /** True where so much is in the log that it should be captured now, or our hold be moved forward. */
    get isDue(): boolean {
      const uncaptured = attached.uncapturedFrames();
      if (attached.isSealed && isAtLeast(MOVE_FROM, uncaptured)) return true;
      return next.kind !== "let go" && isAtLeast(CAPTURE_FROM, uncaptured);
    },

    /** Stages all that was committed before the call, and keeps the log short. Gives whether anything was staged. */
    capture: ({ signal }: { readonly signal: AbortSignal }): Promise<boolean> => serial(() => round(signal)),

    /** Goes on behind `lastTxid`, the replica's last transaction, after the log was let go. */
    reconcile: (lastTxid: Txid): Promise<void> =>
      serial(async () => {
        if (next.kind !== "let go") return;
        memory.beginAnew(lastTxid);
        next = { kind: "copy", after: lastTxid, reason: next.reason };
      }),

    /** Gives up what the replica does not have, as it has got something else in the place of that. */
    giveUp: (reason: string): Promise<void> => serial(() => letGo(reason, reason)),

    /** The whole database after the last transaction, while commits go on. Undefined where they leave no chance. */
    wholeDatabase: ({ signal }: { readonly signal: AbortSignal }): Promise<WholeDatabase | undefined> =>
      serial(async () => {
        for (let tries = 0; tries < SNAPSHOT_TRIES; tries += 1) {
          signal.throwIfAborted();
          await moveOn(signal);
          if (next.kind !== "position") return undefined;
          const snapshot = attached.snapshot();
          try {
            // What was committed up to the snapshot's beginning, and not a commit more.
            const found = attached.capture({ upTo: snapshot.mark });
            if (found.kind === "changes") await stage(ship(found, next.position));
            if (found.kind !== "broken" && attached.isAt(snapshot.mark)) {
              return toWhole(snapshot, { txid: captured(), pageSize: attached.pageSize, timestampMs: clock.now() });
            }
          } catch (error) {
            snapshot[Symbol.dispose]();
            if (!isOutOfRoom(error)) throw error;
            await letGo("the volume is full");
            return undefined;
          }
          snapshot[Symbol.dispose]();
        }
        return undefined;
      }),
  };
}

function toWhole(
  snapshot: ReturnType<Attached["snapshot"]>,
  about: Parameters<typeof encodeSnapshot>[1],
): WholeDatabase {
  return {
    txid: about.txid,
    pageCount: snapshot.pageCount,
    sizeBytes: snapshot.pageCount * about.pageSize,
    timestampMs: about.timestampMs,
    body: (options) => encodeSnapshot(snapshot, { ...about, ...options }),
    [Symbol.dispose]: () => snapshot[Symbol.dispose](),
  };
}

function isOutOfRoom(error: unknown): boolean {
  const code = systemCode(error);
  return error instanceof StagingFull || code === "ENOSPC" || code === "EDQUOT";
}
