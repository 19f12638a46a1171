// Holding the lease: renewed in time, asked before each write, and given back in the end.
//
// That it can't be renewed does not mean that it is lost. While the store is away nobody else can take it either;
// nothing is written meanwhile, and when the store is back, what it says counts. It is lost when the store says that
// somebody else took it.

import type { Clock } from "../../base/context.ts";
import { describe, FlysqliteError } from "../../base/errors.ts";
import { debug, info, type Log, warn } from "../../base/events.ts";
import { formatDuration } from "../../base/format.ts";
import { withTimeLimit } from "../../base/time-limit.ts";
import type { ObjectStore } from "../../storage/store.ts";
import type { LeaseContent, SeenLease } from "./content.ts";
import { writeLeaseMemory } from "./memory.ts";
import { describeHolder, isSurelyHeld } from "./rules.ts";
import { momentOf, readLease, type Taken, writeLease } from "./take.ts";

/** Time that a release may take, in milliseconds: an end has a few seconds for everything. */
export const RELEASE_LIMIT_MS = 1000;

/** How often one renewal begins anew because an earlier try of it had arrived after all. */
const RENEW_TRIES = 3;

/** Waits for the right to write; comes back at once while it is surely ours. */
export type Guard = (options: { readonly signal: AbortSignal }) => Promise<void>;

export type Lease = {
  readonly epoch: number;
  /**
   * To be awaited before each write and deletion, and after an upload before it counts as stored: an answer may come
   * when the lease is another's already. Renews it first where time has passed. Throws E_FENCED once it is lost, and
   * as the store does while it can't be told.
   */
  readonly guard: Guard;
  /** Renews it until told to stop, or until it is lost. Never throws. */
  renew(options: { readonly until: AbortSignal }): Promise<void>;
  /** Lets the next one begin at once. Never throws: others then wait until it has run out. */
  release(options: { readonly signal: AbortSignal }): Promise<void>;
  /** Aborted when it is lost, with E_FENCED as the reason. */
  readonly lost: AbortSignal;
  /** As far as can be told without asking the store: "not renewed" is for longer than it holds. */
  readonly state: "held" | "not renewed" | "lost";
};

