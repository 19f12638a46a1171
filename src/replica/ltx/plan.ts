// Which files a restore reads, in which order. Pure; the files' content is not looked at.
// Source: Litestream 0.5, calculation of the restore plan

import { FlysqliteError } from "../../base/errors.ts";
import { type LtxFileInfo, SNAPSHOT_LEVEL } from "./names.ts";
import { FIRST_TXID, formatTxid, NO_TXID, nextTxid, type Txid, toTxid } from "./txid.ts";

export type RestoreTarget =
  | { readonly kind: "latest" }
  /** The state after exactly this transaction. */
  | { readonly kind: "txid"; readonly txid: Txid }
  /** The last state before this time, in milliseconds since the Unix epoch. */
  | { readonly kind: "timestamp"; readonly ms: number };

/**
 * Lists the files that lead to `target`, in the order to apply them. The plan is never empty: a replica
 * without files is for the caller to tell apart, as only it knows whether the listing proves that.
 *
 * The newest snapshot comes first, then at each step the file that leads farthest without a hole. Files
 * may overlap. One rule is stricter than Litestream's: when files before a timestamp lie beyond a hole, Litestream
 * restores the state before the hole without a word; here it is a failure, as it is for the latest state. It is none where
 * a merge fills the hole that goes beyond the timestamp: the state before the hole is then the last one that is kept.
 */
export function planRestore(files: readonly LtxFileInfo[], target: RestoreTarget): readonly LtxFileInfo[] {
  const eligible = files.filter((file) => isWithin(file, target));
  const snapshot = eligible
    .filter((file) => file.level === SNAPSHOT_LEVEL && file.min === FIRST_TXID)
    .reduce<LtxFileInfo | undefined>(
      (best, file) => (best === undefined || file.max > best.max ? file : best),
      undefined,
    );
  const steps = stepsFrom(eligible, snapshot?.max ?? NO_TXID, files);
  const plan = snapshot === undefined ? steps : [snapshot, ...steps];
  const reached = plan.at(-1)?.max ?? NO_TXID;
  if (target.kind === "txid" && reached !== target.txid) throw notReached(files, target.txid, reached);
  if (plan.length === 0) throw nothing(files, target);
  return plan;
}

/**
 * Lists the files that lead on from the state after `from` to the one after `to`, in the order to apply them. Fails
 * with E_REPLICA_GAP where they don't, as where merges went beyond `to` in the meantime.
 */
export function planContinuation(
  files: readonly LtxFileInfo[],
  { from, to }: { readonly from: Txid; readonly to: Txid },
): readonly LtxFileInfo[] {
  const steps = stepsFrom(
    files.filter((file) => isWithin(file, { kind: "txid", txid: to })),
    from,
    files,
  );
  const reached = steps.at(-1)?.max ?? from;
  if (reached !== to) throw notReached(files, to, reached);
  return steps;
}

/**
 * The files below the snapshots' level that join on to `from`, each leading farther than the one before. Fails with
 * E_REPLICA_GAP where there are files beyond a hole that none of `all` fills.
 */
function stepsFrom(files: readonly LtxFileInfo[], from: Txid, all: readonly LtxFileInfo[]): readonly LtxFileInfo[] {
  const plan: LtxFileInfo[] = [];
  let reached = from;
  // Sorted by their start, the files that join on to `reached` are always a prefix, and one pass is enough.
  const steps = files.filter((file) => file.level !== SNAPSHOT_LEVEL).sort(byMin);
  let farthest: LtxFileInfo | undefined;
  let next = 0;
  while (true) {
    for (let file = steps[next]; file !== undefined && file.min <= reached + 1n; file = steps[++next]) {
      if (farthest === undefined || leadsFarther(file, farthest)) farthest = file;
    }
    if (farthest === undefined || farthest.max <= reached) break;
    plan.push(farthest);
    reached = farthest.max;
  }
  const beyond = steps[next];
  if (beyond !== undefined && !all.some((file) => fills(file, reached, beyond))) throw hole(reached, beyond);
  return plan;
}

/** Whether a merge has taken in what the hole lacks, and more. */
function fills({ level, min, max }: LtxFileInfo, reached: Txid, beyond: LtxFileInfo): boolean {
  return level !== SNAPSHOT_LEVEL && min <= reached + 1n && max >= beyond.min - 1n;
}

/** The transaction that a restore of the latest state leads to; 0 where there is nothing, or a hole. */
export function restorableTxid(files: readonly LtxFileInfo[]): Txid {
  try {
    return planRestore(files, { kind: "latest" }).at(-1)?.max ?? NO_TXID;
  } catch (error) {
    if (error instanceof FlysqliteError && error.code === "E_REPLICA_GAP") return NO_TXID;
    throw error;
  }
}

function isWithin(file: LtxFileInfo, target: RestoreTarget): boolean {
  if (target.kind === "txid") return file.max <= target.txid;
  return target.kind === "latest" || file.modifiedMs < target.ms;
}

function byMin(a: LtxFileInfo, b: LtxFileInfo): number {
  return a.min < b.min ? -1 : a.min > b.min ? 1 : 0;
}

/** Litestream's order among files that join on: it decides which of two equally good plans is taken. */
function leadsFarther(file: LtxFileInfo, than: LtxFileInfo): boolean {
  if (file.max !== than.max) return file.max > than.max;
  if (file.min !== than.min) return file.min < than.min;
  if (file.level !== than.level) return file.level > than.level;
  return file.modifiedMs < than.modifiedMs;
}

function hole(reached: Txid, beyond: LtxFileInfo): FlysqliteError {
  return gap(`${missing(nextTxid(reached), toTxid(beyond.min - 1n))} before "${beyond.key}"`, reached);
}

function notReached(files: readonly LtxFileInfo[], txid: Txid, reached: Txid): FlysqliteError {
  const merge = files.find((file) => file.level !== SNAPSHOT_LEVEL && file.min <= txid && file.max > txid);
  if (merge === undefined) return gap(missing(nextTxid(reached), txid), reached);
  return gap(`transaction ${formatTxid(txid)} is kept only within "${merge.key}", with later ones`, reached);
}

function nothing(files: readonly LtxFileInfo[], target: RestoreTarget): FlysqliteError {
  if (files.length === 0 || target.kind !== "timestamp")
    return gap("the replica has no files that begin a history", NO_TXID);
  return gap(`no files are older than ${describeTime(target.ms)}`, NO_TXID);
}

function missing(first: Txid, last: Txid): string {
  if (first === last) return `transaction ${formatTxid(first)} is missing`;
  return `transactions ${formatTxid(first)} to ${formatTxid(last)} are missing`;
}

function gap(problem: string, reached: Txid): FlysqliteError {
  const good = reached === NO_TXID ? "there is no good position" : `the last good position is ${formatTxid(reached)}`;
  return new FlysqliteError("E_REPLICA_GAP", `Cannot plan the restore: ${problem}; ${good}`);
}

function describeTime(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? `${ms} ms` : time.toISOString();
}
