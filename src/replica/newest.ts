// Whether the replica's newest file is the one that this volume was writing when it was stopped.
//
// A volume that was stopped in an upload doesn't know whether the file arrived. That the replica ends there proves
// nothing, since somebody else may have gone on from where this volume's last file had ended: also a copy of this
// volume, whose log is the same. So the header of each file is noted before its upload, which has the file's time.
// Of a file that was given up that proves whose it is, and not that what is on the volume leads on from it.

import { FlysqliteError } from "../base/errors.ts";
import type { ObjectStore } from "../storage/store.ts";
import type { ReplicaContent } from "./inspect.ts";
import { decodeHeader, LTX_HEADER_SIZE, type LtxHeader } from "./ltx/header.ts";
import type { LtxFileInfo } from "./ltx/names.ts";
import { NO_TXID, type Txid } from "./ltx/txid.ts";
import { markOf, newestTxid, type ReplicationState, type UploadMark } from "./state.ts";

export function isWrittenHere(
  newest: LtxHeader | undefined,
  { begun, givenUp }: Pick<ReplicationState, "begun" | "givenUp">,
): boolean {
  return isAmong(newest, begun) || isAmong(newest, givenUp);
}

/** True for a file that one of the marks is of; a file that was not looked at is not. */
export function isAmong(file: LtxHeader | undefined, marks: readonly UploadMark[] = []): boolean {
  if (file === undefined) return false;
  const { header } = markOf(file);
  return marks.some((mark) => mark.header === header);
}

/** Reads the newest file's header; undefined where nothing hangs on it, or where the file is gone. */
export async function readNewest(
  store: ObjectStore,
  {
    content,
    state,
    signal,
  }: { readonly content: ReplicaContent; readonly state: ReplicationState; readonly signal: AbortSignal },
): Promise<LtxHeader | undefined> {
  const { files, lastTxid, databaseId } = content;
  const acked = state.acked?.txid ?? NO_TXID;
  if (state.databaseId !== databaseId || lastTxid <= acked || lastTxid > newestTxid(state)) return undefined;
  const newest = lastFile(files, lastTxid);
  return newest && readHeader(store, newest.key, signal);
}

/** The refusal to go on over a file that somebody else wrote. */
export function writtenByAnother(key: string, { address }: Pick<ObjectStore, "address">): FlysqliteError {
  return new FlysqliteError("E_DIVERGED", `Cannot replicate: "${key}" of "${address}" was written by someone else`, {
    hint: "Stop the other writer; two of them on one replica path destroy it",
  });
}

/** The file with the last transaction; the lowest level's where several end with it. */
export function lastFile(files: readonly LtxFileInfo[], lastTxid: Txid): LtxFileInfo | undefined {
  return files.filter(({ max }) => max === lastTxid).sort((a, b) => a.level - b.level)[0];
}

/** The header of a file of the replica; undefined where it is gone. */
export async function readHeader(store: ObjectStore, key: string, signal: AbortSignal): Promise<LtxHeader | undefined> {
  const found = await store.get(key, { signal, lengthBytes: LTX_HEADER_SIZE });
  if (found === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of found) chunks.push(chunk);
  return decodeHeader(Buffer.concat(chunks), key);
}
