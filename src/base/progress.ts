// How far something long is, told now and then.

import type { Clock } from "./context.ts";
import { formatProgress } from "./format.ts";

export type BytesDone = { readonly doneBytes: number; readonly totalBytes: number };

/** Gives what takes each news of it, of which it tells some: none before `afterMs`, then one each `everyMs` at most. */
export function tellProgress(
  tell: (text: string) => void,
  {
    clock,
    afterMs,
    everyMs,
  }: { readonly clock: Pick<Clock, "monotonic">; readonly afterMs: number; readonly everyMs: number },
): (progress: BytesDone) => void {
  const startedMs = clock.monotonic();
  let nextMs = startedMs + afterMs;
  return (progress) => {
    const nowMs = clock.monotonic();
    if (nowMs < nextMs) return;
    nextMs = nowMs + everyMs;
    tell(formatProgress({ ...progress, elapsedMs: nowMs - startedMs }));
  };
}
