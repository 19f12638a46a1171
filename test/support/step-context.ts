// What the steps are handed: the real clock and randomness, and nothing else that a test does not give.

import { systemClock, systemRandom } from "../../src/base/system.ts";
import type { StepContext } from "../../src/steps/context.ts";

export function stepContext(given: Pick<StepContext, "settings"> & Partial<StepContext>): StepContext {
  return {
    environment: {},
    assets: { read: () => undefined },
    clock: systemClock,
    random: systemRandom,
    log: () => {},
    at: () => {},
    asApp: (start) => start(),
    signal: new AbortController().signal,
    program: ["false"],
    replica: async () => undefined,
    sqlite: () => Promise.reject(new Error("no database is opened")),
    ...given,
  };
}
