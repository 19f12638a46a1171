// Progress of something long, on one line of a terminal. Elsewhere nothing: a log wants results.

import type { Clock } from "../base/context.ts";
import { type BytesDone, tellProgress } from "../base/progress.ts";

/** Between two drawings, in milliseconds: faster than this nobody reads. */
const INTERVAL_MS = 100;

export type Progress = {
  readonly show: (progress: BytesDone) => void;
  /** Takes the line away. */
  readonly end: () => void;
};

export function createProgress(
  terminal: { readonly isTTY?: boolean; write(text: string): unknown },
  clock: Pick<Clock, "monotonic">,
): Progress {
  if (terminal.isTTY !== true) return { show: () => {}, end: () => {} };
  let isDrawn = false;
  const draw = (text: string) => {
    isDrawn = true;
    terminal.write(`\r\u001b[K${text}`);
  };
  return {
    show: tellProgress(draw, { clock, afterMs: 0, everyMs: INTERVAL_MS }),
    end() {
      if (isDrawn) terminal.write("\r\u001b[K");
      isDrawn = false;
    },
  };
}
