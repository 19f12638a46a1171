// A clock that stands still until a test moves it.

import type { Clock } from "../../src/base/context.ts";

export type ManualClock = Clock & {
  /** Moves the time on, and wakes who has slept long enough. */
  advance(ms: number): void;
  /** How long each sleeper still has to sleep, in milliseconds. */
  sleepers(): readonly number[];
};

export function createManualClock(): ManualClock {
  let nowMs = 1_000_000;
  const sleeping = new Set<{ readonly untilMs: number; readonly wake: () => void }>();
  return {
    now: () => nowMs,
    monotonic: () => nowMs,
    sleep: (ms, { signal }) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const end = () => {
          sleeping.delete(sleeper);
          signal.removeEventListener("abort", abort);
        };
        const abort = () => {
          end();
          reject(signal.reason);
        };
        const wake = () => {
          end();
          resolve();
        };
        const sleeper = { untilMs: nowMs + ms, wake };
        sleeping.add(sleeper);
        signal.addEventListener("abort", abort);
      }),
    advance(ms) {
      nowMs += ms;
      for (const { untilMs, wake } of [...sleeping]) if (untilMs <= nowMs) wake();
    },
    sleepers: () => [...sleeping].map(({ untilMs }) => untilMs - nowMs),
  };
}
