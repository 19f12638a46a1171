// Work that must not take longer than it may.

import type { Clock } from "./context.ts";

/** Runs `work` with a signal that is aborted with `signal`, and after `ms` milliseconds with `late()` as its reason. */
export async function withTimeLimit<Value>(
  work: (signal: AbortSignal) => Promise<Value>,
  {
    ms,
    clock,
    signal,
    late,
  }: {
    readonly ms: number;
    readonly clock: Pick<Clock, "sleep">;
    readonly signal: AbortSignal;
    readonly late: () => Error;
  },
): Promise<Value> {
  const limit = new AbortController();
  const done = new AbortController();
  clock.sleep(ms, { signal: done.signal }).then(
    () => limit.abort(late()),
    () => {}, // it was in time
  );
  try {
    return await work(AbortSignal.any([signal, limit.signal]));
  } finally {
    done.abort();
  }
}
