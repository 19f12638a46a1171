// Sets WAL mode on a database that an app has open, before the replicator takes hold of it. The app may keep it locked
// for as long as it likes; attaching would give up, and leave handles behind that nothing may close.

import { dirname } from "node:path";
import { warn } from "../base/events.ts";
import { isBusy } from "../sqlite/driver.ts";
import type { StepContext } from "./context.ts";

/** Each try blocks this process for so long, in milliseconds; between two of them it does its other work. */
const TRY_MS = 100;
const PAUSE_MS = 400;

/** From so many tries in vain on, it is told. */
const TELL_AFTER = 10;

/** Gives false where `until` was aborted before that could be done. */
export async function setWalMode(
  path: string,
  {
    sqlite,
    clock,
    log,
    signal,
    until,
  }: Pick<StepContext, "sqlite" | "clock" | "log" | "signal"> & { readonly until: AbortSignal },
): Promise<boolean> {
  const driver = await sqlite(dirname(path));
  const either = AbortSignal.any([signal, until]);
  for (let tries = 1; !either.aborted; tries += 1) {
    try {
      using connection = driver.open(path, { busyTimeoutMs: TRY_MS });
      connection.exec("PRAGMA journal_mode=WAL");
      return true;
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (tries === TELL_AFTER) log(warn("replicate", `"${path}" is kept locked: waiting to attach to it`));
      await clock.sleep(PAUSE_MS, { signal: either }).catch(() => {});
    }
  }
  signal.throwIfAborted();
  return false;
}
