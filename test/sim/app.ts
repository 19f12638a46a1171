// The app of a simulation, as the simulation sees it. It is a process of its own, since locks belong to processes, and
// is used by one simulation after the other, since starting it takes longer than a whole one.

import { join } from "node:path";
import type { Action, Answer, Question } from "./app-process.ts";
import { startCallee } from "./channel.ts";

export type App = Disposable & {
  /** Asks for something that must not fail. */
  ask(question: Question): Answer;
  /** Does something. SQLite may refuse it. `stamp` makes its data other than before. */
  act(action: Action, stamp: number): Answer;
  /** What holds since the last answer. */
  readonly is: Pick<Answer, "isOpen" | "isWriting" | "isReading">;
};

export function startApp(): App {
  const callee = startCallee<Question, Answer>(join(import.meta.dirname, "app-process.ts"));
  let is: App["is"] = { isOpen: false, isWriting: false, isReading: false };
  const ask = (question: Question): Answer => {
    const answer = callee.ask(question);
    is = answer;
    return answer;
  };
  return {
    ask,
    act: (action, stamp) => ask({ kind: "act", action, stamp }),
    get is() {
      return is;
    },
    [Symbol.dispose]: () => callee[Symbol.dispose](),
  };
}

/** The apps of several machines, each started when it is first needed. */
export type Apps = Disposable & { app(number: number): App };

export function startApps(): Apps {
  const started = new Map<number, App>();
  return {
    app(number) {
      const app = started.get(number) ?? startApp();
      started.set(number, app);
      return app;
    },
    [Symbol.dispose]: () => {
      for (const app of started.values()) app[Symbol.dispose]();
    },
  };
}
