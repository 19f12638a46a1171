// The real clock and the real random source, for main.ts to hand in.

import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Clock, Random } from "./context.ts";

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, { signal }) => delay(ms, undefined, { signal }),
};

export const systemRandom: Random = {
  uuid: () => randomUUID(),
  unit: () => Math.random(),
};
