// The values that the supervisor's table works on: its states, what happens, and what is to be done. Pure.

import type { Event as LogEvent } from "../base/events.ts";
import type { FromKeeper, Launch, ToKeeper } from "../base/messages.ts";

export type State = Starting | Running | Clearing | Finishing | { readonly kind: "ended" };

/** The keeper prepares the database; the app is not there yet. */
export type Starting = { readonly kind: "starting"; readonly stop: Stop | undefined };

export type Running = {
  readonly kind: "running";
  readonly stop: Stop | undefined;
  readonly app: AppState;
  readonly keeper: KeeperState;
  readonly ready: FromKeeper;
};

/** The app is gone; processes of its group may still write. */
export type Clearing = {
  readonly kind: "clearing";
  readonly exitStatus: number;
  readonly stop: Stop | undefined;
  readonly keeper: KeeperState;
};

/** Nothing writes any more; the keeper ships what is left. */
export type Finishing = { readonly kind: "finishing"; readonly exitStatus: number; readonly stop: Stop | undefined };

/** The signal that asked us to end. */
export type Stop = { readonly signal: NodeJS.Signals; readonly number: number };

export type AppState =
  /** It runs; before this it failed so many times in a row. */
  | { readonly kind: "up"; readonly failures: number }
  /** It failed so many times in a row, and is started again after a while. */
  | { readonly kind: "down"; readonly failures: number }
  /** There is none: we are here to replicate. */
  | { readonly kind: "none" };

export type KeeperState =
  | { readonly kind: "up" }
  /** It ended, with nothing to replicate. */
  | { readonly kind: "done" }
  /** It died; `deaths` in a row so far. */
  | { readonly kind: "down"; readonly deaths: number }
  /** It was started again, and has yet to say ready. */
  | { readonly kind: "coming up"; readonly deaths: number }
  /** It ended because another machine writes to the replica now. The app is ending for it. */
  | { readonly kind: "fenced" };

export type Timer = "kill app" | "give up" | "restart keeper" | "restart app";

export type Event =
  | { readonly kind: "keeper ready"; readonly ready: FromKeeper }
  | { readonly kind: "keeper ended"; readonly exitStatus: number }
  /** `ranMs` is the time from its launch. */
  | { readonly kind: "app ended"; readonly exitStatus: number; readonly ranMs: number }
  /** No process of the app's group is left. */
  | { readonly kind: "group gone" }
  | { readonly kind: "signal"; readonly signal: NodeJS.Signals; readonly number: number }
  | { readonly kind: "timer"; readonly timer: Timer };

export type Action =
  | { readonly kind: "launch app"; readonly launch: Launch }
  /** To the app's whole group, also when the app itself is gone. */
  | { readonly kind: "signal app"; readonly signal: NodeJS.Signals }
  /** Tell what the app has left behind to end, and watch for "group gone". */
  | { readonly kind: "end group" }
  /** Stop as a terminal's job is stopped, until SIGCONT comes. */
  | { readonly kind: "suspend" }
  | { readonly kind: "restart keeper" }
  | { readonly kind: "tell keeper"; readonly message: ToKeeper }
  | { readonly kind: "signal keeper"; readonly signal: NodeJS.Signals }
  | { readonly kind: "set timer"; readonly timer: Timer; readonly ms: number }
  | { readonly kind: "log"; readonly event: LogEvent }
  | { readonly kind: "exit"; readonly exitStatus: number };

export type Step = { readonly state: State; readonly actions: readonly Action[] };

export function end(exitStatus: number, before: readonly Action[] = []): Step {
  return { state: { kind: "ended" }, actions: [...before, { kind: "exit", exitStatus }] };
}
