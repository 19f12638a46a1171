// What being PID 1 means, as a table: (state, event) -> (state, actions). Pure; supervisor.ts carries it out.

import { FAILURES } from "../base/errors.ts";
import { info, type Event as LogEvent, warn } from "../base/events.ts";
import type { FromKeeper, Launch, ToKeeper } from "../base/messages.ts";

export type State =
  /** The keeper prepares the database; the app is not there yet. */
  | { readonly kind: "starting"; readonly stop: Stop | undefined }
  | {
      readonly kind: "running";
      readonly stop: Stop | undefined;
      readonly keeper: KeeperState;
      readonly ready: FromKeeper;
    }
  /** The app is gone; the keeper ships what is left. */
  | { readonly kind: "finishing"; readonly exitStatus: number; readonly stop: Stop | undefined }
  | { readonly kind: "ended" };

/** The signal that asked us to end. */
export type Stop = { readonly signal: NodeJS.Signals; readonly number: number };

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

export type Timer = "kill app" | "give up" | "restart keeper";

export type Event =
  | { readonly kind: "keeper ready"; readonly ready: FromKeeper }
  | { readonly kind: "keeper ended"; readonly exitStatus: number }
  | { readonly kind: "app ended"; readonly exitStatus: number }
  | { readonly kind: "signal"; readonly signal: NodeJS.Signals; readonly number: number }
  | { readonly kind: "timer"; readonly timer: Timer };

export type Action =
  | { readonly kind: "launch app"; readonly launch: Launch }
  | { readonly kind: "signal app"; readonly signal: NodeJS.Signals }
  | { readonly kind: "restart keeper" }
  | { readonly kind: "tell keeper"; readonly message: ToKeeper }
  | { readonly kind: "signal keeper"; readonly signal: NodeJS.Signals }
  | { readonly kind: "set timer"; readonly timer: Timer; readonly ms: number }
  | { readonly kind: "log"; readonly event: LogEvent }
  | { readonly kind: "exit"; readonly exitStatus: number };

/** Signals that ask us to end; all others are only passed on. */
const STOP_SIGNALS: ReadonlySet<string> = new Set(["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"]);

/** Share of the stop timeout that the app has before it is killed. The rest is for the last sync. */
const APP_SHARE = 0.6;

/** Budget of a stop before the keeper has told ours, in milliseconds. */
const EARLY_STOP_MS = 4500;

const FIRST_RESTART_MS = 1000;
const LAST_RESTART_MS = 30_000;

/** A keeper's status that says that no other one need be started. */
const FENCED = FAILURES.E_FENCED.exitStatus;

export const INITIAL_STATE: State = { kind: "starting", stop: undefined };

type Step = { readonly state: State; readonly actions: readonly Action[] };

export function next(state: State, event: Event): Step {
  switch (state.kind) {
    case "starting":
      return whileStarting(state, event);
    case "running":
      return whileRunning(state, event);
    case "finishing":
      return whileFinishing(state, event);
    case "ended":
      return { state, actions: [] };
  }
}

function whileStarting(state: Extract<State, { kind: "starting" }>, event: Event): Step {
  switch (event.kind) {
    case "keeper ready": {
      if (state.stop !== undefined) return end(128 + state.stop.number, [{ kind: "signal keeper", signal: "SIGKILL" }]);
      const { ready } = event;
      const keeper: KeeperState = { kind: ready.replicating ? "up" : "done" };
      return {
        state: { kind: "running", stop: undefined, keeper, ready },
        actions: [{ kind: "launch app", launch: ready.launch }],
      };
    }
    case "keeper ended":
      // It has said why. Without a reason of its own a start that ends is still a failed one.
      return end(
        state.stop === undefined ? event.exitStatus || FAILURES.E_INTERNAL.exitStatus : 128 + state.stop.number,
      );
    case "signal":
      if (!STOP_SIGNALS.has(event.signal)) return { state, actions: [] };
      if (state.stop !== undefined) return end(128 + event.number, [{ kind: "signal keeper", signal: "SIGKILL" }]);
      return {
        state: { ...state, stop: event },
        actions: [
          { kind: "signal keeper", signal: "SIGTERM" },
          { kind: "set timer", timer: "give up", ms: EARLY_STOP_MS },
        ],
      };
    case "timer":
      return end(128 + (state.stop?.number ?? 0), [{ kind: "signal keeper", signal: "SIGKILL" }]);
    default:
      return { state, actions: [] };
  }
}

