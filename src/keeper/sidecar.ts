// The data process without an app: replicates a database where it is, while somebody else starts and stops what writes
// to it. It links, restores, migrates and seeds nothing.

import { accessSync, constants, existsSync } from "node:fs";
import { basename, dirname } from "node:path";
import { describe, FlysqliteError } from "../base/errors.ts";
import { info, warn } from "../base/events.ts";
import type { ToKeeper } from "../base/messages.ts";
import { decideInPlace } from "../plan/in-place.ts";
import { type Lease, RELEASE_LIMIT_MS } from "../replica/lease/hold.ts";
import { forgetPlaces } from "../replica/state.ts";
import type { Connection } from "../sqlite/driver.ts";
import type { StepContext } from "../steps/context.ts";
import { findDatabaseInPlace } from "../steps/find-database.ts";
import { hasContent } from "../steps/has-content.ts";
import { type Leased, planUnderLease, whileHeld } from "../steps/lease.ts";
import { lockDatabase } from "../steps/lock.ts";
import { observeInPlace } from "../steps/observe-in-place.ts";
import { stateDirectory } from "../steps/places.ts";
import { type Replication, type ReplicationPlan, replicate } from "../steps/replicate.ts";
import { setWalMode } from "../steps/wal-mode.ts";
import { startControl } from "./control.ts";
import { createStopBudget, lastSync } from "./last-sync.ts";

/** How often a database that is not there yet is looked for, in milliseconds. */
const POLL_MS = 250;

/** Between two looks at a replica that does not answer, in milliseconds. */
const RETRY_MS = 5000;

/** Who started us. */
export type SidecarLine = {
  /** Called once nothing stands against replicating any more; the database may still be missing. */
  readonly ready: () => Promise<void>;
  readonly onMessage: (listener: (message: ToKeeper) => void) => void;
};

/**
 * Replicates until it is told to finish, then makes the last sync. Throws where that would be on a wrong copy, and
 * E_FINAL_SYNC where not everything is in the replica in the end.
 */
export async function keepInPlace(line: SidecarLine, told: StepContext): Promise<void> {
  const { log, clock, settings } = told;
  const budget = createStopBudget(settings.stopTimeoutMs.value, told.clock);
  const context = { ...told, signal: AbortSignal.any([told.signal, budget.over]) };
  const finishing = new AbortController();
  const until = finishing.signal;
  let running: Replication | undefined;
  let syncNow = () => {};
  line.onMessage((message) => {
    budget.begin();
    if (message.kind === "finish") finishing.abort(new Error("it is told to finish"));
    running?.follower.hurry();
    syncNow();
  });

  for (const note of settings.notes) log(warn("config", note));
  const path = await findDatabaseInPlace(context);
  const address = await findAddress(path, context);
  let isReady = false;
  const ready = async () => {
    if (!isReady) await line.ready();
    isReady = true;
  };

  const seek = (again: boolean) => planWhenThere(path, { ...context, until, waits: ready, again });
  // A refused start leaves no trace where flysqlite was never used. Elsewhere the lock comes first, as in a start.
  if (!existsSync(stateDirectory(path)) && (await seek(false)) === undefined) return;
  using _lock = await lockInPlace(path, context);
  const control = { databasePath: path, address, replication: () => running, isStopping: () => until.aborted };
  await using serving = startControl(control, context);
  syncNow = serving.syncNow;

  let replaced: Replication | undefined;
  let lease: Lease | undefined;
  while (!until.aborted) {
    // Under the lock: what a predecessor shipped until it let go must be seen.
    const found = await seek(replaced !== undefined);
    if (found === undefined) break;
    const held: Leased<ReplicationPlan> =
      lease === undefined ? await planUnderLease(plansFrom(found, path, context), context) : { planned: found, lease };
    lease = held.lease;
    running = await begin(held.planned, { ...whileHeld(context, lease), address, until, lease });
    await ready();
    const isTheSame = await follow(running, until);
    lease?.lost.throwIfAborted();
    if (isTheSame) break;
    replaced = running;
    running = undefined;
    log(warn("replicate", `"${path}" was replaced by another file, or removed: attaching to what is there`));
    await forgetPlaces(stateDirectory(path));
    while (!until.aborted && !hasContent(path)) await clock.sleep(POLL_MS, { signal: until }).catch(() => {});
    if (!until.aborted) replaced.close();
  }
  const working = { ...whileHeld(context, lease), address };
  if (running !== undefined) await lastSync(running, working);
  else if (replaced?.replicator.isBehind === true) await lastUpload(replaced.replicator, working);
  await lease?.release({ signal: AbortSignal.timeout(RELEASE_LIMIT_MS) });
}

