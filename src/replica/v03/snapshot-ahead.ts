// Whether a snapshot already holds what lies behind the point in time that was asked for.
//
// Litestream 0.3 uploads a snapshot and the log beside it independently. A snapshot may hold changes that a segment
// of a later time brings: then the snapshot, with the log applied up to a point in between, is of two times at once.
// So is a snapshot alone, where a reader kept a checkpoint from copying all. Litestream restores both without a word.

import { createHash } from "node:crypto";
import { FlysqliteError } from "../../base/errors.ts";
import type { PageNumber, PageSize } from "../../sqlite/page.ts";
import { type DownloadOptions, downloadInOrder } from "../downloads.ts";
import type { Image } from "../image.ts";
import type { PageSet } from "../page-set.ts";
import { formatPlace, type V03Segment, type V03Snapshot, WAL_START, type WalOffset } from "./names.ts";
import { decompressObject } from "./object.ts";
import type { WalSegments } from "./wal-segments.ts";

/** The snapshot holds changes from behind the point asked for. An earlier snapshot, where there is one, does not. */
export class SnapshotAhead extends FlysqliteError {
  constructor({ key }: V03Snapshot, behind: V03Segment) {
    super(
      "E_REPLICA_GAP",
      `Cannot restore: "${key}" already holds changes of "${behind.key}" that lie behind the point to restore`,
      { hint: "Restore to a later time, when all of that was there, or to one before the snapshot" },
    );
  }
}

/** A page behind the target, of a segment that is partly before it. */
export type TailPage = { readonly page: PageNumber; readonly hash: string; readonly segment: V03Segment };

export function hashPage(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("base64");
}

/**
 * Reads the segments `behind` the target, of the log that was applied up to there, and throws SnapshotAhead if a page
 * that only the snapshot gave is as one of them has it, or as `tail` has it.
 *
 * They are no part of the state: where they can't be read, the proof is left out, and a note in the answer says so.
 */
export async function proveNotAhead({
  snapshot,
  behind,
  log,
  written,
  tail,
  pageSize,
  pageCount,
  image,
  ...options
}: DownloadOptions & {
  readonly snapshot: V03Snapshot;
  readonly behind: readonly V03Segment[];
  readonly log: WalSegments;
  /** Pages that the log gave. */
  readonly written: PageSet | undefined;
  readonly tail: readonly TailPage[];
  readonly pageSize: PageSize;
  readonly pageCount: number;
  readonly image: Image;
}): Promise<readonly string[]> {
  for (const { page, hash, segment } of tail) {
    const found = new Uint8Array(pageSize);
    if (page <= pageCount && image.readPage(page, found) && hashPage(found) === hash) {
      throw new SnapshotAhead(snapshot, segment);
    }
  }
  let current = behind[0];
  if (current === undefined || written === undefined) return [];
  const target = formatPlace({ index: log.index, offset: log.end });
  log.redirect((page, data) => {
    if (page > pageCount || written.has(page)) return;
    const found = new Uint8Array(data.byteLength);
    const isThere = image.readPage(page, found);
    if (isThere && current !== undefined && Buffer.compare(found, data) === 0)
      throw new SnapshotAhead(snapshot, current);
  });
  try {
    for await (const { item, chunks } of downloadInOrder(behind, { ...options, onBytes: undefined })) {
      current = item;
      await log.read(item, decompressObject(chunks, item.key));
    }
    return [];
  } catch (error) {
    if (error instanceof SnapshotAhead || !(error instanceof FlysqliteError)) throw error;
    if (error.code !== "E_REPLICA_CORRUPT" && error.code !== "E_REPLICA_GAP") throw error;
    return [
      `"${current.key}", behind the restored ${target}, can't be read: nothing proves that "${snapshot.key}" holds none of its changes`,
    ];
  }
}

/**
 * Reads the log `behind` a snapshot that is restored alone, and gives the offset in it up to which the snapshot has
 * it all: 0 where it has nothing of it. Throws SnapshotAhead where it has changes and lacks others before them.
 *
 * Where the log can't be read there is no proof, and a note says so.
 */
export async function proveWhole({
  snapshot,
  behind,
  log,
  pageSize,
  pageCount,
  image,
  ...options
}: DownloadOptions & {
  readonly snapshot: V03Snapshot;
  readonly behind: readonly V03Segment[];
  /** The log, of which nothing has been read. */
  readonly log: WalSegments;
  readonly pageSize: PageSize;
  readonly pageCount: number;
  readonly image: Image;
}): Promise<{ readonly offset: WalOffset; readonly notes: readonly string[] }> {
  const inSnapshot = new Uint8Array(pageSize);
  /** Pages whose newest frame so far is not what the snapshot has. */
  const lacking = new Set<PageNumber>();
  /** Where the snapshot has all that the log has up to there. */
  let whole = WAL_START;
  /** Pages that the log has up to there. One that is written anew with the same content proves nothing. */
  const settled = new Set<PageNumber>();
  const since = new Set<PageNumber>();
  /** Where the log first brings another page as the snapshot has it. */
  let ahead: V03Segment | undefined;
  let current = behind[0];
  const onPage = (page: PageNumber, data: Uint8Array) => {
    const has = image.readPage(page, inSnapshot) && Buffer.compare(inSnapshot, data) === 0;
    if (has) lacking.delete(page);
    else lacking.add(page);
    if (settled.has(page)) return;
    since.add(page);
    if (has) ahead ??= current;
  };
  log.redirect(onPage, (commitSize, end) => {
    if (lacking.size > 0 || commitSize !== pageCount) return;
    whole = end;
    for (const page of since) settled.add(page);
    since.clear();
    ahead = undefined;
  });
  try {
    for await (const { item, chunks } of downloadInOrder(behind, { ...options, onBytes: undefined })) {
      current = item;
      await log.read(item, decompressObject(chunks, item.key));
    }
  } catch (error) {
    if (!(error instanceof FlysqliteError) || !["E_REPLICA_CORRUPT", "E_REPLICA_GAP"].includes(error.code)) throw error;
    const note = `"${current?.key}" can't be read: nothing proves that "${snapshot.key}" holds no part of what is in it`;
    return { offset: whole, notes: [note] };
  }
  if (ahead !== undefined) throw new SnapshotAhead(snapshot, ahead);
  return { offset: whole, notes: [] };
}
