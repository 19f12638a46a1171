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

/** Comes back when that is done, or aborted. */
export async function setWalMode(
  path: string,
  { sqlite, clock, log, until }: Pick<StepContext, "sqlite" | "clock" | "log"> & { readonly until: AbortSignal },
): Promise<void> {
  const driver = await sqlite(dirname(path));
  for (let tries = 1; !until.aborted; tries += 1) {
    try {
      using connection = driver.open(path, { busyTimeoutMs: TRY_MS });
      connection.exec("PRAGMA journal_mode=WAL");
      return;
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (tries === TELL_AFTER) log(warn("replicate", `"${path}" is kept locked: waiting to attach to it`));
      await clock.sleep(PAUSE_MS, { signal: until }).catch(() => {});
    }
  }
}
