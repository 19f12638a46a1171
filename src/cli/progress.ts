// Progress of something long, on one line of a terminal. Elsewhere nothing: a log wants results.

import type { Clock } from "../base/context.ts";
import { formatProgress } from "../base/format.ts";

/** Between two drawings, in milliseconds: faster than this nobody reads. */
const INTERVAL_MS = 100;

export type Progress = {
  readonly show: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
  /** Takes the line away. */
  readonly end: () => void;
};

export function createProgress(
  terminal: { readonly isTTY?: boolean; write(text: string): unknown },
  clock: Pick<Clock, "monotonic">,
): Progress {
  if (terminal.isTTY !== true) return { show: () => {}, end: () => {} };
  const startedMs = clock.monotonic();
  let drawnMs = Number.NEGATIVE_INFINITY;
  return {
    show({ doneBytes, totalBytes }) {
      const nowMs = clock.monotonic();
      if (nowMs - drawnMs < INTERVAL_MS) return;
      drawnMs = nowMs;
      terminal.write(`\r\u001b[K${formatProgress({ doneBytes, totalBytes, elapsedMs: nowMs - startedMs })}`);
    },
    end() {
      if (drawnMs !== Number.NEGATIVE_INFINITY) terminal.write("\r\u001b[K");
    },
  };
}
