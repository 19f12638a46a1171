// Brings staged files into the replica, in the order of their transactions.

import type { At } from "../base/context.ts";
import { FlysqliteError } from "../base/errors.ts";
import { debug, type Log } from "../base/events.ts";
import { createSerial } from "../base/serial.ts";
import type { ObjectStore } from "../storage/store.ts";
import { claimReplica } from "./inspect.ts";
import type { Guard } from "./lease/hold.ts";
import type { LtxHeader } from "./ltx/header.ts";
import { formatLtxName, type LtxFileInfo, SYNC_LEVEL } from "./ltx/names.ts";
import { formatTxid, type Txid } from "./ltx/txid.ts";
import { readHeader, writtenByAnother } from "./newest.ts";
import { releasing } from "./release.ts";
import { sameBytes } from "./same-bytes.ts";
import type { Shipment } from "./shipment.ts";
import type { StagedFile, Staging } from "./staging.ts";

/** Under the key of a file stands another of ours, which was given up and came late: the history has to go on from it. */
export class GivenUpArrived extends Error {
  constructor(key: string) {
    super(`"${key}" came late, after it was given up`);
  }
}

export type Uploader = ReturnType<typeof createUploader>;

export function createUploader({
  staging,
  store,
  databaseId,
  replicated: before,
  guard,
  prepare,
  isGivenUp,
  uploaded,
  log,
  at,
}: {
  readonly staging: Staging;
  readonly store: ObjectStore;
  readonly databaseId: string;
  /** The replica's last transaction. */
  readonly replicated: Txid;
  readonly guard: Guard;
  /**
   * Awaited before each file: makes durable what is staged up to that transaction, in the database and in what we
   * remember. So the replica is never ahead of the volume, and the volume knows its own file where it ends.
   */
  readonly prepare: (file: LtxHeader) => Promise<void>;
  /** True for a file of ours that the history does not lead over any more. */
  readonly isGivenUp: (file: LtxHeader) => boolean;
  /** Told of each file that arrived. */
  readonly uploaded: (file: LtxFileInfo) => void;
  readonly log: Log;
  readonly at: At;
}) {
  const serial = createSerial();
  let replicated = before;
  let claimed = false;

  /** Makes sure that the replica is this database's, before the first write to it. */
  async function claim(signal: AbortSignal): Promise<void> {
    if (claimed) return;
    await guard({ signal });
    const owner = await claimReplica(store, { databaseId, signal });
    if (owner !== databaseId) {
      throw new FlysqliteError(
        "E_DIVERGED",
        `Cannot replicate: "${store.address}" holds the history of another database (${owner})`,
      );
    }
    claimed = true;
  }

  async function begin(header: LtxHeader, signal: AbortSignal): Promise<void> {
    await prepare(header); // first: a start that dies in the claim must know the id that it claimed
    await claim(signal);
    await guard({ signal });
    at("prepared");
  }

  async function put(
    {
      txid,
      sizeBytes,
      timestampMs,
      body,
    }: {
      readonly txid: Txid;
      readonly sizeBytes: number;
      readonly timestampMs: number;
      readonly body: () => Promise<AsyncIterable<Uint8Array> | Iterable<Uint8Array>>;
    },
    signal: AbortSignal,
  ): Promise<void> {
    const key = `${store.levelDirectory(SYNC_LEVEL)}/${formatLtxName({ min: txid, max: txid })}`;
    if (!(await store.put(key, await body(), { ifAbsent: true, modifiedMs: timestampMs, signal }))) {
      await requireSame(store, { key, body: await body(), isGivenUp, signal });
    }
    await guard({ signal }); // an answer that came after another machine had begun to write proves nothing
    at("uploaded");
    replicated = txid;
    uploaded({ level: SYNC_LEVEL, min: txid, max: txid, key, sizeBytes, modifiedMs: timestampMs });
    log(debug("replicate", `transaction ${formatTxid(txid)} is in the replica`));
  }

  async function putStaged(file: StagedFile, signal: AbortSignal): Promise<void> {
    await begin(await staging.header(file), signal);
    await put({ ...file, body: async () => releasing(await staging.read(file)) }, signal);
  }

  async function drain(signal: AbortSignal): Promise<number> {
    // What is staged meanwhile is left to the next call, or a busy app would keep this one from ever ending.
    const waiting = staging.waiting(replicated);
    for (const file of waiting) {
      signal.throwIfAborted();
      await putStaged(file, signal);
    }
    return waiting.length;
  }

  return {
    /** The last transaction that the replica is known to hold. */
    get replicated(): Txid {
      return replicated;
    },

    /** Uploads all that is staged at the time of the call. Gives the number of files that it took. */
    upload: ({ signal }: { readonly signal: AbortSignal }): Promise<number> => serial(() => drain(signal)),

    /** Uploads what is staged, then this, which is not. */
    sendAtOnce: (shipment: Shipment, { signal }: { readonly signal: AbortSignal }): Promise<void> =>
      serial(async () => {
        await drain(signal);
        const { header, position, databaseBytes, body } = shipment;
        const { timestampMs } = header;
        await begin(header, signal);
        await put({ txid: position.txid, sizeBytes: databaseBytes, timestampMs, body: async () => body() }, signal);
      }),

    /** Asks the replica how far it goes, where an upload's outcome is not known. */
    reconcile: (lookUp: () => Promise<Txid>): Promise<Txid> =>
      serial(async () => {
        replicated = await lookUp();
        return replicated;
      }),
  };
}

/**
 * Makes sure that the object holds these bytes, of an earlier try whose answer got lost. Throws GivenUpArrived for
 * another file of ours, and E_DIVERGED for anybody else's.
 */
async function requireSame(
  store: ObjectStore,
  {
    key,
    body,
    isGivenUp,
    signal,
  }: {
    readonly key: string;
    readonly body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
    readonly isGivenUp: (file: LtxHeader) => boolean;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const stored = await store.get(key, { signal });
  if (stored !== undefined && (await sameBytes(stored, toAsync(body)))) return;
  await requireNotGivenUp(store, { key, isGivenUp, signal });
  throw writtenByAnother(key, store);
}

/** Throws GivenUpArrived where such a file stands under the key. One that can't be read is not ours. */
async function requireNotGivenUp(
  store: ObjectStore,
  {
    key,
    isGivenUp,
    signal,
  }: {
    readonly key: string;
    readonly isGivenUp: (file: LtxHeader) => boolean;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  let found: LtxHeader | undefined;
  try {
    found = await readHeader(store, key, signal);
  } catch (error) {
    if (!(error instanceof FlysqliteError) || error.code !== "E_REPLICA_CORRUPT") throw error;
  }
  if (found !== undefined && isGivenUp(found)) throw new GivenUpArrived(key);
}

async function* toAsync(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
