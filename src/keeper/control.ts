// What is asked of a keeper that replicates, from outside: how things stand, and to wait until everything is in the
// replica. The socket by which it is asked is opened beside, and nothing fails where it can't be.

import { statSync } from "node:fs";
import type { LogSize, Status, SyncAnswer } from "../base/control.ts";
import { describe, FlysqliteError } from "../base/errors.ts";
import { debug, warn } from "../base/events.ts";
import { formatDuration } from "../base/format.ts";
import { version } from "../base/version.ts";
import { type Barrier, createBarrier } from "../replica/barrier.ts";
import { formatTxid, type Txid } from "../replica/ltx/txid.ts";
import { describeBacklog, isBehind } from "../replica/progress.ts";
import { isBusy } from "../sqlite/driver.ts";
import type { StepContext } from "../steps/context.ts";
import { controlSocket } from "../steps/places.ts";
import type { Replication } from "../steps/replicate.ts";
import type { Control } from "./control-server.ts";
import { describeScheduled, makeStatus } from "./report.ts";

export type ControlOptions = {
  readonly databasePath: string;
  /** Address of the replica. */
  readonly address: string;
  /** The one that runs; undefined while another file is in the database's place. */
  readonly replication: () => Replication | undefined;
  readonly isStopping: () => boolean;
};

export type RunningControl = AsyncDisposable & {
  /** Ships at once what there is; whether it arrives is left to the last sync. */
  syncNow(): void;
};

/** Serves until disposed. Comes back at once; the socket is there a moment later. */
export function startControl(options: ControlOptions, context: StepContext): RunningControl {
  const { log, clock, signal } = context;
  const path = controlSocket(options.databasePath);
  const barrier = createBarrier({ ship: () => ship(options, signal), clock });
  const control: Control = {
    status: () => report(options, context),
    sync: (request) => sync(options, { barrier, clock, ...request }),
  };
  const opened = (async () => {
    const { serveControl } = await import("./control-server.ts");
    return serveControl(path, control);
  })();
  opened.then(
    () => log(debug("keeper", `control socket at ${path}`)),
    (error: unknown) => log(warn("keeper", `no control socket at "${path}": ${describe(error)}`)),
  );
  return {
    syncNow() {
      barrier.sync({ signal }).catch(() => {});
    },
    async [Symbol.asyncDispose]() {
      const server = await opened.catch(() => undefined);
      await server?.[Symbol.asyncDispose]();
    },
  };
}

async function ship({ replication, databasePath }: ControlOptions, signal: AbortSignal): Promise<Txid> {
  const running = replication();
  if (running === undefined) throw new Error(`"${databasePath}" is not there, or is being attached to`);
  const { replicator, follower, isStillThere } = running;
  if (!isStillThere()) {
    follower.hurry(); // so that it sees that too
    throw new Error(`"${databasePath}" was replaced by another file, or removed`);
  }
  try {
    await replicator.sync({ signal });
    return replicator.lastTxid;
  } finally {
    follower.news(); // it may have to upload what was captured, or to follow a copy by a snapshot
  }
}

async function sync(
  { replication, address, databasePath }: ControlOptions,
  {
    barrier,
    clock,
    timeoutMs,
    signal,
  }: {
    readonly barrier: Barrier;
    readonly clock: StepContext["clock"];
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  },
): Promise<SyncAnswer> {
  const startedMs = clock.monotonic();
  const time = formatDuration(timeoutMs);
  const limit = new AbortController();
  const late = () => limit.abort(new Error(`no whole answer within ${time}`));
  const done = new AbortController();
  clock.sleep(timeoutMs, { signal: done.signal }).then(late, () => {});
  try {
    const replicated = await barrier.sync({ signal: AbortSignal.any([signal, limit.signal]) });
    return { replica: address, replicated: formatTxid(replicated), tookMs: Math.round(clock.monotonic() - startedMs) };
  } catch (error) {
    const rest = describeRest(replication());
    const message = `Cannot bring everything of "${databasePath}" to "${address}": it lacks ${rest}: ${describe(error)}`;
    throw new FlysqliteError("E_SYNC", message, { cause: error });
  } finally {
    done.abort();
  }
}

/** For a message: what the replica lacks, where that can be told. */
function describeRest(running: Replication | undefined): string {
  const unknown = "the last commits";
  try {
    const backlog = running?.replicator.backlog;
    return backlog !== undefined && isBehind(backlog) ? describeBacklog(backlog) : unknown;
  } catch {
    return unknown; // the log's state is not to be had just now
  }
}

/** Throws E_SYNC where there is nothing to tell of, or SQLite does not say how the log stands. */
function report(options: ControlOptions, { settings }: StepContext): Status {
  const { databasePath } = options;
  const running = options.replication();
  try {
    if (running?.isStillThere() === true) return reportOn(running, options, settings);
  } catch (error) {
    if (!isBusy(error)) throw error;
    throw new FlysqliteError("E_SYNC", `Cannot tell of "${databasePath}": ${describe(error)}`, { cause: error });
  }
  throw new FlysqliteError("E_SYNC", `Cannot tell of "${databasePath}": it is not there, or is being attached to`);
}

function reportOn(
  { replicator, follower, lease, upcoming }: Replication,
  { databasePath, address, isStopping }: ControlOptions,
  settings: StepContext["settings"],
): Status {
  const { captured, lastTxid: replicated, lastUploadMs, backlog } = replicator;
  return makeStatus(
    {
      version,
      database: databasePath,
      replica: address,
      syncIntervalMs: settings.syncIntervalMs.value,
      isStopping: isStopping(),
      captured,
      replicated,
      backlog,
      lastUploadMs,
      trouble: follower.trouble,
      log: readLogSize(databasePath, replicator),
    },
    {
      ...(lease === undefined ? {} : { lease: { epoch: lease.epoch, state: lease.state } }),
      upcoming: upcoming().map(describeScheduled),
    },
  );
}

function readLogSize(databasePath: string, { walState }: Replication["replicator"]): LogSize {
  const { frames, checkpointed } = walState();
  const bytes = statSync(`${databasePath}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  return { bytes, frames, checkpointedFrames: checkpointed };
}
