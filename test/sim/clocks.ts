// The clocks of a machine: one that only counts, and stands still while the machine is suspended, and one that tells the
// time, which may be off and may be set. Both run at the speed of its own quartz.

import type { Timeline } from "./timeline.ts";

export type Clocks = ReturnType<typeof createClocks>;

export function createClocks(
  timeline: Timeline,
  {
    rate = 1,
    wallOffsetMs = 0,
  }: {
    /** Speed beside the true time's. */
    readonly rate?: number;
    readonly wallOffsetMs?: number;
  } = {},
) {
  let offsetMs = wallOffsetMs;
  let suspendedMs = 0;
  let sinceMs: number | undefined;
  return {
    rate,
    monotonic: (): number => ((sinceMs ?? timeline.nowMs) - suspendedMs) * rate,
    now: (): number => Math.round(1.7e12 + timeline.nowMs * rate + offsetMs),

    /** Somebody sets the clock. */
    jump(ms: number): void {
      offsetMs += ms;
    },

    suspend(): void {
      sinceMs ??= timeline.nowMs;
    },

    wake(): void {
      if (sinceMs !== undefined) suspendedMs += timeline.nowMs - sinceMs;
      sinceMs = undefined;
    },
  };
}
