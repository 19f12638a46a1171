// The last sync: within the time that a stop may take, and with an account of what it could not bring to the replica.

import type { Clock } from "../base/context.ts";
import { describe, FlysqliteError } from "../base/errors.ts";
import { info, type Log } from "../base/events.ts";
import { mayPass } from "../replica/barrier.ts";
import { DatabaseReplaced } from "../replica/follow.ts";
import { describeBacklog, isBehind } from "../replica/progress.ts";
import type { Replicator } from "../replica/replicator.ts";
import type { Replication } from "../steps/replicate.ts";

/**
 * Time of a stop that is left for telling what is missing and for ending, in milliseconds: after it we are killed. A
 * process that shares a busy processor needs some of it.
 */
const TELL_MS = 500;

/** Of a short stop no more than this share. */
const TELL_SHARE = 0.2;

/** Between a failure and the next try, in milliseconds. */
const RETRY_MS = 500;

export type StopBudget = {
  /** Lets the time run, from the first call on. */
  begin(): void;
  /** Aborted when the time is over. */
  readonly over: AbortSignal;
};

/** The time that a stop may take, which is counted from the first message that speaks of one. */
export function createStopBudget(stopTimeoutMs: number, clock: Pick<Clock, "sleep">): StopBudget {
  const ending = new AbortController();
  const never = new AbortController().signal;
  let hasBegun = false;
  return {
    over: ending.signal,
    begin() {
      if (hasBegun) return;
      hasBegun = true;
      const ms = stopTimeoutMs - Math.min(TELL_MS, stopTimeoutMs * TELL_SHARE);
      void clock.sleep(ms, { signal: never }).then(() => ending.abort(new Error("the time for the stop was over")));
    },
  };
}

/**
 * Ships what was committed up to now, and tries again while there is time, which `signal` ends. Throws E_FINAL_SYNC
 * that says how much the replica lacks.
 */
export async function lastSync(
  { path, replicator, isStillThere }: Pick<Replication, "path" | "replicator" | "isStillThere">,
  {
    address,
    clock,
    log,
    signal,
  }: {
    /** Of the replica. */
    readonly address: string;
    readonly clock: Pick<Clock, "sleep">;
    readonly log: Log;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  let failure: unknown;
  while (!signal.aborted) {
    try {
      if (!isStillThere()) throw new DatabaseReplaced(path);
      const files = await replicator.sync({ signal });
      const after = files === 0 ? "" : `, after ${files} more files`;
      return log(info("stop", `everything is in the replica${after}`));
    } catch (error) {
      if (error instanceof FlysqliteError && error.code === "E_FENCED") throw error;
      if (signal.aborted) break;
      failure = error;
      if (!mayPass(error)) break;
      await clock.sleep(RETRY_MS, { signal }).catch(() => {});
    }
  }
  throw new FlysqliteError(
    "E_FINAL_SYNC",
    `Cannot replicate the last commits: "${address}" lacks ${describeRest(replicator)}: ${describe(failure ?? signal.reason)}`,
    { cause: failure },
  );
}

function describeRest(replicator: Replicator): string {
  const unknown = "what was committed last";
  try {
    const { backlog } = replicator;
    return isBehind(backlog) ? describeBacklog(backlog) : unknown;
  } catch {
    return unknown; // the log's state is not to be had: no reason to hide why the sync failed
  }
}
