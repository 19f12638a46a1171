// Progress of something long, on one line of a terminal. Elsewhere nothing: a log wants results.

import type { Clock } from "../base/context.ts";
import { formatBytes, formatDuration } from "../base/format.ts";

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
      terminal.write(`\r\u001b[K${renderProgress({ doneBytes, totalBytes, elapsedMs: nowMs - startedMs })}`);
    },
    end() {
      if (drawnMs !== Number.NEGATIVE_INFINITY) terminal.write("\r\u001b[K");
    },
  };
}

/** "12.4 MB of 222.0 MB (5 %), 61.0 MB/s, 3.4 s left". */
export function renderProgress({
  doneBytes,
  totalBytes,
  elapsedMs,
}: {
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly elapsedMs: number;
}): string {
  const share = totalBytes === 0 ? 100 : Math.floor((doneBytes / totalBytes) * 100);
  const perMs = elapsedMs > 0 ? doneBytes / elapsedMs : 0;
  const left = perMs > 0 ? `, ${formatDuration((totalBytes - doneBytes) / perMs)} left` : "";
  return `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)} (${share} %), ${formatBytes(Math.round(perMs * 1000))}/s${left}`;
}
