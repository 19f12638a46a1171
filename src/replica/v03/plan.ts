// Which objects of Litestream 0.3 a restore reads, in which order. Pure; the objects' content is not looked at.
// Source: Litestream 0.3, calculation of the restore target; Litestream 0.5, restore of 0.3's replicas

import { FlysqliteError } from "../../base/errors.ts";
import {
  formatPlace,
  type Generation,
  type V03Files,
  type V03Segment,
  type V03Snapshot,
  type WalIndex,
  type WalOffset,
} from "./names.ts";

export type V03Target =
  /** The last state of a generation: of the one named, or of the one that was written to last. */
  | { readonly kind: "latest"; readonly generation?: Generation | undefined }
  /** The last state that was uploaded by this time, in milliseconds since the Unix epoch. */
  | { readonly kind: "timestamp"; readonly ms: number; readonly generation?: Generation | undefined }
  /** The state at the end of the log with this index. */
  | { readonly kind: "index"; readonly index: WalIndex; readonly generation: Generation };

export type V03Plan = {
  readonly generation: Generation;
  readonly snapshot: V03Snapshot;
  /** All segments from the snapshot's index on, up to the target. */
  readonly segments: readonly V03Segment[];
  /**
   * Segments of the snapshot's own log that lie behind the target, if the target lies in that log or before it. A
   * snapshot may already hold what is in them, and would then show a state of two times at once.
   */
  readonly behind: readonly V03Segment[];
  /** True where another log comes after the last of `segments`, and nothing of theirs in between: it must be whole. */
  readonly isFollowed: boolean;
  /** Where the last log is to end, if it ends within a transaction: at the end of the one before. */
  readonly until?: WalOffset;
  /** The plan from the snapshot before, for when this one's proves to hold what lies behind the target. */
  readonly earlier: V03Plan | undefined;
  /** What the user should know about the choice: whole sentences without a full stop. */
  readonly notes: readonly string[];
};

export type V03Generation = {
  readonly generation: Generation;
  /** When its first and its last object were uploaded, in milliseconds since the Unix epoch. */
  readonly createdMs: number;
  readonly updatedMs: number;
  /** By index. */
  readonly snapshots: readonly V03Snapshot[];
  /** By index, then offset. */
  readonly segments: readonly V03Segment[];
};

/** The generations of a replica, the one that was written to last first. */
export function listGenerations({ snapshots, segments }: V03Files): readonly V03Generation[] {
  const ids = new Set([...snapshots, ...segments].map(({ generation }) => generation));
  const bySnapshot = Map.groupBy(snapshots, ({ generation }) => generation);
  const bySegment = Map.groupBy(segments, ({ generation }) => generation);
  return [...ids]
    .map((generation) => {
      const own = { snapshots: bySnapshot.get(generation) ?? [], segments: bySegment.get(generation) ?? [] };
      let createdMs = Number.POSITIVE_INFINITY;
      let updatedMs = Number.NEGATIVE_INFINITY;
      for (const objects of [own.snapshots, own.segments]) {
        for (const { createdMs: ms } of objects) {
          createdMs = Math.min(createdMs, ms);
          updatedMs = Math.max(updatedMs, ms);
        }
      }
      return { generation, createdMs, updatedMs, ...own };
    })
    .sort((a, b) => b.updatedMs - a.updatedMs || (a.generation < b.generation ? -1 : 1));
}

/**
 * Lists the objects that lead to `target`.
 *
 * The generation that was written to last is taken, as Litestream 0.3 does, and of it the last snapshot that was
 * uploaded by the time asked for. Fails with E_REPLICA_GAP where no generation was being written at that time, where
 * there is no snapshot to start from, or where a log or its beginning is missing, be it the one that makes a snapshot
 * whole. A segment that is missing within a log shows only when the log is read; one that is missing at the end of a
 * log shows nowhere, as nothing in the format tells where a log ends.
 */
