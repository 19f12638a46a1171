// Takes the replica's lease for this volume, and waits for it where another machine has it.

import { hostname } from "node:os";
import { basename } from "node:path";
import { describe, FlysqliteError } from "../base/errors.ts";
import { debug, info, warn } from "../base/events.ts";
import { formatDuration } from "../base/format.ts";
import type { Facts } from "../plan/facts.ts";
import type { Plan } from "../plan/plan.ts";
import { holdLease, type Lease } from "../replica/lease/hold.ts";
import { readLeaseMemory, writeLeaseMemory } from "../replica/lease/memory.ts";
import { createPatience, type Patience } from "../replica/lease/patience.ts";
import { probeConditions } from "../replica/lease/probe.ts";
import { describeHolder, LEASE_TIMES, type LeaseFacts, standingOf } from "../replica/lease/rules.ts";
import { readLease, type Taken, takeLease } from "../replica/lease/take.ts";
import type { ObjectStore } from "../storage/store.ts";
import type { StepContext } from "./context.ts";
import { stateDirectory } from "./places.ts";

/** What of a plan matters here. */
type Leasable = { readonly facts: Pick<Facts, "lease"> & { readonly database: Pick<Facts["database"], "path"> } };

/** A plan, and the lease under which it may be carried out; none where there is none to be had. */
export type Leased<Planned extends Leasable = Plan> = {
  readonly planned: Planned;
  readonly lease: Lease | undefined;
};

/**
 * Plans, and takes the lease as the plan found it. That this succeeds is proof that nobody else wrote since the
 * replica was looked at. Where another machine has it, its end is waited for, and all is planned anew.
 *
 * Throws as planning does, and E_FENCED where the other machine goes on.
 */
export async function planUnderLease<Planned extends Leasable>(
  plan: () => Promise<Planned>,
  context: StepContext,
): Promise<Leased<Planned>> {
  const patience = newPatience(context);
  for (;;) {
    const planned = await planWhenFree(plan, context, patience);
    const { database, lease: facts } = planned.facts;
    const store = await storeOf(database.path, context);
    if (facts === undefined || store === undefined) return { planned, lease: undefined };
    if (facts.seen === undefined && !(await keepsConditions(store, context))) return { planned, lease: undefined };
    const { ttlMs } = context.leaseTimes ?? LEASE_TIMES;
    const taken = await takeLease(store, { ...context, facts, ttlMs, machine: machineName(context) });
    if (taken !== undefined) {
      return { planned, lease: await hold(taken, { store, facts, directory: stateDirectory(database.path) }, context) };
    }
    await patience.pause(store, facts.seen?.content); // somebody was faster
  }
}

/** Plans when no other machine has the lease, as far as a look can tell. */
export async function planWhenFree<Planned extends Leasable>(
  plan: () => Promise<Planned>,
  context: StepContext,
  patience: Patience = newPatience(context),
): Promise<Planned> {
  for (;;) {
    const planned = await plan();
    const { lease, database } = planned.facts;
    const store = await storeOf(database.path, context);
    if (lease?.seen === undefined || store === undefined) return planned;
    if (standingOf(lease).kind !== "held" || patience.hasRunOut(lease.seen)) return planned;
    await patience.waitFor(lease.seen, store);
  }
}

/**
 * For a keeper that follows one that died under a running app. Throws E_FENCED where another machine has had the lease
 * since: the replica then goes on with another database than the app's.
 */
export async function requireLeaseStillOurs(databasePath: string, context: StepContext): Promise<void> {
  const store = await storeOf(databasePath, context);
  if (store === undefined || context.settings.fence.value === "off") return;
  const memory = readLeaseMemory(stateDirectory(databasePath));
  const seen = await readLease(store, context);
  if (memory?.replica !== store.address || seen === undefined || seen.content.taking === memory.taking) return;
  throw new FlysqliteError(
    "E_FENCED",
    `Cannot write to "${store.address}" any more: ${describeHolder(seen.content)}, took its lease over`,
  );
}

function newPatience({ leaseTimes = LEASE_TIMES, ...context }: StepContext): Patience {
  return createPatience({ ...context, times: leaseTimes });
}

/** The same surroundings, with a signal that also breaks off whatever is under way once the lease is another's. */
export function whileHeld<Context extends { readonly signal: AbortSignal }>(
  context: Context,
  lease: Lease | undefined,
): Context {
  return lease === undefined ? context : { ...context, signal: AbortSignal.any([context.signal, lease.lost]) };
}

async function storeOf(databasePath: string, context: StepContext): Promise<ObjectStore | undefined> {
  return (await context.replica(basename(databasePath)))?.store;
}

/** Whether a lease is worth anything there. Asked only where there never was one: one that is there was made so. */
async function keepsConditions(store: ObjectStore, context: StepContext): Promise<boolean> {
  const { fence } = context.settings;
  const broken = await probeConditions(store, context);
  if (broken === undefined) return true;
  if (fence.value === "required") {
    throw new FlysqliteError(
      "E_CONFIG",
      `Cannot keep other machines from writing to "${store.address}", as ${fence.source} wants it: ${broken}`,
      { hint: "Use a bucket with conditional writes, or --fence=auto, and never run two machines on it" },
    );
  }
  const text = `other machines can't be kept from writing to ${store.address}, so never run two: ${broken}`;
  context.log(warn("lease", text));
  return false;
}

/** Fly's name for the machine, or the host's. For people: what tells machines apart is the volume's id. */
function machineName({ environment }: StepContext): string {
  return environment["FLY_MACHINE_ID"] ?? hostname();
}

async function hold(
  taken: Taken,
  { store, facts, directory }: { readonly store: ObjectStore; readonly facts: LeaseFacts; readonly directory: string },
  { clock, log, signal }: StepContext,
): Promise<Lease> {
  const { content } = taken;
  try {
    await writeLeaseMemory(directory, { ...content, replica: store.address });
  } catch (error) {
    log(debug("lease", `its taking is not noted on the volume: ${describe(error)}`)); // a full one starts all the same
  }
  const standing = standingOf(facts);
  if (standing.kind === "held") {
    const time = formatDuration(standing.content.ttlMs);
    log(warn("lease", `taken over from ${describeHolder(standing.content)}: it was not renewed for ${time}`));
  }
  log(info("lease", `epoch ${content.epoch}, renewed every ${formatDuration(content.ttlMs / 3)}`));
  const lease = holdLease({ store, taken, stateDirectory: directory, clock, log });
  void lease.renew({ until: signal });
  return lease;
}
