// Waiting until everything that was committed so far is in the replica. Those who wait at the same time share one
// upload, as commits share an fsync.

import { AssertionError } from "../base/assert.ts";
import type { Clock } from "../base/context.ts";
import { FlysqliteError } from "../base/errors.ts";
import type { Txid } from "./ltx/txid.ts";

/** Between a failure and the next try, in milliseconds. Litestream's, for its last sync. */
const RETRY_MS = 500;

export type Barrier = {
  /**
   * Comes back when everything that was committed before the call is in the replica, with the replica's last
   * transaction then. Tries again where a store is away. Throws what the last try failed with, when aborted or where
   * no other try can help; the signal's reason where none has failed.
   */
  sync(options: { readonly signal: AbortSignal }): Promise<Txid>;
};

export function createBarrier({
  ship,
  clock,
}: {
  /** Ships everything that was committed before the call, and gives the replica's last transaction. */
  readonly ship: () => Promise<Txid>;
  readonly clock: Pick<Clock, "sleep">;
}): Barrier {
  let running: Promise<Txid> | undefined;
  let next: Promise<Txid> | undefined;

  /** The first round that begins after the call. */
  function joinRound(): Promise<Txid> {
    next ??= (async () => {
      await running?.catch(() => {});
      running = next;
      next = undefined; // who comes from here on may have committed too late for this one
      return ship();
    })();
    return next;
  }

  return {
    async sync({ signal }) {
      let failure: unknown;
      while (!signal.aborted) {
        try {
          return await orAborted(joinRound(), signal);
        } catch (error) {
          if (signal.aborted) break;
          if (!mayPass(error)) throw error;
          failure = error;
          await clock.sleep(RETRY_MS, { signal }).catch(() => {});
        }
      }
      throw failure ?? signal.reason;
    },
  };
}

/** False for what no other try makes good. */
export function mayPass(error: unknown): boolean {
  if (error instanceof AssertionError) return false;
  return !(error instanceof FlysqliteError) || error.code === "E_REPLICA_UNREACHABLE";
}

/** What others wait for too goes on; we need not wait for it. */
async function orAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const aborted = Promise.withResolvers<never>();
  const stop = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
    work.catch(() => {});
  }
}
