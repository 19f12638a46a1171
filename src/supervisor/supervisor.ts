// Being PID 1: turns what happens into events of the table, and the table's actions into deeds. Opens no
// database and speaks to no bucket, so that nothing keeps it from answering a signal.

import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import type { Clock } from "../base/context.ts";
import { describe, systemCode } from "../base/errors.ts";
import { debug, type Log, warn } from "../base/events.ts";
import type { FromKeeper, Launch } from "../base/messages.ts";
import { type Action, type Event, INITIAL_STATE, next, type State } from "./table.ts";

/** All signals that a process can catch and that mean something to an app, apart from those of its own faults. */
const PASSED_ON = [
  "SIGTERM",
  "SIGINT",
  "SIGQUIT",
  "SIGHUP",
  "SIGUSR1",
  "SIGUSR2",
  "SIGWINCH",
  "SIGCONT",
  "SIGALRM",
] as const satisfies readonly NodeJS.Signals[];

/** Those that a terminal sends to its whole foreground group by itself. */
const FROM_TERMINAL: ReadonlySet<string> = new Set(["SIGINT", "SIGQUIT", "SIGWINCH"]);

/** A shell's status for a program that was found and could not be executed. */
const EXIT_STATUS_NOT_STARTED = 126;

export type SignalSource = { on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown };

/** Starts the keeper and, once it is ready, the app; resolves with our exit status when both are gone. */
export function supervise({
  startKeeper,
  signals,
  hasTerminal,
  clock,
  log,
}: {
  /** Starts the keeper's process, with an IPC channel; `again` after an earlier one died. */
  readonly startKeeper: (options: { readonly again: boolean }) => ChildProcess;
  readonly signals: SignalSource;
  /** True where our standard input is a terminal, which the app then shares. */
  readonly hasTerminal: boolean;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<number> {
  return new Promise((resolve) => {
    const ended = new AbortController();
    let state: State = INITIAL_STATE;
    let keeper: ChildProcess | undefined;
    let app: ChildProcess | undefined;

    function handle(event: Event): void {
      const step = next(state, event);
      state = step.state;
      for (const action of step.actions) perform(action);
    }

    function perform(action: Action): void {
      switch (action.kind) {
        case "launch app":
          start(
            () => launch(action.launch),
            () => handle({ kind: "app ended", exitStatus: EXIT_STATUS_NOT_STARTED }),
          );
          break;
        case "signal app":
          // What a terminal sends to its whole foreground group, the app has already.
          if (!(hasTerminal && FROM_TERMINAL.has(action.signal)))
            sendSignal(app, action.signal, { group: !hasTerminal });
          break;
        case "restart keeper":
          start(
            () => observeKeeper(startKeeper({ again: true })),
            () => handle({ kind: "keeper ended", exitStatus: EXIT_STATUS_NOT_STARTED }),
          );
          break;
        case "tell keeper":
          // A keeper that dies meanwhile is an event of its own.
          if (keeper?.connected === true) keeper.send(action.message, () => {});
          break;
        case "signal keeper":
          sendSignal(keeper, action.signal, { group: false });
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

    function observeKeeper(child: ChildProcess): void {
      keeper = child;
      child.on("message", (ready: FromKeeper) => {
        log(debug("keeper", "ready"));
        handle({ kind: "keeper ready", ready });
      });
      onceEnded(child, (exitStatus, error) => {
        if (error !== undefined) log(warn("keeper", `cannot start the keeper: ${error.message}`));
        handle({ kind: "keeper ended", exitStatus });
      });
    }

    /** Some failures to start a child come as an event; others, such as too long a command line, are thrown. */
    function start(begin: () => void, failed: () => void): void {
      try {
        begin();
      } catch (error) {
        log(warn("launch", `cannot launch: ${describe(error)}`));
        failed();
      }
    }

    function launch({ file, arguments: args, directory, environment }: Launch): void {
      // Its own process group, so that signals reach all of it; but with a terminal it must stay in the foreground.
      app = spawn(file, args, { cwd: directory, env: environment, stdio: "inherit", detached: !hasTerminal });
      log(debug("launch", `${file} is process ${app.pid}`));
      onceEnded(app, (exitStatus, error) => {
        if (error !== undefined) log(warn("launch", `cannot launch "${file}": ${error.message}`));
        handle({ kind: "app ended", exitStatus });
      });
    }

    for (const name of PASSED_ON) {
      signals.on(name, () => handle({ kind: "signal", signal: name, number: constants.signals[name] }));
    }
    observeKeeper(startKeeper({ again: false }));
  });
}

/** Calls back once, with the exit status as a shell gives it: 128 + n for signal n, 127 or 126 for a failed exec. */
function onceEnded(child: ChildProcess, ended: (exitStatus: number, error?: Error) => void): void {
  child.once("error", (error) => {
    if (child.pid === undefined) ended(systemCode(error) === "EACCES" ? EXIT_STATUS_NOT_STARTED : 127, error);
  });
  child.once("exit", (code, signal) => ended(code ?? 128 + constants.signals[signal ?? "SIGKILL"]));
}

function sendSignal(
  child: ChildProcess | undefined,
  signal: NodeJS.Signals,
  { group }: { readonly group: boolean },
): void {
  if (child?.pid === undefined) return;
  try {
    process.kill(group ? -child.pid : child.pid, signal);
  } catch {
    // gone already
  }
}
