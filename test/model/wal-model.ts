// The model as a whole: what can happen in each state, and what must be true in all of them. Pure.

import { appSteps } from "./app.ts";
import { keeperSteps } from "./keeper.ts";
import { keyOf } from "./key.ts";
import type { Planted } from "./planted.ts";
import type { Model } from "./search.ts";
import { NO_LOG, ONE_COMMIT, type State } from "./state.ts";

export function createModel({ planted }: { readonly planted?: Planted | undefined } = {}): Model<State> {
  return {
    starts: [
      { name: "start: a log of one commit, which is copied", to: ONE_COMMIT },
      { name: "start: a database that is copied, and no log", to: NO_LOG },
    ],
    steps: (s) => [...appSteps(s), ...keeperSteps(s, planted)],
    keyOf,
    wrong: (s) => s.wrong ?? resetUnderUs(s),
  };
}

/** While we hold the log, none of it goes that was not captured. Only before the first round is over it may be gone. */
function resetUnderUs({ phase, isFresh, position, base, kept, found }: State): string | undefined {
  if (phase === "dead" || isFresh || position === undefined) return undefined;
  const isCaptured = base <= Math.max(kept, found?.last ?? 0);
  return isCaptured ? undefined : "reset: the log was begun anew before it was captured";
}