/** Gives what was found first; later, when another machine's lease was waited for, what is found then. */
function plansFrom(found: ReplicationPlan, path: string, context: StepContext): () => Promise<ReplicationPlan> {
  let first: ReplicationPlan | undefined = found;
  return async () => {
    const planned = first ?? (await planInPlace(path, context)) ?? found;
    first = undefined;
    return planned;
  };
}

/** Takes hold of the database as soon as the app lets us. Throws E_FINAL_SYNC where `until` is aborted before. */
async function begin(
  planned: ReplicationPlan,
  {
    address,
    until,
    ...context
  }: StepContext & { readonly address: string; readonly until: AbortSignal; readonly lease: Lease | undefined },
): Promise<Replication> {
  const { path } = planned.facts.database;
  if (!(await setWalMode(path, { ...context, until }))) {
    const message = `Cannot replicate the last commits: "${address}" lacks those of "${path}", which is kept locked`;
    throw new FlysqliteError("E_FINAL_SYNC", message);
  }
  const replication = await replicate(planned, { ...context, restored: undefined });
  if (replication === undefined) throw new FlysqliteError("E_INTERNAL", "the replica is gone from the settings");
  return replication;
}

/** Ships until told to finish; gives false where another file is in the database's place. */
async function follow({ follower, isStillThere }: Replication, until: AbortSignal): Promise<boolean> {
  try {
    await follower.run({ until });
    return true;
  } catch (error) {
    if (isStillThere()) throw error;
    return false; // also where it stumbled over that before it saw it
  }
}

async function findAddress(path: string, context: StepContext): Promise<string> {
  const configured = await context.replica(basename(path));
  if (configured !== undefined) return configured.store.address;
  throw new FlysqliteError("E_CONFIG", `Cannot replicate "${path}": no replica is configured`, {
    hint: "Name it with --replica, FLYSQLITE_REPLICA, BUCKET_NAME or litestream.yml",
  });
}

type Waiting = StepContext & {
  readonly until: AbortSignal;
  /** Called where there is nothing to replicate yet. */
  readonly waits: () => Promise<void>;
  /** True where another file was here before: then a replica that does not answer is waited for. */
  readonly again: boolean;
};

/** How replication begins, once there is a database; undefined where `until` is aborted first. */
async function planWhenThere(path: string, context: Waiting): Promise<ReplicationPlan | undefined> {
  const { until, waits, again, log, clock } = context;
  const sleep = (ms: number) => clock.sleep(ms, { signal: until }).catch(() => {});
  let hasTold = false;
  while (!until.aborted) {
    try {
      const planned = await planInPlace(path, context);
      if (planned !== undefined) return planned;
    } catch (error) {
      const isAway = error instanceof FlysqliteError && error.code === "E_REPLICA_UNREACHABLE";
      if (!again || !isAway) throw error;
      log(warn("replicate", `not attached, next try in ${RETRY_MS / 1000} s: ${describe(error)}`));
      await sleep(RETRY_MS);
      continue;
    }
    if (!hasTold) log(info("replicate", `waiting for "${path}": there is no database yet`));
    hasTold = true;
    await waits();
    do await sleep(POLL_MS);
    while (!until.aborted && !hasContent(path));
  }
  return undefined;
}

/** Undefined where there is no database yet, or the app is just making it. */
async function planInPlace(path: string, context: StepContext): Promise<ReplicationPlan | undefined> {
  try {
    const facts = await observeInPlace(path, context);
    const decision = decideInPlace(facts);
    return decision.kind === "wait" ? undefined : { facts, copy: decision.copy };
  } catch (error) {
    // In the middle of its first transaction a file is no whole database.
    const isInvalid = error instanceof FlysqliteError && error.code === "E_DB_INVALID";
    if (isInvalid && hasContent(`${path}-journal`)) return undefined;
    throw error;
  }
}

async function lockInPlace(path: string, context: StepContext): Promise<Connection> {
  const directory = dirname(path);
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new FlysqliteError("E_VOLUME", `Cannot write beside the database, in "${directory}": ${describe(error)}`, {
      cause: error,
      hint: "Run as the user that the database belongs to",
    });
  }
  return lockDatabase(path, await context.sqlite(directory));
}

/** What was captured of a database that is gone still goes to the replica. */
async function lastUpload(
  replicator: Replication["replicator"],
  { address, signal }: StepContext & { readonly address: string },
): Promise<void> {
  const { captured } = replicator;
  try {
    await replicator.upload({ signal });
  } catch (error) {
    const count = Number(captured - replicator.lastTxid);
    throw new FlysqliteError(
      "E_FINAL_SYNC",
      `Cannot replicate the last ${count} transactions of a database that was replaced to "${address}": ${describe(error)}`,
      { cause: error },
    );
  }
}
