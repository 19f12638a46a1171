// How far everything that was committed is known to be in the replica, and what is missing there.

import type { Clock } from "../base/context.ts";
import { formatBytes, formatDuration } from "../base/format.ts";
import type { Txid } from "./ltx/txid.ts";
import type { StagedFile } from "./staging.ts";

/** What the replica lacks, as far as that can be told without reading the log. */
export type Backlog = {
  /** Transactions that wait on the volume as files. */
  readonly transactions: number;
  /** Size of these files, in bytes. */
  readonly bytes: number;
  /** Bytes of the log that are in no such file yet. */
  readonly uncapturedBytes: number;
  /** True where a copy of the whole database has to be made first, as at the beginning of a history. */
  readonly wholeDatabase: boolean;
  /**
   * Age of the oldest commit that the replica lacks, in milliseconds; 0 where it lacks none. At most, where
   * `completeUntilMs` is known; else at least, as an earlier process may have left something.
   */
  readonly ageMs: number;
  /** Everything that was committed before this time is in the replica: milliseconds since the Unix epoch. */
  readonly completeUntilMs: number | undefined;
};

/** True where the replica lacks something. */
export function isBehind({
  transactions,
  uncapturedBytes,
  wholeDatabase,
}: Pick<Backlog, "transactions" | "uncapturedBytes" | "wholeDatabase">): boolean {
  return transactions > 0 || uncapturedBytes > 0 || wholeDatabase;
}

/** "3 transactions (12 kB), the oldest 4.1 s old": what would be lost with the volume. */
export function describeBacklog(backlog: Backlog): string {
  const { transactions, bytes, uncapturedBytes, wholeDatabase, ageMs, completeUntilMs } = backlog;
  const parts: string[] = [];
  if (wholeDatabase) parts.push("the whole database, which is yet to be copied");
  if (transactions > 0)
    parts.push(`${transactions} transaction${transactions === 1 ? "" : "s"} (${formatBytes(bytes)})`);
  if (uncapturedBytes > 0 && !wholeDatabase) parts.push(`${formatBytes(uncapturedBytes)} of the log`);
  if (parts.length === 0) return "nothing";
  const least = completeUntilMs === undefined ? "at least " : "";
  return `${parts.join(" and ")}, the oldest commit ${least}${formatDuration(ageMs)} old`;
}

export type Progress = ReturnType<typeof createProgress>;

/**
 * Keeps the looks at the database that lead further than the replica. Each look says: when it began, everything that
 * was committed was in transactions up to this one.
 */
export function createProgress(clock: Pick<Clock, "monotonic" | "now">) {
  const createdMs = clock.monotonic();
  /** Ascending by transaction, one each; of those that are in the replica, the last. */
  const looks: { readonly txid: Txid; readonly begunMs: number }[] = [];

  /** By the monotonic clock; undefined where no look says so yet. */
  function completeUntil(replicated: Txid): number | undefined {
    const reached = looks.findLastIndex(({ txid }) => txid <= replicated);
    if (reached === -1) return undefined;
    looks.splice(0, reached);
    return looks[0]?.begunMs;
  }

  return {
    /** Notes a look that began at `begunMs` by the monotonic clock and found all up to `txid`. */
    looked(txid: Txid, begunMs: number): void {
      for (let last = looks.at(-1); last !== undefined && last.txid >= txid; last = looks.at(-1)) looks.pop();
      looks.push({ txid, begunMs });
    },

    backlog({
      replicated,
      captured,
      waiting,
      ...rest
    }: {
      /** The replica's last transaction, and the last one that is there or on the volume. */
      readonly replicated: Txid;
      readonly captured: Txid;
      /** The files in between, the oldest first. */
      readonly waiting: readonly StagedFile[];
      readonly uncapturedBytes: number;
      readonly wholeDatabase: boolean;
    }): Backlog {
      const nowMs = clock.now();
      const untilMs = completeUntil(replicated);
      const sinceMs = clock.monotonic() - (untilMs ?? createdMs);
      const [oldest] = untilMs === undefined ? waiting : []; // else it is newer than that
      const lacks = { transactions: Number(captured - replicated), ...rest };
      return {
        ...lacks,
        bytes: waiting.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        ageMs: isBehind(lacks) ? Math.max(sinceMs, nowMs - (oldest?.timestampMs ?? nowMs)) : 0,
        completeUntilMs: untilMs === undefined ? undefined : nowMs - sinceMs,
      };
    },
  };
}
