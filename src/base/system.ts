// The real clock and the real random source, for process/ to hand in.

import { setTimeout as delay } from "node:timers/promises";
import type { Clock, Random } from "./context.ts";

export const systemClock: Clock = {
  now: () => Date.now(),
  // Not performance.now(), whose module brings eight others: one or two milliseconds of a start.
  monotonic: () => process.uptime() * 1000,
  sleep: (ms, { signal }) => delay(ms, undefined, { signal }),
};

export const systemRandom: Random = {
  // Loaded when it is needed, which PID 1 never does: it takes some milliseconds of a start.
  uuid: () => process.getBuiltinModule("node:crypto").randomUUID(),
  unit: () => Math.random(),
};
