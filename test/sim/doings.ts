// What a machine's app does, by chance and by itself, and what others are told of it.

import type { Random } from "../../src/base/context.ts";
import type { App } from "./app.ts";
import type { Action } from "./app-process.ts";
import type { History, StateNumber } from "./history.ts";
import type { Mix } from "./mix.ts";

export function createDoings({
  app,
  history,
  random,
  mix,
  nextStamp,
  did,
}: {
  readonly app: App;
  readonly history: History;
  readonly random: Random;
  readonly mix: () => Mix;
  /** A number that no app had before. */
  readonly nextStamp: () => number;
  /** Told of each thing. */
  readonly did: (what: string) => void;
}) {
  const chance = (odds: number) => random.unit() < odds;
  /** The state at which the app last emptied the log. */
  let emptiedAt: StateNumber | undefined;

  function act(action: Action): void {
    const { error, states } = app.act(action, nextStamp());
    for (const hash of states) history.add(hash);
    if (error === undefined && action.kind === "checkpoint" && action.mode === "TRUNCATE") emptiedAt = history.now;
    did(`app: ${JSON.stringify(action)} ${error ?? ""} ${states.length > 0 ? `-> state ${history.now}` : ""}`);
  }

  function nextAction(): Action {
    const { isOpen, isWriting, isReading } = app.is;
    if (!isOpen) return { kind: "open" };
    if (isWriting && chance(0.3)) return { kind: "end", how: chance(0.7) ? "commit" : "rollback" };
    if (isReading && chance(0.15)) return { kind: "end reading" };
    const { actions, emptiesTwice } = mix();
    let rest = random.unit() * actions.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, make] of actions) {
      rest -= weight;
      if (rest >= 0) continue;
      const action = make();
      const isEmptying = action.kind === "checkpoint" && action.mode === "TRUNCATE";
      if (!isEmptying || emptiesTwice || emptiedAt !== history.now) return action;
    }
    return { kind: "commit", rows: 1, bytes: 100 };
  }

  return {
    /** Something that it can do now. */
    actAtRandom: (): void => act(nextAction()),

    /** Ends what it has begun. */
    calm(): void {
      if (!app.is.isOpen) return;
      if (app.is.isWriting) act({ kind: "end", how: "rollback" });
      if (app.is.isReading) act({ kind: "end reading" });
    },
  };
}
