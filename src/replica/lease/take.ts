// Reading the lease, and taking it: each a request.

import type { Clock, Random } from "../../base/context.ts";
import type { ObjectStore } from "../../storage/store.ts";
import { formatLease, LEASE_KEY, type LeaseContent, parseLease, type SeenLease } from "./content.ts";
import { type LeaseFacts, type Moment, nextEpoch } from "./rules.ts";

/** A lease that is ours, since `renewed` at the latest. */
export type Taken = SeenLease & { readonly renewed: Moment };

/** Undefined where nobody ever had one. Throws E_REPLICA_CORRUPT where what is there says nothing. */
export async function readLease(
  store: ObjectStore,
  { signal }: { readonly signal: AbortSignal },
): Promise<SeenLease | undefined> {
  const found = await store.readVersioned(LEASE_KEY, { signal });
  return found && { content: parseLease(found.bytes, store.address), version: found.version };
}

/**
 * Takes the lease as it was seen. Undefined where it is no longer so: somebody took, renewed or released it since.
 * Whether it may be taken is for the caller to know.
 */
export async function takeLease(
  store: ObjectStore,
  {
    facts,
    machine,
    ttlMs,
    clock,
    random,
    signal,
  }: {
    readonly facts: LeaseFacts;
    /** For people, who may read who has it. */
    readonly machine: string;
    readonly ttlMs: number;
    readonly clock: Clock;
    readonly random: Random;
    readonly signal: AbortSignal;
  },
): Promise<Taken | undefined> {
  const content: LeaseContent = {
    epoch: nextEpoch(facts),
    owner: facts.owner ?? random.uuid(),
    taking: random.uuid(),
    renewal: 0,
    state: "held",
    ttlMs,
    sinceMs: clock.now(),
    machine,
  };
  const renewed = momentOf(clock);
  const version = await writeLease(store, content, { version: facts.seen?.version, signal });
  if (version !== undefined) return { content, version, renewed };
  // The condition does not hold also where an earlier try of the same request had arrived without its answer.
  const found = await readLease(store, { signal });
  return found?.content.taking === content.taking ? { ...found, renewed } : undefined;
}

/** Gives the new version; undefined where the lease is no longer of `version`. */
export function writeLease(
  store: ObjectStore,
  content: LeaseContent,
  options: { readonly version: string | undefined; readonly signal: AbortSignal },
): Promise<string | undefined> {
  return store.replace(LEASE_KEY, new TextEncoder().encode(formatLease(content)), options);
}

export function momentOf(clock: Clock): Moment {
  return { monotonicMs: clock.monotonic(), wallMs: clock.now() };
}
