// Which files of a level make the next one of the level above it. Pure.
//
// Of each level the files follow one another, and each of their ends is an end at the level below: else Litestream,
// where it takes over, would pass over files. A part of the history that is lost at one level is bridged at the next
// by a copy of the whole database, so that the levels above see no hole.
// Source: Litestream 0.5, compaction

import { type LtxFileInfo, SNAPSHOT_LEVEL } from "./ltx/names.ts";
import { FIRST_TXID, laterTxid, NO_TXID, nextTxid, type Txid, toTxid } from "./ltx/txid.ts";

/** Files of one merge. With more, each page costs more to look for than to copy. */
export const MAX_INPUTS = 256;

/** Memory that a merge may take for its inputs, in bytes. */
export const MERGE_MEMORY_BYTES = 8 * 1024 * 1024;

/** An input is read in pieces of this size, in bytes: none holds a connection while another one is read. */
export const PIECE_BYTES = 256 * 1024;

export type MergePlan =
  | { readonly kind: "nothing" }
  | {
      readonly kind: "merge";
      readonly inputs: readonly LtxFileInfo[];
      /** Of the merged file: its first transaction may lie within the first input. */
      readonly min: Txid;
      readonly max: Txid;
    }
  /** Nothing leads over these transactions. A copy of the database at `last` or later would. */
  | { readonly kind: "hole"; readonly first: Txid; readonly last: Txid };

export type MergeSources = {
  /** Files of the level below, in any order. */
  readonly files: readonly LtxFileInfo[];
  /** Copies of the whole database, ordered by their last transaction. */
  readonly snapshots: readonly LtxFileInfo[];
  /** Last transaction that the level holds, or one above it. */
  readonly reached: Txid;
  /** Last transaction that may be taken. */
  readonly upTo: Txid;
};

/** What a level holds by itself or by the levels that are made of it. */
export function reachedWith(level: number, reached: (level: number) => Txid): Txid {
  let last = NO_TXID;
  for (let above = level; above < SNAPSHOT_LEVEL; above += 1) last = laterTxid(last, reached(above));
  return last;
}

/** The first transaction that the level does not hold. */
export function mergeStart({ files, snapshots, reached }: Omit<MergeSources, "upTo">): Txid {
  return reached === NO_TXID ? beginning(files, snapshots) : nextTxid(reached);
}

/** The next merge: as many files as go into one. To be asked again until there is nothing left. */
export function planMerge({ files, snapshots, reached, upTo }: MergeSources): MergePlan {
  const start = mergeStart({ files, snapshots, reached });
  const ahead = files.filter(({ max }) => max >= start && max <= upTo).sort(byStart);
  const [first] = ahead;
  if (first === undefined) return { kind: "nothing" };
  if (first.min > start) return bridge(ahead, { first: start, last: toTxid(first.min - 1n), snapshots });
  return mergeOf(chain(ahead, start), start);
}

/**
 * Where an empty level begins. Not with a file that a snapshot repeats: a new replica's first one holds the whole
 * database, and each level would hold it once more.
 */
function beginning(files: readonly LtxFileInfo[], snapshots: readonly LtxFileInfo[]): Txid {
  const first = files.reduce<Txid | undefined>(
    (min, file) => (min === undefined || file.min < min ? file.min : min),
    undefined,
  );
  if (first !== FIRST_TXID) return first ?? FIRST_TXID;
  let start = FIRST_TXID;
  for (const { min, max } of files) {
    if (min === FIRST_TXID && snapshots.some((copy) => copy.max === max)) start = laterTxid(start, nextTxid(max));
  }
  return start;
}

/**
 * The files that lead on from `start`, one after the other, as far as one merge may go. Where files overlap, the one
 * that leads farthest.
 */
function chain(ahead: readonly LtxFileInfo[], start: Txid): readonly LtxFileInfo[] {
  const inputs: LtxFileInfo[] = [];
  let next = 0;
  let cursor = start;
  let memoryBytes = 0;
  while (inputs.length < MAX_INPUTS) {
    let farthest: LtxFileInfo | undefined;
    for (let file = ahead[next]; file !== undefined && file.min <= cursor; file = ahead[++next]) {
      if (file.max >= cursor && (farthest === undefined || file.max >= farthest.max)) farthest = file;
    }
    if (farthest === undefined) break;
    memoryBytes += memoryOf(farthest);
    if (memoryBytes > MERGE_MEMORY_BYTES && inputs.length > 0) break;
    inputs.push(farthest);
    cursor = nextTxid(farthest.max);
  }
  return inputs;
}

/** Memory that an input takes while it is merged, in bytes: a piece, what is cut from it, and its page. */
function memoryOf({ sizeBytes }: LtxFileInfo): number {
  return 16 * 1024 + 1.5 * Math.min(sizeBytes, PIECE_BYTES);
}

/**
 * Leads over a hole with the oldest snapshot behind it: that keeps most of the points in between. Where it ends within
 * a file, that one is added, as the merged file must end where a file does.
 */
function bridge(
  ahead: readonly LtxFileInfo[],
  { first, last, snapshots }: { readonly first: Txid; readonly last: Txid; readonly snapshots: readonly LtxFileInfo[] },
): MergePlan {
  const copy = snapshots.find(({ max }) => max >= last);
  if (copy === undefined) return { kind: "hole", first, last };
  if (!ahead.some(({ max }) => max >= copy.max)) return { kind: "nothing" }; // the level below has to get there first
  const [next] = chain(ahead, nextTxid(copy.max));
  return mergeOf(next !== undefined && next.min <= copy.max ? [copy, next] : [copy], first);
}

function mergeOf(inputs: readonly LtxFileInfo[], min: Txid): MergePlan {
  const max = inputs.at(-1)?.max;
  return max === undefined ? { kind: "nothing" } : { kind: "merge", inputs, min, max };
}

function byStart(a: LtxFileInfo, b: LtxFileInfo): number {
  if (a.min !== b.min) return a.min < b.min ? -1 : 1;
  return a.max < b.max ? -1 : a.max > b.max ? 1 : 0;
}