export function planV03(files: V03Files, target: V03Target): V03Plan {
  const generation = chooseGeneration(listGenerations(files), target);
  const plan = planFrom(
    generation,
    target,
    generation.snapshots.filter((snapshot) => isWithin(snapshot, target)),
  );
  const note = describeOtherChoice(files, target, plan.snapshot);
  return note === undefined ? plan : { ...plan, notes: [...plan.notes, note] };
}

function chooseGeneration(generations: readonly V03Generation[], target: V03Target): V03Generation {
  const named = generations.filter(({ generation }) => (target.generation ?? generation) === generation);
  const found =
    target.kind === "timestamp"
      ? named.find(({ createdMs, updatedMs }) => createdMs <= target.ms && target.ms <= updatedMs)
      : named[0];
  if (found !== undefined) return found;
  if (named.length === 0 || target.kind !== "timestamp") {
    const what = target.generation === undefined ? "a replica" : `generation "${target.generation}"`;
    throw gap(`there is nothing of ${what} of Litestream 0.3`);
  }
  throw gap(`no generation was being written at ${describeTime(target.ms)}`, {
    problems: named.map(
      ({ generation, createdMs, updatedMs }) =>
        `generation "${generation}": from ${describeTime(createdMs)} to ${describeTime(updatedMs)}`,
    ),
    hint: "Name a time within one of the generations",
  });
}

/** The plan from the last of `snapshots`. */
function planFrom(
  { generation, segments }: Pick<V03Generation, "generation" | "segments">,
  target: V03Target,
  snapshots: readonly V03Snapshot[],
): V03Plan {
  const snapshot = lastOf(snapshots, target);
  if (snapshot === undefined) {
    throw gap(`generation "${generation}" has no snapshot ${describeLimit(target)}, so that there is no good position`);
  }
  const following = segments.filter(({ index }) => index >= snapshot.index);
  const end = following.findIndex((segment) => !isWithin(segment, target));
  const planned = end === -1 ? following : following.slice(0, end);
  checkNames(snapshot, planned);
  const reached = planned.at(-1)?.index ?? snapshot.index;
  if (target.kind === "index" && (planned.length === 0 || reached !== target.index)) {
    throw gap(
      `log ${formatPlace(target)} is missing; the last good position is in log ${formatPlace({ index: reached })}`,
    );
  }
  const behind =
    reached === snapshot.index ? following.slice(planned.length).filter(({ index }) => index === snapshot.index) : [];
  if (planned.length === 0 && behind.length === 0) {
    return planWithout(snapshot, { generation, segments }, target, snapshots);
  }
  const before = snapshots.filter(({ index }) => index < snapshot.index);
  const mayBeAhead = reached === snapshot.index;
  const earlier = mayBeAhead ? planUnlessGap(() => planFrom({ generation, segments }, target, before)) : undefined;
  const next = following[planned.length];
  const isFollowed = next !== undefined && next.index !== reached;
  return { generation, snapshot, segments: planned, behind, isFollowed, earlier, notes: [] };
}

/**
 * The plan without a snapshot of whose own log there is nothing: Litestream was cut short between the two. Such a
 * snapshot may hold a part of that log, and is no state of the database then. The end of the log before it is the
 * last state that is known to be one.
 */
function planWithout(
  snapshot: V03Snapshot,
  generation: Pick<V03Generation, "generation" | "segments">,
  target: V03Target,
  snapshots: readonly V03Snapshot[],
): V03Plan {
  const before = snapshots.filter(({ index }) => index < snapshot.index);
  const earlier = planUnlessGap(() => planFrom(generation, target, before));
  const last = earlier?.segments.at(-1);
  if (earlier === undefined || last?.index !== snapshot.index - 1) {
    throw gap(`"${snapshot.key}" is whole only with the log after it, and nothing of that was uploaded`, {
      hint: "Restore to a later time, or another generation: `flysqlite snapshots --all` lists what there is",
    });
  }
  const note = `Nothing of the log of "${snapshot.key}" was uploaded: restored is the end of "${last.key}"`;
  return { ...earlier, notes: [...earlier.notes, note] };
}

