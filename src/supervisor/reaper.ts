// Orphans: processes whose parent has ended become children of PID 1, and stay as zombies until it asks for their
// status. Node asks only for that of children which it started itself. Source: wait(2), prctl(2)

import { constants } from "node:os";
import { debug, type Log, warn } from "../base/events.ts";
import type { LoadedSystemCalls } from "../base/system-calls.ts";

export type Reaper = {
  /** Reaps all orphans that have ended. To be called when any child has, and again when one of ours has. */
  readonly reap: () => void;
};

/** At most so many in one go: PID 1 has signals to answer. */
const AT_ONCE = 1000;

/**
 * A reaper, where `loaded` has the system's calls; where not, that is told. Not as PID 1, orphans are made to come to
 * us, as to a sub-reaper.
 */
export function createReaper({
  loaded: { calls, reasons },
  isFirst,
  isOurs,
  log,
  later,
}: {
  readonly loaded: LoadedSystemCalls;
  /** True for PID 1. */
  readonly isFirst: boolean;
  /** True for a child that Node waits for: its status must not be taken away from Node. */
  readonly isOurs: (pid: number) => boolean;
  readonly log: Log;
  /** Calls once the events at hand were seen to. */
  readonly later: (call: () => void) => void;
}): Reaper | undefined {
  if (calls === undefined) {
    // Where we are not PID 1, orphans go to the one that is.
    const tell = isFirst ? warn : debug;
    const what = isFirst ? "orphans are not reaped, and SIGUSR1 is" : "SIGUSR1 is";
    log(tell("launch", `${what} not passed on, as koffi could not be loaded by way of ${reasons}`));
    return undefined;
  }
  if (!isFirst) calls.becomeSubreaper();
  // Node was told not to open its debugger for it (--disable-sigusr1), and does that by blocking it.
  calls.unblockSignal(constants.signals.SIGUSR1);
  let isPlanned = false;

  function reap(): void {
    if (isPlanned) return;
    isPlanned = true;
    later(() => {
      isPlanned = false;
      for (let count = 0; count < AT_ONCE; count++) {
        const pid = calls?.peekEndedChild();
        // Of ours Node takes the status in a moment, and tells; others may be hidden behind it until then.
        if (pid === undefined || isOurs(pid)) return;
        calls?.reapChild(pid);
      }
      reap();
    });
  }
  return { reap };
}
