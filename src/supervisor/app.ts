// The app's process and the group that it leads: launched, signalled, and what it leaves behind ended.

import { type ChildProcess, spawn } from "node:child_process";
import type { Clock } from "../base/context.ts";
import { debug, type Log, warn } from "../base/events.ts";
import type { Launch } from "../base/messages.ts";
import { EXIT_STATUS_NOT_STARTED, onceEnded, sendSignal, tryToStart } from "./child.ts";
import { groupIsAlive } from "./group.ts";
import { FROM_TERMINAL, SUSPEND_SIGNALS } from "./signals.ts";
import type { Event } from "./states.ts";

/** Between two looks at a group that is to end, in milliseconds. */
const GROUP_POLL_MS = 10;

export type App = {
  readonly launch: (launch: Launch) => void;
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Tells what is left of the group to end; "group gone" happens once it is. */
  readonly endGroup: (options: { readonly signal: AbortSignal }) => void;
};

export function createApp({
  hasTerminal,
  clock,
  log,
  ours,
  prepare,
  happened,
}: {
  readonly hasTerminal: boolean;
  /** Changes how the app is launched, at the last moment. */
  readonly prepare: (launch: Launch) => Launch;
  readonly clock: Clock;
  readonly log: Log;
  /** Where the app's process id stands as long as Node waits for its status. */
  readonly ours: Set<number>;
  readonly happened: (event: Event) => void;
}): App {
  let app: ChildProcess | undefined;

  /** With a terminal the app shares our group, and only the app itself is signalled. */
  const target = () => (app?.pid === undefined ? undefined : hasTerminal ? app.pid : -app.pid);

  return {
    launch(launch) {
      const { file, arguments: args, directory, environment } = prepare(launch);
      const launchedMs = clock.monotonic();
      const ended = (exitStatus: number) =>
        happened({ kind: "app ended", exitStatus, ranMs: clock.monotonic() - launchedMs });
      const begin = () => {
        // Its own process group, so that signals reach all of it; but with a terminal it must stay in the foreground.
        const child = spawn(file, args, { cwd: directory, env: environment, stdio: "inherit", detached: !hasTerminal });
        app = child;
        if (child.pid !== undefined) ours.add(child.pid);
        log(debug("launch", `${file} is process ${child.pid}`));
        onceEnded(child, (exitStatus, error) => {
          if (child.pid !== undefined) ours.delete(child.pid);
          if (error !== undefined) log(warn("launch", `cannot launch "${file}": ${error.message}`));
          ended(exitStatus);
        });
      };
      tryToStart(begin, (why) => {
        log(warn("launch", `cannot launch: ${why}`));
        ended(EXIT_STATUS_NOT_STARTED);
      });
    },

    signal(signal) {
      if (!hasTerminal) {
        // A group without a terminal's session above it can't be stopped by these; it can by SIGSTOP.
        sendSignal(target(), SUSPEND_SIGNALS.has(signal) ? "SIGSTOP" : signal);
      } else if (!FROM_TERMINAL.has(signal)) {
        // What a terminal sends to its whole foreground group, the app has already.
        sendSignal(target(), signal);
      }
    },

    endGroup({ signal }) {
      const child = app;
      const leader = hasTerminal ? undefined : child?.pid;
      sendSignal(leader === undefined ? undefined : -leader, "SIGTERM");
      const look = (): void => {
        if (signal.aborted || app !== child) return; // we are done, or another app runs
        if (leader === undefined || !groupIsAlive(leader)) happened({ kind: "group gone" });
        else clock.sleep(GROUP_POLL_MS, { signal }).then(look, () => {});
      };
      look();
    },
  };
}