function isWithin({ index, createdMs }: V03Snapshot, target: V03Target): boolean {
  if (target.kind === "timestamp") return createdMs <= target.ms;
  return target.kind === "latest" || index <= target.index;
}

/** The snapshot that was uploaded last; by index where an index is asked for, or where times are equal. */
function lastOf(snapshots: readonly V03Snapshot[], target: V03Target): V03Snapshot | undefined {
  const isLater = (a: V03Snapshot, b: V03Snapshot) =>
    target.kind === "index" || a.createdMs === b.createdMs ? a.index > b.index : a.createdMs > b.createdMs;
  return snapshots.reduce<V03Snapshot | undefined>(
    (last, snapshot) => (last === undefined || isLater(snapshot, last) ? snapshot : last),
    undefined,
  );
}

/** Throws where the names alone show a hole: no log may be missing, and each must be there from its start. */
function checkNames(snapshot: V03Snapshot, segments: readonly V03Segment[]): void {
  let last: V03Segment | undefined;
  for (const segment of segments) {
    const { index, offset } = segment;
    const isSameLog = last?.index === index;
    const expected = last === undefined ? snapshot.index : last.index + 1;
    if (!isSameLog && index !== expected) {
      const first = formatPlace({ index: expected as WalIndex });
      const missing =
        index === expected + 1 ? `log ${first} is` : `logs ${first} to before ${formatPlace({ index })} are`;
      throw gap(`${missing} missing before "${segment.key}"; ${describeGood(snapshot, last)}`);
    }
    if (!isSameLog && offset !== 0) {
      throw gap(
        `the start of log ${formatPlace({ index })} is missing before "${segment.key}"; ${describeGood(snapshot, last)}`,
      );
    }
    if (isSameLog && offset === last?.offset) throw gap(`"${last.key}" and "${segment.key}" are of the same place`);
    last = segment;
  }
}

/** Litestream 0.5 looks for the last snapshot of all generations, which may be of another one. */
function describeOtherChoice(files: V03Files, target: V03Target, chosen: V03Snapshot): string | undefined {
  if (target.kind === "index" || target.generation !== undefined) return undefined;
  const other = lastOf(
    files.snapshots.filter((snapshot) => isWithin(snapshot, target)),
    target,
  );
  if (other === undefined || other.generation === chosen.generation) return undefined;
  return (
    `Generation "${chosen.generation}" was written to last, as Litestream 0.3 goes by; ` +
    `Litestream 0.5 would restore "${other.generation}", which has the newest snapshot`
  );
}

function planUnlessGap(plan: () => V03Plan): V03Plan | undefined {
  try {
    return plan();
  } catch (error) {
    if (error instanceof FlysqliteError && error.code === "E_REPLICA_GAP") return undefined;
    throw error;
  }
}

function describeLimit(target: V03Target): string {
  if (target.kind === "timestamp") return `from before ${describeTime(target.ms)}`;
  return target.kind === "index" ? `for log ${formatPlace(target)}` : "to start from";
}

function describeGood(snapshot: V03Snapshot, last: V03Segment | undefined): string {
  const { key, createdMs } = last ?? snapshot;
  return `the last good position is the end of "${key}", of ${describeTime(createdMs)}`;
}

function gap(
  problem: string,
  { problems, hint = HINT }: { problems?: readonly string[]; hint?: string } = {},
): FlysqliteError {
  const details = problems === undefined ? {} : { problems };
  return new FlysqliteError("E_REPLICA_GAP", `Cannot plan the restore: ${problem}`, { ...details, hint });
}

const HINT = "Bring the missing file back, or restore to the last good position with --timestamp";

function describeTime(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? `${ms} ms` : time.toISOString();
}
