// The table's part for when the app is gone: what it left behind ends, then the keeper makes the last sync. Pure.

import { FAILURES } from "../base/errors.ts";
import { warn } from "../base/events.ts";
import { STOP_SIGNALS } from "./signals.ts";
import { type Action, type Clearing, type Event, end, type Finishing, type KeeperState, type Step } from "./states.ts";

/** A keeper's status that says that no other one need be started. */
const FENCED = FAILURES.E_FENCED.exitStatus;

export function whileClearing(state: Clearing, event: Event): Step {
  const { exitStatus, keeper, stop } = state;
  switch (event.kind) {
    case "group gone":
      return lastSync(state);
    case "keeper ready":
      return { state: { ...state, keeper: { kind: "up" } }, actions: [] };
    case "keeper ended":
      if (event.exitStatus === FENCED) {
        return {
          state: { ...state, exitStatus: unsynced(exitStatus, FENCED), keeper: { kind: "fenced" } },
          actions: [],
        };
      }
      // One for the last sync is started when it can be made.
      return isOver(keeper)
        ? { state, actions: [] }
        : { state: { ...state, keeper: { kind: "down", deaths: 1 } }, actions: [] };
    case "timer":
      if (event.timer === "give up") return isOver(keeper) ? killAll(exitStatus) : giveUp(exitStatus);
      if (event.timer !== "kill app") return { state, actions: [] };
      return {
        state,
        actions: [
          { kind: "log", event: warn("stop", "what the app has left behind did not end in time and is killed") },
          { kind: "signal app", signal: "SIGKILL" },
        ],
      };
    case "signal":
      if (!STOP_SIGNALS.has(event.signal)) return { state, actions: [{ kind: "signal app", signal: event.signal }] };
      if (stop === undefined) return { state: { ...state, stop: event }, actions: [] }; // it is under way
      return killAll(isOver(keeper) ? exitStatus : unsynced(exitStatus));
    case "app ended":
      return { state, actions: [] };
  }
}

/** Nothing writes any more: the keeper is told to ship the rest. */
export function lastSync({
  exitStatus,
  stop,
  keeper,
  before = [],
}: Omit<Clearing, "kind"> & { readonly before?: readonly Action[] }): Step {
  if (isOver(keeper)) return end(exitStatus);
  const actions: Action[] = [...before];
  if (keeper.kind === "up") actions.push({ kind: "tell keeper", message: { kind: "finish" } });
  // One that is coming up is told when it is ready: a second one beside it would only wait for its lock.
  if (keeper.kind === "down") actions.push({ kind: "restart keeper" });
  return { state: { kind: "finishing", exitStatus, stop }, actions };
}

export function whileFinishing(state: Finishing, event: Event): Step {
  const { exitStatus } = state;
  switch (event.kind) {
    case "keeper ready":
      return { state, actions: [{ kind: "tell keeper", message: { kind: "finish" } }] };
    case "keeper ended":
      if (event.exitStatus === 0) return end(exitStatus);
      return end(unsynced(exitStatus, event.exitStatus === FENCED ? FENCED : undefined));
    case "timer":
      return event.timer === "give up" ? giveUp(exitStatus) : { state, actions: [] };
    case "signal":
      if (!STOP_SIGNALS.has(event.signal)) return { state, actions: [] };
      if (state.stop === undefined) return { state: { ...state, stop: event }, actions: [] }; // it is under way
      return end(unsynced(exitStatus), [{ kind: "signal keeper", signal: "SIGKILL" }]);
    default:
      return { state, actions: [] };
  }
}

function giveUp(exitStatus: number): Step {
  const text = "the last sync did not end in time; what is not replicated stays on the volume (E_FINAL_SYNC)";
  return killAll(unsynced(exitStatus), [{ kind: "log", event: warn("stop", text) }]);
}

function killAll(exitStatus: number, before: readonly Action[] = []): Step {
  return end(exitStatus, [
    ...before,
    { kind: "signal app", signal: "SIGKILL" },
    { kind: "signal keeper", signal: "SIGKILL" },
  ]);
}

/** An app's own failure says more than ours. */
function unsynced(exitStatus: number, ours: number = FAILURES.E_FINAL_SYNC.exitStatus): number {
  return exitStatus === 0 ? ours : exitStatus;
}

/** There is no keeper, and there need not be another. */
function isOver({ kind }: KeeperState): boolean {
  return kind === "done" || kind === "fenced";
}
