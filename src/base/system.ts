// The real clock and the real random source, for process/ to hand in.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Clock, Random } from "./context.ts";

export const systemClock: Clock = {
  now: () => Date.now(),
  // Not performance.now(), whose module brings eight others: one or two milliseconds of a start.
  monotonic: () => process.uptime() * 1000,
  sleep: (ms, { signal }) => delay(ms, undefined, { signal }),
};

export const systemRandom: Random = {
  uuid: () => kernelUuid() ?? randomUUID(),
  unit: () => Math.random(),
};

/**
 * A random UUID of the kernel's; undefined where it gives none. node:crypto takes six to ten milliseconds to load.
 * Source: random(4), /proc/sys/kernel/random/uuid
 */
function kernelUuid(): string | undefined {
  try {
    const uuid = readFileSync("/proc/sys/kernel/random/uuid", "latin1").trim();
    return UUID.test(uuid) ? uuid : undefined;
  } catch {
    return undefined;
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
