// What the keeper reports of its work, and whether the data is safe. Pure.

import type { Answer, LogSize, Status, Upcoming } from "../base/control.ts";
import { formatDuration } from "../base/format.ts";
import type { Trouble } from "../replica/follow.ts";
import { formatTxid, type Txid } from "../replica/ltx/txid.ts";
import { type Backlog, describeBacklog, isBehind } from "../replica/progress.ts";
import type { Scheduled, Task } from "../replica/schedule.ts";

/** From which lag on data counts as not safe, in milliseconds, and in how many sync intervals where they are longer. */
const LAG_LIMIT_MS = 10_000;
const LAG_LIMIT_INTERVALS = 3;

export type ReportFacts = {
  readonly version: string;
  readonly database: string;
  readonly replica: string;
  readonly syncIntervalMs: number;
  readonly isStopping: boolean;
  readonly captured: Txid;
  readonly replicated: Txid;
  readonly backlog: Backlog;
  readonly lastUploadMs: number | undefined;
  readonly trouble: Trouble | undefined;
  readonly log: LogSize | undefined;
};

/** What others know, for the report to carry. */
export type ReportMore = Pick<Status, "lease" | "upcoming">;

export function makeStatus(facts: ReportFacts, more: ReportMore = {}): Status {
  const { backlog, trouble, lastUploadMs, log } = facts;
  const { transactions, bytes, uncapturedBytes, wholeDatabase, ageMs, completeUntilMs } = backlog;
  const lagLimitMs = Math.max(LAG_LIMIT_MS, LAG_LIMIT_INTERVALS * facts.syncIntervalMs);
  const answer = decideAnswer(backlog, { lagLimitMs, isFenced: more.lease?.state === "lost" });
  return {
    answer,
    summary: summarize(answer, facts),
    keeper: facts.isStopping ? "stopping" : "running",
    version: facts.version,
    database: facts.database,
    replica: facts.replica,
    captured: formatTxid(facts.captured),
    replicated: formatTxid(facts.replicated),
    waiting: { transactions, bytes, uncapturedBytes, wholeDatabase },
    ...(completeUntilMs === undefined ? {} : { replicatedUntil: toTime(completeUntilMs) }),
    lagMs: Math.round(ageMs),
    lagLimitMs,
    ...(lastUploadMs === undefined ? {} : { lastUpload: toTime(lastUploadMs) }),
    ...(trouble === undefined
      ? {}
      : { lastError: { message: trouble.message, since: toTime(trouble.sinceMs), tries: trouble.tries } }),
    ...(log === undefined ? {} : { log }),
    ...more,
  };
}

/** A task of the replica's levels as `status` shows it. */
export function describeScheduled({ task, atMs }: Scheduled): Upcoming {
  return { task: describeTask(task), time: toTime(atMs) };
}

function describeTask(task: Task): string {
  if (task.kind === "compact") return `compact to level ${task.level}`;
  if (task.kind === "snapshot") return "snapshot";
  return task.what === "uploads" ? "delete old uploads" : "delete old history";
}

function decideAnswer(
  backlog: Backlog,
  { lagLimitMs, isFenced }: { readonly lagLimitMs: number; readonly isFenced: boolean },
): Answer {
  if (isFenced) return "not safe"; // nothing that is committed from now on will ever get there
  if (!isBehind(backlog)) return "safe";
  // Before the replica was complete once, what it lacks may be of any age.
  if (backlog.completeUntilMs === undefined || backlog.wholeDatabase) return "not safe";
  return backlog.ageMs > lagLimitMs ? "not safe" : "syncing";
}

function summarize(answer: Answer, { backlog, replica, replicated, trouble }: ReportFacts): string {
  if (!isBehind(backlog)) {
    const all = `everything committed is in ${replica}, up to transaction ${formatTxid(replicated)}`;
    return answer === "safe" ? all : `${all}, and another machine writes there now`;
  }
  if (answer === "syncing") {
    return `all but the last ${formatDuration(backlog.ageMs)} is in ${replica}; on its way: ${describeBacklog(backlog)}`;
  }
  const why = trouble === undefined ? "" : `: ${trouble.message}`;
  return `${replica} lacks ${describeBacklog(backlog)}${why}`;
}

function toTime(ms: number): string {
  return new Date(ms).toISOString();
}
