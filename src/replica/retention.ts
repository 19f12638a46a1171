// What may be deleted from a replica, and in which order. Pure.
//
// Kept is all that leads to a point which the settings promise, and then some: a restore that is under way goes on with
// the files it planned. After any part of the deletions the newest state and every promised point can be restored.
// Source: Litestream 0.5, retention; what differs is named where it does

import type { LevelSettings } from "../base/level-settings.ts";
import type { Catalog } from "./catalog.ts";
import { reachedWith } from "./levels.ts";
import { LEVELS, type LtxFileInfo, SNAPSHOT_LEVEL, SYNC_LEVEL } from "./ltx/names.ts";
import { FIRST_TXID, laterTxid, NO_TXID, type Txid } from "./ltx/txid.ts";

/** Files to delete together, in any order. */
export type Batch = readonly LtxFileInfo[];

/**
 * How long a snapshot outlives the promise, in milliseconds: a restore that has planned with it is done by then.
 * Litestream deletes what a restore still reads.
 */
const GRACE_MS = 3_600_000;

/** Files of a level that are remembered, where they can't be deleted. Each takes some 300 bytes of memory. */
const MOST_REMEMBERED = 20_000;

/** Levels between the uploads and the snapshots. */
const MERGED_LEVELS = LEVELS.filter((level) => level !== SYNC_LEVEL && level !== SNAPSHOT_LEVEL);

type Options = { readonly settings: LevelSettings; readonly nowMs: number };

/**
 * The files of single uploads that are old enough, and that level 1 holds. The newest one stays always: from it
 * Litestream takes the replica's position.
 *
 * All files that one merge holds go together, when the last of them is old enough. Litestream deletes one by one, and a
 * restore to a time between them would find a hole.
 */
export function expireUploads(catalog: Catalog, { settings, nowMs }: Options): readonly Batch[] {
  const beforeMs = nowMs - settings.uploadRetentionMs;
  const uploads = catalog.files(SYNC_LEVEL).slice(0, -1);
  const reached = reachedWith(1, catalog.reached);
  const merged = MERGED_LEVELS.map((level) => ({ files: catalog.files(level), next: 0 }));
  const snapshots = catalog.snapshots();
  const expired: LtxFileInfo[] = [];
  let group: LtxFileInfo[] = [];
  let groupEnd = NO_TXID;
  for (const upload of uploads) {
    if (upload.max > reached) break;
    if (upload.max > groupEnd) {
      expired.push(...group);
      group = [];
      const holder = findHolder(upload, merged);
      groupEnd = holder?.max ?? upload.max;
      if (holder === undefined && !isRepeated(upload, snapshots)) continue;
    }
    if (upload.modifiedMs >= beforeMs) {
      group = [];
      break;
    }
    group.push(upload);
  }
  expired.push(...group);
  // From the newest on: what stays in the meantime then has no hole.
  return batches(catalog, [expired.reverse()]);
}

/** The merged file that an upload is part of. Looks on from where it stood for the upload before. */
function findHolder(
  { min, max }: LtxFileInfo,
  merged: readonly { readonly files: readonly LtxFileInfo[]; next: number }[],
): LtxFileInfo | undefined {
  for (const level of merged) {
    let file = level.files[level.next];
    while (file !== undefined && file.max < max) file = level.files[++level.next];
    if (file !== undefined && file.min <= min) return file;
  }
  return undefined;
}

/** True where a snapshot is the same: the first file of a history holds the whole database. */
function isRepeated({ min, max }: LtxFileInfo, snapshots: readonly LtxFileInfo[]): boolean {
  return min === FIRST_TXID && snapshots.some((copy) => copy.max === max);
}

/**
 * The snapshots that are older than the promise, and files that only they need. Kept are also the newest snapshot, the one before the oldest that is kept (Litestream deletes it), the newest file of each level, and what
 * the level above doesn't hold yet.
 */
export function expireHistory(catalog: Catalog, { settings, nowMs }: Options): readonly Batch[] {
  const beforeMs = nowMs - settings.snapshotRetentionMs - GRACE_MS;
  const snapshots = catalog.snapshots();
  const oldest = snapshots.findIndex((copy, i) => copy.modifiedMs >= beforeMs || i === snapshots.length - 1);
  if (oldest < 1) return [];
  const floor = snapshots[oldest - 1]?.max ?? NO_TXID;
  const expired = [...snapshots.slice(0, oldest - 1)];
  const levels = settings.uploadRetentionMs > 0 ? [SYNC_LEVEL, ...MERGED_LEVELS] : MERGED_LEVELS;
  for (const level of levels) {
    const files = catalog.files(level);
    const held = level < settings.intervalsMs.length ? reachedWith(level + 1, catalog.reached) : undefined;
    for (const file of files.slice(0, -1)) {
      if (file.max < floor && (held === undefined || file.max <= held)) expired.push(file);
    }
  }
  // First what begins a history: a restore to a time without promise then fails, and never ends too early unnoticed.
  const begins = ({ min }: LtxFileInfo) => min === FIRST_TXID;
  return batches(catalog, [expired.filter(begins), expired.filter((file) => !begins(file))]);
}

/**
 * Files that need not be remembered, as they stay whatever happens, or as deleting them is refused. They are no part
 * of any merge to come.
 */
export function forgettable(catalog: Catalog, settings: LevelSettings): readonly LtxFileInfo[] {
  const found: LtxFileInfo[] = [];
  for (const level of LEVELS) {
    const isKept = !settings.deletes || (level === SYNC_LEVEL && settings.uploadRetentionMs === 0);
    const files = catalog.files(level);
    const most = isKept ? 1 : MOST_REMEMBERED;
    const isTop = level >= settings.intervalsMs.length;
    const held = isTop ? undefined : reachedWith(level + 1, catalog.reached);
    for (const file of files.slice(0, -most)) if (held === undefined || file.max <= held) found.push(file);
  }
  return found;
}

/** What is deleted where a restore of the newest state works without it: else nothing. */
function batches(catalog: Catalog, wanted: readonly Batch[]): readonly Batch[] {
  const found = wanted.filter(({ length }) => length > 0);
  return found.length > 0 && isRestorableWithout(catalog, new Set(found.flat())) ? found : [];
}

/**
 * True where the newest snapshot and files that stay lead to the last transaction. Looks at few files, as this is asked
 * each time that something is deleted; planRestore() looks at all.
 */
function isRestorableWithout(catalog: Catalog, gone: ReadonlySet<LtxFileInfo>): boolean {
  const levels = LEVELS.filter((level) => level !== SNAPSHOT_LEVEL).map((level) => catalog.files(level));
  const snapshot = catalog.snapshots().at(-1);
  let reached = snapshot === undefined || gone.has(snapshot) ? NO_TXID : snapshot.max;
  for (;;) {
    let farthest = reached;
    for (const files of levels) {
      const next = files[firstAfter(files, reached)];
      if (next !== undefined && next.min <= reached + 1n && !gone.has(next)) farthest = laterTxid(farthest, next.max);
    }
    if (farthest === reached) return reached === catalog.lastTxid;
    reached = farthest;
  }
}

/** Index of the first file that ends after a transaction; the files are ordered by their end. */
function firstAfter(files: readonly LtxFileInfo[], txid: Txid): number {
  let low = 0;
  let high = files.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((files[middle]?.max ?? NO_TXID) > txid) high = middle;
    else low = middle + 1;
  }
  return low;
}
