// The table's part for while the app runs, or waits to be started again. Pure.

import { FAILURES } from "../base/errors.ts";
import { info, warn } from "../base/events.ts";
import { formatDuration } from "../base/format.ts";
import type { Launch } from "../base/messages.ts";
import { STOP_SIGNALS, SUSPEND_SIGNALS } from "./signals.ts";
import { type Action, type Event, end, type Running, type Step, type Stop } from "./states.ts";
import { lastSync } from "./while-ending.ts";

/** Share of the stop timeout that the app has before it is killed. The rest is for the last sync. */
const APP_SHARE = 0.6;

/** A keeper that died once is missed at once: what the app commits is nowhere else meanwhile. */
const FIRST_KEEPER_MS = 100;

const FIRST_RESTART_MS = 1000;
const LAST_RESTART_MS = 30_000;

/** An app that ran as long as this is not in a crash loop: its next failure counts as the first. */
const STEADY_MS = 60_000;

/** So many failures in a row, over some two and a half minutes, and the platform has to know. */
const MAX_FAILURES = 10;

/** A keeper's status that says that no other one need be started. */
const FENCED = FAILURES.E_FENCED.exitStatus;

export function whileRunning(state: Running, event: Event): Step {
  switch (event.kind) {
    case "signal":
      return state.app.kind === "up" ? signalToApp(state, event) : signalWithoutApp(state, event);
    case "app ended":
      return appEnded(state, event);
    case "keeper ready":
      return { state: { ...state, keeper: { kind: "up" } }, actions: [] };
    case "keeper ended":
      return keeperEnded(state, event.exitStatus);
    case "timer":
      return timerRanOut(state, event);
    case "group gone":
      return { state, actions: [] }; // the app is started again after its time
  }
}

function signalToApp(state: Running, event: Extract<Event, { kind: "signal" }>): Step {
  const { keeper, stop } = state;
  const pass: Action = { kind: "signal app", signal: event.signal };
  if (SUSPEND_SIGNALS.has(event.signal)) return { state, actions: [pass, { kind: "suspend" }] };
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
    ...limits(state),
  ];
  if (keeper.kind === "up") actions.push({ kind: "tell keeper", message: { kind: "sync" } });
  return { state: { ...state, stop: event }, actions };
}

/** There is no app to wait for: to stop is to make the last sync. */
function signalWithoutApp(state: Running, event: Extract<Event, { kind: "signal" }>): Step {
  if (!STOP_SIGNALS.has(event.signal)) return { state, actions: [] };
  const { app, keeper, ready } = state;
  const log: Action = { kind: "log", event: info("stop", `${event.signal}: making the last sync`) };
  if (app.kind !== "none") return appIsOver(state, { exitStatus: 128 + event.number, stop: event, before: [log] });
  // Without an app that could have a status of its own, all that was asked for is done when everything is replicated.
  const limit: Action = { kind: "set timer", timer: "give up", ms: ready.stopTimeoutMs };
  return lastSync({ exitStatus: 0, stop: event, keeper, before: [log, limit] });
}

function appEnded(state: Running, { exitStatus, ranMs }: Extract<Event, { kind: "app ended" }>): Step {
  const { app, keeper, ready, stop } = state;
  if (keeper.kind === "fenced") return appIsOver(state, { exitStatus: FENCED });
  if (exitStatus === 0 || stop !== undefined || ready.restart === "never") return appIsOver(state, { exitStatus });
  const failures = (app.kind === "none" || ranMs >= STEADY_MS ? 0 : app.failures) + 1;
  if (failures >= MAX_FAILURES) {
    const text = `the app failed ${failures} times in a row, the last time with status ${exitStatus}: giving up (E_APP_CRASHLOOP)`;
    return appIsOver(state, { exitStatus, before: [{ kind: "log", event: warn("launch", text) }] });
  }
  const ms = backOffMs(failures);
  const text = `the app ended with status ${exitStatus}; it is started again in ${ms / 1000} s`;
  return {
    state: { ...state, app: { kind: "down", failures } },
    actions: [
      { kind: "log", event: warn("launch", text) },
      { kind: "end group" },
      { kind: "set timer", timer: "restart app", ms },
    ],
  };
}

