// The data process: prepares the database, says ready, then replicates until it is told to finish.

import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { assert } from "../base/assert.ts";
import { SOCKET_VARIABLE } from "../base/control.ts";
import { describe, FlysqliteError, Refusal } from "../base/errors.ts";
import { debug, warn } from "../base/events.ts";
import type { FromKeeper, Launch, ToKeeper } from "../base/messages.ts";
import { appEnvironment } from "../plan/app-environment.ts";
import { makePlan, type Plan } from "../plan/plan.ts";
import { DatabaseReplaced } from "../replica/follow.ts";
import { type Lease, RELEASE_LIMIT_MS } from "../replica/lease/hold.ts";
import { forgetPlaces, settleState } from "../replica/state.ts";
import { type AppBundle, openBundle } from "../steps/app-bundle.ts";
import type { StepContext } from "../steps/context.ts";
import { runHook } from "../steps/hooks.ts";
import { type Leased, planUnderLease, planWhenFree, requireLeaseStillOurs, whileHeld } from "../steps/lease.ts";
import { link } from "../steps/link.ts";
import { lockDatabase } from "../steps/lock.ts";
import { lookForMigrations } from "../steps/migrate.ts";
import { locateDatabase, observe } from "../steps/observe.ts";
import { controlSocket, stateDirectory } from "../steps/places.ts";
import { type Replication, replicate } from "../steps/replicate.ts";
import { restore } from "../steps/restore.ts";
import { rollBackHotJournal } from "../steps/roll-back.ts";
import { isUnfinished } from "../steps/unfinished.ts";
import { startControl } from "./control.ts";
import { createStopBudget, lastSync } from "./last-sync.ts";

/** The line to the supervisor. */
export type Channel = {
  /** Comes back when the message is on its way: a process may end then. */
  send(message: FromKeeper): void;
  onMessage(listener: (message: ToKeeper) => void): void;
};

/** Finds out what a start would do. Throws a Refusal with every reason why it would fail. */
export async function plan(bundle: AppBundle, context: StepContext): Promise<Plan> {
  const facts = await observe(bundle, context);
  const plan = "manifest" in facts ? makePlan(facts, context.settings) : facts;
  if ("lines" in plan) return plan;
  const [first, ...rest] = plan;
  throw new Refusal([first ?? new FlysqliteError("E_INTERNAL", "a start was refused without a reason"), ...rest]);
}

/**
 * Lives as long as there is something to replicate. With `again` an earlier keeper died under a running app:
 * the database is then as the app has it, and only replication is taken up.
 */
export async function keep(
  channel: Channel,
  { again, ...told }: StepContext & { readonly again: boolean },
): Promise<void> {
  const { log, settings } = told;
  const budget = createStopBudget(settings.stopTimeoutMs.value, told.clock);
  const signal = AbortSignal.any([told.signal, budget.over]);
  const context = { ...(again ? underRunningApp(told) : told), signal };
  const finishing = new AbortController();
  let running: Replication | undefined;
  let syncNow = () => {};
  channel.onMessage((message) => {
    budget.begin();
    if (message.kind === "finish") finishing.abort();
    running?.follower.hurry();
    syncNow();
  });

  for (const note of settings.notes) log(warn("config", note));
  const bundle = await openBundle(context);
  using begun = await lockAndPlan(bundle, { ...context, again });
  const { planned, lease } = begun;
  log(debug("keeper", "locked and planned"));
  if (!planned.facts.volume.isMountPoint) {
    log(warn("volume", `${planned.facts.volume.path} is no mount point: what is there may not outlive this container`));
  }
  if (planned.copy.kind === "keep" && planned.copy.warning !== undefined) log(warn("replicate", planned.copy.warning));
  if (again && planned.copy.kind !== "keep") {
    throw new FlysqliteError(
      "E_VOLUME",
      `Cannot replicate: "${planned.facts.database.path}" is gone, and the app still runs`,
    );
  }

  const working = whileHeld(context, lease);
  try {
    running = again
      ? await replicate(planned, { ...working, lease, restored: undefined })
      : await perform(planned, bundle, { ...working, lease });
    await lease?.guard(working); // it may have run out meanwhile: no app on a database that is another's to write
  } catch (error) {
    if (!again) await lease?.release(limitedBy(RELEASE_LIMIT_MS));
    throw error;
  }
  channel.send({
    kind: "ready",
    launch: describeLaunch(planned, { ...context, isReplicating: running !== undefined }),
    restart: settings.restart.value,
    replicating: running !== undefined,
    stopTimeoutMs: settings.stopTimeoutMs.value,
    databaseDirectory: dirname(planned.facts.database.path),
  });
  if (running === undefined) return;

  const { facts } = planned;
  const address = facts.replica?.address ?? "";
  const replication = () => running;
  const isStopping = () => finishing.signal.aborted;
  await using control = startControl({ databasePath: facts.database.path, address, replication, isStopping }, working);
  syncNow = control.syncNow;
  try {
    await running.follower.run({ until: finishing.signal });
  } catch (error) {
    if (error instanceof DatabaseReplaced) {
      await settle(running, context);
      await forgetPlaces(stateDirectory(facts.database.path));
    }
    throw error;
  }
  lease?.lost.throwIfAborted();
  await lastSync(running, { ...working, address });
  await settle(running, context);
  await lease?.release(limitedBy(RELEASE_LIMIT_MS));
}

