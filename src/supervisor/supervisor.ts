// Being PID 1: turns what happens into events of the table, and the table's actions into deeds. Opens no
// database and speaks to no bucket, so that nothing keeps it from answering a signal.

import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";
import type { Duplex } from "node:stream";
import type { Clock } from "../base/context.ts";
import { debug, type Log, warn } from "../base/events.ts";
import { encodeMessage, LINE_DESCRIPTOR, onMessages } from "../base/line.ts";
import type { FromKeeper, Launch } from "../base/messages.ts";
import { createApp } from "./app.ts";
import { EXIT_STATUS_NOT_STARTED, onceEnded, sendSignal, tryToStart } from "./child.ts";
import type { HeldSignals } from "./held-signals.ts";
import type { Reaper } from "./reaper.ts";
import { PASSED_ON } from "./signals.ts";
import type { Action, Event, State } from "./states.ts";
import { INITIAL_STATE, next } from "./table.ts";

export type Supervision = {
  /** Starts the keeper's process, with a line to it; `again` after an earlier one died. */
  readonly startKeeper: (options: { readonly again: boolean }) => ChildProcess;
  readonly signals: HeldSignals;
  /** True where our standard input is a terminal, which the app then shares. */
  readonly hasTerminal: boolean;
  /** Changes how the app is launched, at the last moment. */
  readonly prepare?: (launch: Launch) => Launch;
  /** Made once the app runs, as it takes time. Undefined where there is none to be had. */
  readonly createReaper: (options: {
    readonly databaseDirectory: string;
    readonly isOurs: (pid: number) => boolean;
  }) => Promise<Reaper | undefined>;
  /** Stops this process until SIGCONT comes. */
  readonly suspend: () => void;
  readonly clock: Clock;
  readonly log: Log;
};

/** Starts the keeper and, once it is ready, the app; resolves with our exit status when both are gone. */
export function supervise(supervision: Supervision): Promise<number> {
  const {
    startKeeper,
    signals,
    hasTerminal,
    createReaper,
    suspend,
    clock,
    log,
    prepare = (launch) => launch,
  } = supervision;
  return new Promise((resolve) => {
    const ended = new AbortController();
    /** Children whose statuses Node waits for. */
    const ours = new Set<number>();
    const waiting: Event[] = [];
    let state: State = INITIAL_STATE;
    let keeper: ChildProcess | undefined;
    let reaper: Promise<Reaper | undefined> | undefined;
    const happened = (event: Event) => {
      handle(event);
      if (event.kind === "app ended") reap();
    };
    const app = createApp({ hasTerminal, clock, log, ours, prepare, happened });

    /** Some actions are events at once: one after the other, as the table sees them. */
    function handle(event: Event): void {
      waiting.push(event);
      if (waiting.length > 1) return;
      for (let at = waiting[0]; at !== undefined; at = waiting[0]) {
        const step = next(state, at);
        state = step.state;
        for (const action of step.actions) perform(action);
        waiting.shift();
      }
    }

    function perform(action: Action): void {
      switch (action.kind) {
        case "launch app":
          app.launch(action.launch);
          break;
        case "signal app":
          app.signal(action.signal);
          break;
        case "end group":
          app.endGroup({ signal: ended.signal });
          break;
        case "suspend":
          suspend();
          break;
        case "restart keeper":
          beginKeeper({ again: true });
          break;
        case "tell keeper":
          // A keeper that dies meanwhile is an event of its own.
          if (keeper !== undefined) lineTo(keeper)?.write(encodeMessage(action.message));
          break;
        case "signal keeper":
          sendSignal(keeper?.pid, action.signal);
          break;
        case "set timer":
          clock.sleep(action.ms, { signal: ended.signal }).then(
            () => handle({ kind: "timer", timer: action.timer }),
            () => {}, // it ended first
          );
          break;
        case "log":
          log(action.event);
          break;
        case "exit":
          ended.abort();
          resolve(action.exitStatus);
          break;
      }
    }

    function beginKeeper(options: { readonly again: boolean }): void {
      tryToStart(
        () => observeKeeper(startKeeper(options)),
        (why) => {
          log(warn("keeper", `cannot start the keeper: ${why}`));
          handle({ kind: "keeper ended", exitStatus: EXIT_STATUS_NOT_STARTED });
        },
      );
    }

    function observeKeeper(child: ChildProcess): void {
      keeper = child;
      if (child.pid !== undefined) ours.add(child.pid);
      const line = lineTo(child);
      if (line !== undefined) onMessages(line, becomeReady);
      onceEnded(child, (exitStatus, error) => {
        if (child.pid !== undefined) ours.delete(child.pid);
        if (error !== undefined) log(warn("keeper", `cannot start the keeper: ${error.message}`));
        handle({ kind: "keeper ended", exitStatus });
        reap();
      });
    }

    function becomeReady(ready: FromKeeper): void {
      log(debug("keeper", "ready"));
      handle({ kind: "keeper ready", ready });
      // Late on purpose: by now the app has been started.
      reaper ??= createReaper({ databaseDirectory: ready.databaseDirectory, isOurs: (pid) => ours.has(pid) });
      reap();
    }

    function reap(): void {
      void reaper?.then((made) => made?.reap());
    }

    signals.listen((name) => {
      if (name === "SIGCHLD") reap();
      else if (isPassedOn(name)) handle({ kind: "signal", signal: name, number: constants.signals[name] });
    });
    beginKeeper({ again: false });
  });
}

/** Undefined where the process could not be made, for want of descriptors. */
function lineTo({ stdio }: Partial<ChildProcess>): Duplex | undefined {
  return stdio?.[LINE_DESCRIPTOR] as Duplex | undefined;
}

function isPassedOn(name: NodeJS.Signals): boolean {
  return PASSED_ON.some((one) => one === name);
}
