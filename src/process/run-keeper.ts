// The keeper: under a supervisor, or by itself beside an app that somebody else starts.

import { forgetAllocator } from "../base/allocator.ts";
import { FAILURES, FlysqliteError } from "../base/errors.ts";
import { info, warn } from "../base/events.ts";
import type { ToKeeper } from "../base/messages.ts";
import type { Channel } from "../keeper/keeper.ts";
import { createContext } from "./context.ts";
import { createKeeperLine } from "./keeper-line.ts";
import { processLog } from "./streams.ts";
import { readCommandLine, type Sidecar } from "./words.ts";

/** What we make is for our own user alone. */
const OWN_MASK = 0o077;

export async function runKeeper(words: readonly string[], { again }: { readonly again: boolean }): Promise<number> {
  forgetAllocator(process.env);
  const run = await readCommandLine(words);
  if (run.kind !== "run") throw new FlysqliteError("E_INTERNAL", `the keeper was started for "${run.kind}"`);
  const stop = new AbortController();
  // Once the app runs its end is what counts: the supervisor tells, whoever else may send this to every process.
  let isReady = false;
  process.on("SIGTERM", () => void (isReady || stop.abort(new Error("stopped by SIGTERM"))));
  const appMask = process.umask(OWN_MASK);
  const asApp = <Started>(start: () => Started): Started => {
    process.umask(appMask);
    try {
      return start();
    } finally {
      process.umask(OWN_MASK);
    }
  };

  const { keep } = await import("../keeper/keeper.ts");
  const line = createKeeperLine();
  const channel: Channel = {
    send(message) {
      isReady = true;
      line.send(message);
    },
    onMessage: (listener) =>
      line.onMessage((message) => {
        if (isReady || again) return listener(message);
        stop.abort(new Error("the supervisor died")); // all that there is to tell before an app runs
      }),
  };
  try {
    await keep(channel, { ...(await createContext(run, stop.signal)), asApp, again });
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return 128 + 15;
    throw error;
  }
}

/** The keeper without an app, which is its own supervisor: told to stop by a signal, and ended by a second one. */
export async function runSidecar({ flags }: Sidecar): Promise<number> {
  const log = processLog();
  const stop = new AbortController();
  let stopStatus = 0;
  let isReady = false;
  let tell: (message: ToKeeper) => void = () => {};
  for (const name of ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"] as const) {
    process.on(name, (_signal: NodeJS.Signals, number: number) => {
      if (stopStatus !== 0) {
        log(warn("stop", `${name} again: ending at once; what is not replicated yet stays on the volume`));
        process.exit(isReady ? FAILURES.E_FINAL_SYNC.exitStatus : 128 + number);
      }
      stopStatus = 128 + number;
      if (!isReady) return stop.abort(new Error(`stopped by ${name}`));
      log(info("stop", `${name}: making the last sync`));
      tell({ kind: "finish" });
    });
  }
  process.on("SIGUSR1", () => {}); // else Node would listen for a debugger

  const { keepInPlace } = await import("../keeper/sidecar.ts");
  const line = {
    ready: async () => {
      isReady = true;
    },
    onMessage(listener: typeof tell) {
      tell = listener;
    },
  };
  try {
    await keepInPlace(line, await createContext({ flags, command: [] }, stop.signal));
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return stopStatus;
    throw error;
  }
}