function whileRunning(state: Extract<State, { kind: "running" }>, event: Event): Step {
  const { keeper, ready, stop } = state;
  switch (event.kind) {
    case "signal":
      return signalWhileRunning(state, event);
    case "app ended": {
      // What it started and left behind may still write.
      const actions: Action[] = [{ kind: "signal app", signal: "SIGTERM" }];
      if (keeper.kind === "done") return end(event.exitStatus, actions);
      if (keeper.kind === "fenced") return end(FENCED, actions);
      if (stop === undefined) actions.push({ kind: "set timer", timer: "give up", ms: ready.stopTimeoutMs });
      if (keeper.kind === "up") actions.push({ kind: "tell keeper", message: { kind: "finish" } });
      // One that is coming up is told when it is ready: a second one beside it would only wait for its lock.
      if (keeper.kind === "down") actions.push({ kind: "restart keeper" });
      return { state: { kind: "finishing", exitStatus: event.exitStatus, stop }, actions };
    }
    case "keeper ready":
      return { state: { ...state, keeper: { kind: "up" } }, actions: [] };
    case "keeper ended": {
      if (!ready.replicating) return { state, actions: [] };
      if (event.exitStatus === FENCED) return endForFence(state);
      const deaths = keeper.kind === "coming up" ? keeper.deaths + 1 : 1;
      const ms = Math.min(LAST_RESTART_MS, FIRST_RESTART_MS * 2 ** (deaths - 1));
      const text = `the keeper ended with status ${event.exitStatus}; the app runs on, and replication again in ${ms / 1000} s`;
      return {
        state: { ...state, keeper: { kind: "down", deaths } },
        actions: [
          { kind: "log", event: warn("keeper", text) },
          { kind: "set timer", timer: "restart keeper", ms },
        ],
      };
    }
    case "timer":
      if (event.timer === "restart keeper") {
        if (keeper.kind !== "down") return { state, actions: [] };
        return { state: { ...state, keeper: { ...keeper, kind: "coming up" } }, actions: [{ kind: "restart keeper" }] };
      }
      if (event.timer === "kill app")
        return { state, actions: killApp("did not end in its share of the stop timeout") };
      return end(keeper.kind === "fenced" ? FENCED : 128 + (stop?.number ?? 0), [
        { kind: "signal app", signal: "SIGKILL" },
      ]);
  }
}

/** What the app commits from now on would be replicated nowhere. The volume keeps its database. */
function endForFence(state: Extract<State, { kind: "running" }>): Step {
  const { ready, stop } = state;
  const actions: Action[] = [
    { kind: "log", event: warn("stop", "another machine writes to the replica: the app is ended (E_FENCED)") },
  ];
  if (stop === undefined) {
    actions.push(
      { kind: "signal app", signal: "SIGTERM" },
      { kind: "set timer", timer: "kill app", ms: ready.stopTimeoutMs * APP_SHARE },
      { kind: "set timer", timer: "give up", ms: ready.stopTimeoutMs },
    );
  }
  return { state: { ...state, keeper: { kind: "fenced" } }, actions };
}

function killApp(why: string): readonly Action[] {
  return [
    { kind: "log", event: warn("stop", `the app ${why} and is killed`) },
    { kind: "signal app", signal: "SIGKILL" },
  ];
}

function signalWhileRunning(
  state: Extract<State, { kind: "running" }>,
  event: Extract<Event, { kind: "signal" }>,
): Step {
  const { keeper, ready, stop } = state;
  const pass: Action = { kind: "signal app", signal: event.signal };
  if (!STOP_SIGNALS.has(event.signal)) return { state, actions: [pass] };
  if (stop !== undefined) {
    const text = `${event.signal} again: ending at once; what is not replicated yet stays on the volume`;
    return end(128 + event.number, [
      { kind: "log", event: warn("stop", text) },
      { kind: "signal app", signal: "SIGKILL" },
    ]);
  }
  const actions: Action[] = [
    { kind: "log", event: info("stop", `${event.signal}: passed on to the app`) },
    pass,
    { kind: "set timer", timer: "kill app", ms: ready.stopTimeoutMs * APP_SHARE },
    { kind: "set timer", timer: "give up", ms: ready.stopTimeoutMs },
  ];
  if (keeper.kind === "up") actions.push({ kind: "tell keeper", message: { kind: "sync" } });
  return { state: { ...state, stop: event }, actions };
}

function whileFinishing(state: Extract<State, { kind: "finishing" }>, event: Event): Step {
  const { exitStatus } = state;
  const unsynced = exitStatus === 0 ? FAILURES.E_FINAL_SYNC.exitStatus : exitStatus;
  switch (event.kind) {
    case "keeper ready":
      return { state, actions: [{ kind: "tell keeper", message: { kind: "finish" } }] };
    case "keeper ended":
      if (event.exitStatus === FENCED && exitStatus === 0) return end(FENCED);
      return end(event.exitStatus === 0 ? exitStatus : unsynced);
    case "timer": {
      if (event.timer !== "give up") return { state, actions: [] };
      const text = "the last sync did not end in time; what is not replicated stays on the volume (E_FINAL_SYNC)";
      return end(unsynced, [
        { kind: "log", event: warn("stop", text) },
        { kind: "signal keeper", signal: "SIGKILL" },
      ]);
    }
    case "signal":
      if (!STOP_SIGNALS.has(event.signal)) return { state, actions: [] };
      if (state.stop === undefined) return { state: { ...state, stop: event }, actions: [] }; // it is under way
      return end(unsynced, [{ kind: "signal keeper", signal: "SIGKILL" }]);
    default:
      return { state, actions: [] };
  }
}

function end(exitStatus: number, before: readonly Action[] = []): Step {
  return { state: { kind: "ended" }, actions: [...before, { kind: "exit", exitStatus }] };
}
