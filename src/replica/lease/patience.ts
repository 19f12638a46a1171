// Waiting for another machine's lease: until it is released, until it has not changed for as long as it holds, or until
// there is no more time for a start.

import type { Clock } from "../../base/context.ts";
import { FlysqliteError } from "../../base/errors.ts";
import { info, type Log } from "../../base/events.ts";
import { formatDuration } from "../../base/format.ts";
import { withTimeLimit } from "../../base/time-limit.ts";
import type { ObjectStore } from "../../storage/store.ts";
import type { LeaseContent, SeenLease } from "./content.ts";
import { describeHolder, type LeaseTimes } from "./rules.ts";
import { readLease } from "./take.ts";

/** How often a lease is looked at in the time that it holds: each 1.5 s, where that is 45 s. */
const LOOKS_PER_TTL = 30;

export type Patience = ReturnType<typeof createPatience>;

/** For one start: all its waits together take no longer than `times.waitMs`. Then they throw E_FENCED. */
export function createPatience({
  times,
  clock,
  log,
  signal,
}: {
  readonly times: LeaseTimes;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}) {
  let endMs: number | undefined;
  /** The newest version of the other's lease, and when we knew of it. */
  let watched: { readonly version: string; readonly sinceMs: number } | undefined;

  function watch({ version }: SeenLease): void {
    if (watched?.version !== version) watched = { version, sinceMs: clock.monotonic() };
  }

  function hasRunOut({ version, content }: SeenLease): boolean {
    return watched?.version === version && clock.monotonic() - watched.sinceMs >= content.ttlMs;
  }

  /** Time that is left, in milliseconds. It begins to count at the first wait. */
  function leftMs(): number {
    endMs ??= clock.monotonic() + times.waitMs;
    return endMs - clock.monotonic();
  }

  async function pause({ address }: ObjectStore, holder: LeaseContent | undefined): Promise<void> {
    const ms = (holder?.ttlMs ?? times.ttlMs) / LOOKS_PER_TTL;
    if (leftMs() < ms) {
      const who = holder === undefined ? "another machine" : describeHolder(holder);
      throw new FlysqliteError(
        "E_FENCED",
        `Cannot start: ${who}, writes to "${address}", and did not end in ${formatDuration(times.waitMs)}`,
      );
    }
    await clock.sleep(ms, { signal });
  }

  return {
    /** Takes note of a version. */
    watch,

    /** True where this version was seen for as long as it holds. */
    hasRunOut,

    /** A short wait, before a look at what is there now. */
    pause,

    /** Comes back when the lease may be free: it is to be looked at anew, and taken as it is then. */
    async waitFor(seen: SeenLease, store: ObjectStore): Promise<void> {
      if (watched === undefined) {
        const most = formatDuration(Math.max(0, leftMs()));
        log(
          info("lease", `${describeHolder(seen.content)}, writes to ${store.address}: waiting for it, up to ${most}`),
        );
      }
      watch(seen);
      for (let found = seen; !hasRunOut(found); ) {
        await pause(store, found.content);
        const now = await withTimeLimit((signal) => readLease(store, { signal }), {
          ms: Math.max(1, leftMs()),
          clock,
          signal,
          late: () =>
            new FlysqliteError("E_REPLICA_UNREACHABLE", `Cannot read the lease of "${store.address}" in time`),
        });
        if (now === undefined || now.content.state === "released") return;
        watch(now);
        found = now;
      }
    },
  };
}
