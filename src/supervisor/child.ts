// A child process, as a supervisor sees one: started or not, signalled, and ended with a status.

import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";
import { describe, systemCode } from "../base/errors.ts";

/** A shell's status for a program that was found and could not be executed. */
export const EXIT_STATUS_NOT_STARTED = 126;

/** A shell's status for a program that is not there. */
const EXIT_STATUS_NOT_FOUND = 127;

/** Calls back once, with the exit status as a shell gives it: 128 + n for signal n, 127 or 126 for a failed exec. */
export function onceEnded(child: ChildProcess, ended: (exitStatus: number, error?: Error) => void): void {
  child.once("error", (error) => {
    if (child.pid !== undefined) return;
    ended(systemCode(error) === "EACCES" ? EXIT_STATUS_NOT_STARTED : EXIT_STATUS_NOT_FOUND, error);
  });
  child.once("exit", (code, signal) => ended(code ?? 128 + constants.signals[signal ?? "SIGKILL"]));
}

/** Some failures to start a child come as an event; others, such as too long a command line, are thrown. */
export function tryToStart(begin: () => void, failed: (why: string) => void): void {
  try {
    begin();
  } catch (error) {
    failed(describe(error));
  }
}

/** To a process, or with a negative id to all of a group. One that is gone already is no failure. */
export function sendSignal(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, signal);
  } catch {
    // gone already
  }
}
