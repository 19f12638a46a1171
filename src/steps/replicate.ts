// Takes hold of the database, and ships its commits from then on.

import { basename, dirname } from "node:path";
import { makePrivateDirectory } from "../base/durable-file.ts";
import { describe } from "../base/errors.ts";
import { debug, info, warn } from "../base/events.ts";
import type { CopyDecision } from "../plan/copy.ts";
import type { Facts } from "../plan/facts.ts";
import { createCatalog } from "../replica/catalog.ts";
import { createFollower, type Follower } from "../replica/follow.ts";
import { createLevelKeeper } from "../replica/keep-levels.ts";
import { type Guard, type Lease, unguarded } from "../replica/lease/hold.ts";
import { isLtxKey } from "../replica/ltx/names.ts";
import { NO_TXID } from "../replica/ltx/txid.ts";
import { createReplicator, type Replicator } from "../replica/replicator.ts";
import type { Scheduled } from "../replica/schedule.ts";
import { NOTHING_REMEMBERED, type ReplicationState, readRemembered } from "../replica/state.ts";
import { attach } from "../sqlite/attached.ts";
import { openFileStore } from "../storage/file.ts";
import type { ObjectStore } from "../storage/store.ts";
import type { StepContext } from "./context.ts";
import { stateDirectory } from "./places.ts";

export type Replication = {
  /** Path of the database. */
  readonly path: string;
  readonly replicator: Replicator;
  readonly follower: Follower;
  /** What comes next for the replica's levels, the soonest first. */
  readonly upcoming: () => readonly Scheduled[];
  readonly lease: Lease | undefined;
  /** False where the database was replaced by another file. */
  readonly isStillThere: () => boolean;
  /** Lets go of the database: for a change that is to be put back, or that can't bear another connection. */
  readonly close: () => void;
};

/** What of a plan matters here. */
export type ReplicationPlan = {
  readonly facts: Pick<Facts, "replica" | "lease" | "state" | "newest"> & {
    readonly database: Pick<Facts["database"], "path">;
  };
  readonly copy: CopyDecision;
};

/**
 * Begins to replicate; undefined where no replica is configured. When it is back, no commit can be missed any
 * more, and the app may start; nothing has been uploaded yet.
 */
export async function replicate(
  { facts, copy }: ReplicationPlan,
  {
    restored,
    lease,
    ...context
  }: StepContext & { readonly restored: ReplicationState | undefined; readonly lease: Lease | undefined },
): Promise<Replication | undefined> {
  const { settings, random, clock, log, at, signal, sqlite } = context;
  const { database, replica, state } = facts;
  const configured = await context.replica(basename(database.path));
  if (configured === undefined || replica === undefined) {
    const before = state === undefined ? "" : `; it was replicated to ${state.replica} before`;
    log(warn("replicate", `no replica is configured: what the volume loses is lost${before}`));
    return undefined;
  }
  const { store } = configured;
  const driver = await sqlite(dirname(database.path));
  const attached = attach(database.path, { driver, at });
  const directory = stateDirectory(database.path);
  await makePrivateDirectory(directory);
  const id = restored?.databaseId ?? databaseId(facts, random.uuid);
  const isOurs = restored !== undefined || (copy.kind === "keep" && state?.databaseId === id);
  const catalog = createCatalog(replica.files);
  const guard = lease?.guard ?? unguarded;
  const replicator = await createReplicator({
    attached,
    start: {
      databaseId: id,
      lastTxid: replica.lastTxid,
      newest: facts.newest,
      ...(isOurs ? readRemembered(directory) : NOTHING_REMEMBERED),
    },
    store,
    local: openFileStore(directory, { random, durable: false }),
    stateDirectory: directory,
    catalog,
    guard,
    clock,
    log,
    at,
    signal,
  });
  log(info("replicate", `to ${store.address}`));
  const levels = createLevelKeeper({
    catalog,
    compactor: replicator.compactor,
    store,
    settings: settings.levels,
    copiedAt: () => replicator.copiedAt,
    snapshot: replicator.snapshot,
    guard,
    clock,
    random,
    log,
    at,
  });
  const follower = createFollower(replicator, {
    databasePath: database.path,
    syncIntervalMs: settings.syncIntervalMs.value,
    isStillThere: attached.isStillThere,
    alongside: levels.run,
    clock,
    random,
    log,
    signal,
  });
  void sweep(store, { ...context, guard });
  const { isStillThere, close } = attached;
  return { path: database.path, replicator, follower, upcoming: levels.upcoming, lease, isStillThere, close };
}

/** Begun this long ago and not ended, an upload never will be, in milliseconds: the largest take hours. */
const LEFT_OVER_MS = 24 * 3600 * 1000;

/** Removes what a process that was killed left in the replica. In the background: nothing depends on it. */
async function sweep(
  store: ObjectStore,
  { clock, log, signal, guard }: Pick<StepContext, "clock" | "log" | "signal"> & { readonly guard: Guard },
): Promise<void> {
  try {
    await guard({ signal });
    const removed = await store.sweep({ signal, isOurs: isLtxKey, beforeMs: clock.now() - LEFT_OVER_MS });
    if (removed > 0) log(info("replicate", `removed ${removed} uploads from ${store.address} that were never ended`));
  } catch (error) {
    if (!signal.aborted) log(debug("replicate", describe(error))); // a key may lack the right to it
  }
}

/** The replica's own id where it has a history; else this volume's, unless that belongs to another replica. */
function databaseId({ replica, state }: Pick<Facts, "replica" | "state">, uuid: () => string): string {
  if (replica?.databaseId !== undefined) return replica.databaseId;
  return state !== undefined && replica?.lastTxid === NO_TXID ? state.databaseId : uuid();
}
