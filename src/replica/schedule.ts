// When a replica's levels, snapshots and deletions are due. Pure. Where nothing happened, nothing is due.
// Source: Litestream 0.5: multiples of an interval on the wall clock, counted from Go's zero time

import type { LevelSettings } from "../base/level-settings.ts";
import type { Catalog } from "./catalog.ts";
import { mergeStart, reachedWith } from "./levels.ts";
import { type LtxFileInfo, SYNC_LEVEL } from "./ltx/names.ts";
import { NO_TXID, nextTxid, type Txid } from "./ltx/txid.ts";

export type Task =
  | { readonly kind: "compact"; readonly level: number }
  /** A copy of the whole database; `reason` says why now. */
  | { readonly kind: "snapshot"; readonly reason: string }
  /** Deletes files of single uploads, or what no snapshot that is kept needs. */
  | { readonly kind: "expire"; readonly what: "uploads" | "history" };

export type Scheduled = {
  readonly task: Task;
  /** When it is due, in milliseconds since the Unix epoch. */
  readonly atMs: number;
};

/** Transactions that are lost for a level; for level 0, for every restore. A snapshot of `last` or later makes it good. */
export type Hole = { readonly level: number; readonly last: Txid };

/** How often a deletion of history is looked for, in milliseconds. It costs no request where there is none. */
const EXPIRE_HISTORY_MS = 3_600_000;

/** Milliseconds from Go's zero time, which is the first of January of the year 1, to the Unix epoch. */
const ZERO_TIME_MS = 62_135_596_800_000;

/** The last multiple of an interval, in milliseconds since the Unix epoch. */
export function boundaryBefore(nowMs: number, intervalMs: number): number {
  return Math.floor((nowMs + ZERO_TIME_MS) / intervalMs) * intervalMs - ZERO_TIME_MS;
}

/** A task's name, for what was done when. */
export function taskName(task: Task): string {
  if (task.kind === "compact") return `level ${task.level}`;
  return task.kind === "snapshot" ? "snapshot" : task.what;
}

/** What a task's interval is; it is done once in each. */
export function intervalOf(task: Task, settings: LevelSettings): number {
  if (task.kind === "snapshot") return settings.snapshotIntervalMs;
  if (task.kind === "expire") return task.what === "uploads" ? settings.uploadRetentionCheckMs : EXPIRE_HISTORY_MS;
  const intervalMs = settings.intervalsMs[task.level - 1];
  if (intervalMs === undefined) throw new RangeError(`no level: ${task.level}`);
  return intervalMs;
}

/**
 * All that is to be done, and when. In the order in which to do it, where several things are due.
 *
 * What is new waits for the next multiple of the interval after its own time, so nothing is done again after a restart;
 * and what came late for one waits for the next.
 */
export function schedule({
  catalog,
  settings,
  done,
  holes,
  snapshot,
  nowMs,
}: {
  readonly catalog: Catalog;
  readonly settings: LevelSettings;
  /** By a task's name: the boundary of its interval at which it was last done. */
  readonly done: ReadonlyMap<string, number>;
  readonly holes: readonly Hole[];
  /** The newest snapshot that is sound, as far as is known. */
  readonly snapshot: LtxFileInfo | undefined;
  readonly nowMs: number;
}): readonly Scheduled[] {
  const found: Scheduled[] = [];
  const add = (task: Task, sinceMs = 0) => {
    const intervalMs = intervalOf(task, settings);
    const boundary = boundaryBefore(nowMs, intervalMs);
    // A time in the future tells only that a clock is wrong.
    const isTooEarly = boundaryBefore(Math.min(sinceMs, nowMs), intervalMs) === boundary;
    const isDone = isTooEarly || done.get(taskName(task)) === boundary;
    found.push({ task, atMs: isDone ? boundary + intervalMs : nowMs });
  };
  const isBridged = ({ last }: Hole) => snapshot !== undefined && snapshot.max >= last;

  for (let level = 1; level <= settings.intervalsMs.length; level += 1) {
    const task: Task = { kind: "compact", level };
    const hole = holes.find((hole) => hole.level === level);
    if (hole !== undefined) {
      if (isBridged(hole)) found.push({ task, atMs: nowMs });
      continue;
    }
    const oldest = oldestWaiting(catalog, level);
    if (oldest !== undefined) add(task, oldest.modifiedMs);
  }
  if (holes.some((hole) => !isBridged(hole))) {
    found.push({ task: { kind: "snapshot", reason: "a part of the history is lost" }, atMs: nowMs });
  } else {
    const reached = catalog.snapshots().at(-1)?.max ?? NO_TXID;
    const first = reached === NO_TXID ? undefined : firstFrom(catalog.files(SYNC_LEVEL), nextTxid(reached));
    if (catalog.lastTxid > reached) add({ kind: "snapshot", reason: "it is time for it" }, first?.modifiedMs);
  }
  if (settings.deletes) {
    const [oldest] = catalog.files(SYNC_LEVEL);
    const isHeld = oldest !== undefined && oldest.max <= reachedWith(1, catalog.reached);
    if (settings.uploadRetentionMs > 0 && isHeld && catalog.files(SYNC_LEVEL).length > 1) {
      add({ kind: "expire", what: "uploads" });
    }
    if (catalog.snapshots().length > 1) add({ kind: "expire", what: "history" });
  }
  return found;
}

/** The oldest file that waits for being compacted into the level. */
function oldestWaiting(catalog: Catalog, level: number): LtxFileInfo | undefined {
  const files = catalog.files(level - 1);
  const reached = reachedWith(level, catalog.reached);
  return firstFrom(files, mergeStart({ files, snapshots: catalog.snapshots(), reached }));
}

/** The first file that ends at a transaction or later. Looks from the end, as few do. */
function firstFrom(files: readonly LtxFileInfo[], txid: Txid): LtxFileInfo | undefined {
  let at = files.length;
  for (let file = files[at - 1]; file !== undefined && file.max >= txid; file = files[at - 1]) at -= 1;
  return files[at];
}