/** What the app has left behind may still write: it is ended first, and then the last sync is made. */
function appIsOver(
  state: Running,
  {
    exitStatus,
    stop = state.stop,
    before = [],
  }: { readonly exitStatus: number; readonly stop?: Stop | undefined; readonly before?: readonly Action[] },
): Step {
  const { keeper } = state;
  const actions: Action[] = [...before, { kind: "end group" }];
  // An app that was told to stop has its limits already; they hold for what it has left behind too.
  if (state.stop === undefined && keeper.kind !== "fenced") actions.push(...limits(state));
  return { state: { kind: "clearing", exitStatus, stop, keeper }, actions };
}

/** What the app has of the stop timeout, and what is left after it. */
function limits({ ready }: Running): readonly Action[] {
  return [
    { kind: "set timer", timer: "kill app", ms: ready.stopTimeoutMs * APP_SHARE },
    { kind: "set timer", timer: "give up", ms: ready.stopTimeoutMs },
  ];
}

/** What the app commits from now on would be replicated nowhere. The volume keeps its database. */
function endForFence(state: Running): Step {
  const { app, stop } = state;
  const log: Action = {
    kind: "log",
    event: warn("stop", "another machine writes to the replica: the app is ended (E_FENCED)"),
  };
  if (app.kind === "none") return end(FENCED);
  const fenced: Running = { ...state, keeper: { kind: "fenced" } };
  if (app.kind === "down") return appIsOver(fenced, { exitStatus: FENCED, before: [log, ...limits(state)] });
  if (stop !== undefined) return { state: fenced, actions: [log] };
  return { state: fenced, actions: [log, { kind: "signal app", signal: "SIGTERM" }, ...limits(state)] };
}

function keeperEnded(state: Running, exitStatus: number): Step {
  const { app, keeper, ready } = state;
  if (ready.replicating && exitStatus === FENCED) return endForFence(state);
  if (!ready.replicating) return app.kind === "none" ? end(exitStatus) : { state, actions: [] };
  const deaths = keeper.kind === "coming up" ? keeper.deaths + 1 : 1;
  const ms = deaths === 1 ? FIRST_KEEPER_MS : backOffMs(deaths - 1);
  const meanwhile = app.kind === "none" ? "" : "the app runs on, and ";
  const text = `the keeper ended with status ${exitStatus}; ${meanwhile}replication again in ${formatDuration(ms)}`;
  return {
    state: { ...state, keeper: { kind: "down", deaths } },
    actions: [
      { kind: "log", event: warn("keeper", text) },
      { kind: "set timer", timer: "restart keeper", ms },
    ],
  };
}

function timerRanOut(state: Running, { timer }: Extract<Event, { kind: "timer" }>): Step {
  const { app, keeper, ready, stop } = state;
  switch (timer) {
    case "restart keeper":
      if (keeper.kind !== "down") return { state, actions: [] };
      return { state: { ...state, keeper: { ...keeper, kind: "coming up" } }, actions: [{ kind: "restart keeper" }] };
    case "restart app":
      if (app.kind !== "down" || ready.launch === undefined) return { state, actions: [] };
      return { state: { ...state, app: { ...app, kind: "up" } }, actions: relaunch(ready.launch) };
    case "kill app": {
      const text = "the app did not end in its share of the stop timeout and is killed";
      return {
        state,
        actions: [
          { kind: "log", event: warn("stop", text) },
          { kind: "signal app", signal: "SIGKILL" },
        ],
      };
    }
    case "give up":
      return end(keeper.kind === "fenced" ? FENCED : 128 + (stop?.number ?? 0), [
        { kind: "signal app", signal: "SIGKILL" },
      ]);
  }
}

/** Nothing of the old one may be there beside the new one. */
function relaunch(launch: Launch): readonly Action[] {
  return [
    { kind: "signal app", signal: "SIGKILL" },
    { kind: "launch app", launch },
  ];
}

/** 1, 2, 4, ... 30 s. */
function backOffMs(times: number): number {
  return Math.min(LAST_RESTART_MS, FIRST_RESTART_MS * 2 ** (times - 1));
}
