// Whose a lease is, and for how long it is surely ours. Pure.
//
// Two clocks are compared nowhere. Who holds it counts from before the request that renewed it was sent; who wants it
// counts from when it saw the newest version. The second begins later and is waited out in full, the first ends
// earlier by a margin, so they can't overlap while clocks run about equally fast.

import type { LeaseContent, SeenLease } from "./content.ts";

export type LeaseTimes = {
  /** How long a lease holds after it was renewed, in milliseconds. Renewed each third of it. */
  readonly ttlMs: number;
  /** How long a start waits for another machine's lease, in milliseconds. */
  readonly waitMs: number;
};

/**
 * Long enough for two renewals in a row to fail, each after a third of it; short enough for a start to wait out a
 * machine that died within its budget of a minute. A renewal each 15 s is 5,760 requests a day, which at S3's and
 * Tigris's 5 $ a million is 0.86 $ a month.
 */
export const LEASE_TIMES: LeaseTimes = { ttlMs: 45_000, waitMs: 60_000 };

/** What a volume remembers of its own last taking of a replica's lease. */
export type LeaseMemory = Pick<LeaseContent, "epoch" | "owner" | "taking" | "renewal">;

/** A replica's lease as a start finds it. */
export type LeaseFacts = {
  /** Undefined where nobody ever had one. */
  readonly seen: SeenLease | undefined;
  /** Undefined where this volume never had it. */
  readonly memory: LeaseMemory | undefined;
  /** The volume's id, where it has one already. */
  readonly owner: string | undefined;
};

export type Standing =
  /** Nobody ever had it. */
  | { readonly kind: "absent" }
  | { readonly kind: "released"; readonly content: LeaseContent }
  /** This volume's own, from a run that ended without releasing it. */
  | { readonly kind: "own"; readonly content: LeaseContent }
  /** Another's, who may be dead. */
  | { readonly kind: "held"; readonly content: LeaseContent };

export function standingOf({ seen, memory }: Omit<LeaseFacts, "owner">): Standing {
  if (seen === undefined) return { kind: "absent" };
  const { content } = seen;
  if (content.state === "released") return { kind: "released", content };
  // The answer to one renewal may have got lost, and its note here with it. A copy of this volume, or an older state
  // of it that was put back, lags behind by more.
  const lag = memory?.taking === content.taking ? content.renewal - memory.renewal : undefined;
  return { kind: lag === 0 || lag === 1 ? "own" : "held", content };
}

/** The next taking's epoch: also where the object was deleted, the epochs that this volume knows are not used again. */
export function nextEpoch({ seen, memory }: Omit<LeaseFacts, "owner">): number {
  return Math.max(seen?.content.epoch ?? 0, memory?.epoch ?? 0) + 1;
}

/** A moment on both clocks, in milliseconds. */
export type Moment = { readonly monotonicMs: number; readonly wallMs: number };

/** Time for clocks that run differently fast, and for what was decided just before the end. */
export function marginMs(ttlMs: number): number {
  return ttlMs / 9;
}

/**
 * True while a lease whose renewal was sent at `renewed` can't have been taken over. A machine that was suspended wakes
 * up with its monotonic clock where it was, and with the other one set anew: the one that went further counts, and
 * where they disagree by much neither does.
 */
export function isSurelyHeld(renewed: Moment, now: Moment, ttlMs: number): boolean {
  const passedMs = now.monotonicMs - renewed.monotonicMs;
  const wallPassedMs = now.wallMs - renewed.wallMs;
  if (Math.abs(wallPassedMs - passedMs) > ttlMs / 2) return false;
  return Math.max(passedMs, wallPassedMs) < ttlMs - marginMs(ttlMs);
}

/** "machine e2865…, since 2026-11-24T09:30:00Z, epoch 4", for a message. */
export function describeHolder({ machine, sinceMs, epoch }: LeaseContent): string {
  return `machine "${machine}", since ${new Date(sinceMs).toISOString().replace(/\.\d+/, "")}, epoch ${epoch}`;
}
