// Whether the replica's newest file is the one that this volume was writing when it was stopped.
//
// A volume that was stopped in an upload doesn't know whether the file arrived. That the replica ends there proves
// nothing, since somebody else may have gone on from where this volume's last file had ended. What is uploaded from
// here has its time, and its part of the log, in its header.

import { open } from "node:fs/promises";
import { join } from "node:path";
import { FlysqliteError, systemCode } from "../base/errors.ts";
import { frameOffset, sameSalts } from "../sqlite/wal/format.ts";
import type { ObjectStore } from "../storage/store.ts";
import type { ReplicaContent } from "./inspect.ts";
import { decodeHeader, LTX_HEADER_SIZE, type LtxHeader } from "./ltx/header.ts";
import { formatLtxName, SYNC_LEVEL } from "./ltx/names.ts";
import { NO_TXID } from "./ltx/txid.ts";
import type { ReplicationState } from "./state.ts";

export type NewestFile = {
  readonly header: LtxHeader;
  /** Header of this volume's own file of that name, where it has staged one. */
  readonly own: LtxHeader | undefined;
};

export function isWrittenHere({ header, own }: NewestFile, state: ReplicationState): boolean {
  if (own !== undefined) return sameEnd(header, own);
  const pending = state.pending?.txid === header.max ? state.pending : undefined;
  if (pending === undefined || header.commit !== pending.pageCount) return false;
  const { position } = pending;
  const { offsetBytes, sizeBytes, salts } = header.wal;
  // While its log was empty the database was read from its file.
  if (position.kind === "file") return header.min === header.max && sizeBytes === 0;
  const { pageSize, salts: ownSalts } = position.header;
  return sameSalts(salts, ownSalts) && offsetBytes + sizeBytes === frameOffset(position.frame + 1, pageSize);
}

/** A merge that ends with the transaction has its time and size, and tells no log. */
function sameEnd(found: LtxHeader, own: LtxHeader): boolean {
  const sameTransaction =
    found.max === own.max &&
    found.timestampMs === own.timestampMs &&
    found.pageSize === own.pageSize &&
    found.commit === own.commit;
  if (!sameTransaction || found.wal.offsetBytes === 0) return sameTransaction;
  const { offsetBytes, sizeBytes, salts } = found.wal;
  return offsetBytes === own.wal.offsetBytes && sizeBytes === own.wal.sizeBytes && sameSalts(salts, own.wal.salts);
}

/** Reads its header, and that of the volume's own copy; undefined where nothing hangs on it, or where it is gone. */
export async function readNewest(
  store: ObjectStore,
  {
    content,
    state,
    stateDirectory,
    signal,
  }: {
    readonly content: ReplicaContent;
    readonly state: ReplicationState;
    readonly stateDirectory: string;
    readonly signal: AbortSignal;
  },
): Promise<NewestFile | undefined> {
  const { files, lastTxid, databaseId } = content;
  const [acked, pending] = [state.acked?.txid ?? NO_TXID, state.pending?.txid ?? NO_TXID];
  if (state.databaseId !== databaseId || lastTxid <= acked || lastTxid > pending) return undefined;
  const [newest] = files.filter(({ max }) => max === lastTxid).sort((a, b) => a.level - b.level);
  const header = newest && (await readHeader(store, newest.key, signal));
  if (header === undefined) return undefined;
  const name = formatLtxName({ min: lastTxid, max: lastTxid });
  return { header, own: await readOwnHeader(join(stateDirectory, `ltx/${SYNC_LEVEL}`, name)) };
}

async function readHeader(store: ObjectStore, key: string, signal: AbortSignal): Promise<LtxHeader | undefined> {
  const found = await store.get(key, { signal, lengthBytes: LTX_HEADER_SIZE });
  if (found === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of found) chunks.push(chunk);
  return decodeHeader(Buffer.concat(chunks), key);
}

/** Undefined where there is none, or none that proves anything. */
async function readOwnHeader(path: string): Promise<LtxHeader | undefined> {
  try {
    await using file = await open(path);
    const bytes = new Uint8Array(LTX_HEADER_SIZE);
    const { bytesRead } = await file.read(bytes, 0, LTX_HEADER_SIZE, 0);
    return decodeHeader(bytes.subarray(0, bytesRead), path);
  } catch (error) {
    if (systemCode(error) === "ENOENT" || error instanceof FlysqliteError) return undefined;
    throw error;
  }
}