/** Spares the next start a look at the replica. */
async function settle({ path, replicator }: Replication, { log }: Pick<StepContext, "log">): Promise<void> {
  try {
    await settleState(stateDirectory(path), replicator.lastTxid);
  } catch (error) {
    log(debug("stop", `the next start will ask the replica once more: ${describe(error)}`)); // such as on a full volume
  }
}

/** Not the keeper's own signal: a start that was told to stop gives back what it took. */
function limitedBy(ms: number): { readonly signal: AbortSignal } {
  return { signal: AbortSignal.timeout(ms) };
}

/** What an app has open is not moved aside under it. */
function underRunningApp(context: StepContext): StepContext {
  const { settings } = context;
  const onStaleVolume = { ...settings.onStaleVolume, value: "refuse" } as const;
  return { ...context, settings: { ...settings, onStaleVolume } };
}

/**
 * Plans under the lock and the replica's lease: what a predecessor that is still shipping changes until it lets go must
 * be seen. On a volume that flysqlite has not used yet there is nothing to lock before a first plan says that a start
 * may happen; a refused start leaves no trace.
 */
export async function lockAndPlan(
  bundle: AppBundle,
  { again, ...context }: StepContext & { readonly again: boolean },
): Promise<Disposable & Leased> {
  const known = locateIfPossible(bundle, context);
  const isUsed = known !== undefined && existsSync(stateDirectory(known));
  const planAnew = () => plan(bundle, context);
  const path = isUsed ? known : (await planWhenFree(planAnew, context)).facts.database.path;
  const lock = await lockDatabase(path, await context.sqlite(dirname(path)));
  try {
    if (again) await requireLeaseStillOurs(path, context);
    // Nothing is unfinished where an app runs, and nothing may be cut under it.
    else if (isUsed && isUnfinished(path)) await (await import("../steps/recover.ts")).recover(path, context);
    else if (isUsed) rollBackHotJournal(path, await context.sqlite(dirname(path)));
    return { ...(await planUnderLease(planAnew, context)), [Symbol.dispose]: () => lock.close() };
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** Undefined where something is wrong that the plan will tell, together with all else. */
function locateIfPossible(bundle: AppBundle, context: StepContext): string | undefined {
  try {
    return locateDatabase(bundle, context);
  } catch {
    return undefined;
  }
}

/** Walks the plan up to where the app may start. */
async function perform(
  planned: Plan,
  bundle: AppBundle,
  context: StepContext & { readonly lease: Lease | undefined },
): Promise<Replication | undefined> {
  const { at, signal } = context;
  const { path } = planned.facts.database;
  const isNew = planned.copy.kind === "create";
  await link(planned, context);
  at("linked");
  const restored = await restore(planned, context);
  at("restored");
  signal.throwIfAborted();

  const names = await lookForMigrations(planned, bundle, context);
  const deploying = names && (await import("../steps/deploy.ts")); // most starts have no use for it
  const deployment = names && (await deploying?.prepareDeployment({ path, names, isNew }, bundle, context));
  // What is in a replica has been seeded: nothing is replicated of a database that has yet to be.
  const isUnseeded = isNew || planned.facts.unfinished !== undefined;
  let replication = isUnseeded ? undefined : await replicate(planned, { ...context, restored });
  await runHook("before-migrate", planned, context);
  if (deploying !== undefined && deployment !== undefined) {
    const replicateAgain = (plan: Plan) => replicate(plan, { ...context, restored: undefined });
    const hold = deploying.holdBy(planned, { replication, replicateAgain });
    await deploying.deploy(deployment, hold, context);
    replication = await hold.takeUpAgain();
  }
  at("migrated");
  await runHook("after-migrate", planned, context);
  if (isUnseeded) await (await import("../steps/seed.ts")).seed(planned, context);
  at("seeded");
  signal.throwIfAborted();
  if (isUnseeded) replication = await replicate(planned, { ...context, restored: undefined });
  await runHook("before-launch", planned, context);
  assert(!isUnfinished(path), "an app is not started on a database that the next start would put back");
  return replication;
}

function describeLaunch(
  { facts, placement }: Plan,
  { environment, settings, isReplicating }: StepContext & { readonly isReplicating: boolean },
): Launch {
  const { file, arguments: args, environment: more } = facts.command;
  const own = {
    ...appEnvironment(environment, { placement, shareAws: settings.shareAws.value }),
    ...more,
    [SOCKET_VARIABLE]: isReplicating ? controlSocket(facts.database.path) : undefined,
  };
  const told = Object.entries(own).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { file, arguments: args, directory: settings.appDirectory, environment: Object.fromEntries(told) };
}