export function holdLease({
  store,
  taken,
  stateDirectory,
  clock,
  log,
}: {
  readonly store: ObjectStore;
  readonly taken: Taken;
  readonly stateDirectory: string;
  readonly clock: Clock;
  readonly log: Log;
}): Lease {
  const { epoch, ttlMs } = taken.content;
  const losing = new AbortController();
  const ending = new AbortController();
  let { content, version, renewed } = taken;
  let renewing: Promise<void> | undefined;
  let isRemembered = true;

  /** Those who want it renewed at the same time share one request. */
  function renewNow(): Promise<void> {
    renewing ??= withTimeLimit(renewOnce, {
      ms: ttlMs / 3,
      clock,
      signal: ending.signal,
      late: () => unreachable(`no answer within ${formatDuration(ttlMs / 3)}`),
    }).finally(() => {
      renewing = undefined;
    });
    return renewing;
  }

  async function renewOnce(signal: AbortSignal): Promise<void> {
    for (let tries = 0; tries < RENEW_TRIES; tries += 1) {
      losing.signal.throwIfAborted();
      const next: LeaseContent = { ...content, renewal: content.renewal + 1 };
      const sent = momentOf(clock);
      const stored = await writeLease(store, next, { version, signal });
      if (stored !== undefined) {
        renewed = sent;
        return remember({ content: next, version: stored });
      }
      const found = await readLease(store, { signal });
      if (found === undefined) {
        // Somebody emptied the replica. The epoch must not begin anew.
        const again = await writeLease(store, next, { version: undefined, signal });
        if (again !== undefined) {
          renewed = sent;
          return remember({ content: next, version: again });
        }
      } else if (found.content.taking !== content.taking) throw lose(found.content);
      else await remember(found); // an earlier try of ours had arrived
    }
    throw unreachable("it is ours, and can't be replaced");
  }

  function unreachable(why: string): FlysqliteError {
    return new FlysqliteError("E_REPLICA_UNREACHABLE", `Cannot renew the lease of "${store.address}": ${why}`);
  }

  async function remember(stored: SeenLease): Promise<void> {
    ({ content, version } = stored);
    try {
      await writeLeaseMemory(stateDirectory, { ...content, replica: store.address });
      isRemembered = true;
    } catch (error) {
      // A full volume must not end the lease: the next start here may have to wait, and no more.
      if (isRemembered) log(debug("lease", `a renewal is not noted on the volume: ${describe(error)}`));
      isRemembered = false;
    }
  }

  async function writeReleased(held: SeenLease, signal: AbortSignal): Promise<boolean> {
    const { renewal } = held.content;
    const released: LeaseContent = { ...held.content, renewal: renewal + 1, state: "released" };
    return (await writeLease(store, released, { version: held.version, signal })) !== undefined;
  }

  function lose(other: LeaseContent): unknown {
    const failure = new FlysqliteError(
      "E_FENCED",
      `Cannot write to "${store.address}" any more: ${describeHolder(other)}, took its lease over from epoch ${epoch}`,
    );
    if (!losing.signal.aborted) losing.abort(failure);
    return losing.signal.reason;
  }

  return {
    epoch,
    lost: losing.signal,

    get state() {
      if (losing.signal.aborted) return "lost";
      if (ending.signal.aborted) return "not renewed";
      return isSurelyHeld(renewed, momentOf(clock), ttlMs) ? "held" : "not renewed";
    },

    async guard({ signal }) {
      // Once more than a renewal may begin anew: one that was under way through a long halt proves nothing.
      for (let tries = 0; tries <= RENEW_TRIES; tries += 1) {
        signal.throwIfAborted();
        losing.signal.throwIfAborted();
        ending.signal.throwIfAborted();
        if (isSurelyHeld(renewed, momentOf(clock), ttlMs)) return;
        await orAborted(renewNow(), signal);
      }
      throw unreachable("each renewal takes longer than it holds");
    },

    async renew({ until }) {
      const stop = AbortSignal.any([until, losing.signal, ending.signal]);
      let failures = 0;
      for (;;) {
        const dueMs = failures > 0 ? ttlMs / 9 : renewed.monotonicMs + ttlMs / 3 - clock.monotonic();
        await clock.sleep(Math.max(0, dueMs), { signal: stop }).catch(() => {});
        if (stop.aborted) return;
        try {
          await renewNow();
          if (failures > 0) log(info("lease", `renewed again, after ${failures} failed tries`));
          failures = 0;
        } catch (error) {
          if (stop.aborted) return;
          failures += 1;
          const text = `not renewed; until it is, nothing counts as replicated: ${describe(error)}`;
          log(failures === 1 ? warn("lease", text) : debug("lease", text));
        }
      }
    },

    async release({ signal }) {
      ending.abort(new Error("the lease is released"));
      await renewing?.catch(() => {});
      if (losing.signal.aborted) return;
      try {
        if (await writeReleased({ content, version }, signal)) return;
        // A renewal may have arrived that was broken off; or an earlier try of this very request.
        const found = await readLease(store, { signal });
        if (found?.content.taking === content.taking && found.content.state === "held")
          await writeReleased(found, signal);
      } catch (error) {
        const wait = formatDuration(ttlMs);
        log(warn("lease", `not released, so that another machine waits up to ${wait} for it: ${describe(error)}`));
      }
    },
  };
}

/** Stands for a lease where none is to be had. */
export const unguarded: Guard = async ({ signal }) => signal.throwIfAborted();

/** What others wait for too goes on; we need not wait for it. */
async function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const stopped = Promise.withResolvers<never>();
  stopped.promise.catch(() => {});
  const stop = () => stopped.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    await Promise.race([work, stopped.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
    work.catch(() => {});
  }
}
