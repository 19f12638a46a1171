// What being PID 1 means, as a table: (state, event) -> (state, actions). Pure; supervisor.ts carries it out. What
// happens while the app runs stands in while-running.ts, and what happens once it is gone in while-ending.ts.

import { FAILURES } from "../base/errors.ts";
import { STOP_SIGNALS } from "./signals.ts";
import { type AppState, type Event, end, type KeeperState, type Starting, type State, type Step } from "./states.ts";
import { whileClearing, whileFinishing } from "./while-ending.ts";
import { whileRunning } from "./while-running.ts";

/** Budget of a stop before the keeper has told ours, in milliseconds. */
const EARLY_STOP_MS = 4500;

export const INITIAL_STATE: State = { kind: "starting", stop: undefined };

export function next(state: State, event: Event): Step {
  switch (state.kind) {
    case "starting":
      return whileStarting(state, event);
    case "running":
      return whileRunning(state, event);
    case "clearing":
      return whileClearing(state, event);
    case "finishing":
      return whileFinishing(state, event);
    case "ended":
      return { state, actions: [] };
  }
}

function whileStarting(state: Starting, event: Event): Step {
  switch (event.kind) {
    case "keeper ready": {
      if (state.stop !== undefined) return end(128 + state.stop.number, [{ kind: "signal keeper", signal: "SIGKILL" }]);
      const { ready } = event;
      const app: AppState = ready.launch === undefined ? { kind: "none" } : { kind: "up", failures: 0 };
      const keeper: KeeperState = { kind: ready.replicating ? "up" : "done" };
      return {
        state: { kind: "running", stop: undefined, app, keeper, ready },
        actions: ready.launch === undefined ? [] : [{ kind: "launch app", launch: ready.launch }],
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
