// When to ship: at once after an idle time, under load once an interval, and slower while the store is away.

import { type FSWatcher, watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Clock, Random } from "../base/context.ts";
import { describe } from "../base/errors.ts";
import { info, type Log, warn } from "../base/events.ts";
import type { Replicator } from "./replicator.ts";

/** How often the log is looked at although no change was seen: a file watch may miss one. */
const POLL_INTERVAL_MS = 1000;

/** Waits after failures: doubling from the first to the last. */
const FIRST_BACKOFF_MS = 1000;
const LAST_BACKOFF_MS = 30_000;

export type Follower = {
  /**
   * Ships until `until` is aborted; never throws for a store that fails. Throws where the database is no longer
   * the file that we hold.
   */
  run(options: { readonly until: AbortSignal }): Promise<void>;
  /** Ships at once, without waiting for the interval to pass. */
  hurry(): void;
};

export function createFollower(
  replicator: Replicator,
  {
    databasePath,
    syncIntervalMs,
    isStillThere,
    clock,
    random,
    log,
    signal,
  }: {
    readonly databasePath: string;
    /** At least this long between two uploads. */
    readonly syncIntervalMs: number;
    readonly isStillThere: () => boolean;
    readonly clock: Clock;
    readonly random: Random;
    readonly log: Log;
    /** Breaks off an upload too. */
    readonly signal: AbortSignal;
  },
): Follower {
  const alarm = createAlarm(clock);
  let failures = 0;

  async function shipOnce(): Promise<boolean> {
    const files = await replicator.sync({ signal });
    if (files > 0) await replicator.maintain({ signal });
    if (failures > 0) log(info("replicate", `the replica answers again, after ${failures} failed tries`));
    failures = 0;
    return files > 0;
  }

  return {
    hurry: () => alarm.ring("hurry"),

    async run({ until }) {
      using _watch = watchLog(databasePath, () => alarm.ring("change"));
      const stop = AbortSignal.any([until, signal]);
      let earliestMs = 0;
      for (;;) {
        await alarm.wait("hurry", earliestMs - clock.monotonic(), stop);
        if (stop.aborted) return;
        if (!isStillThere()) throw new Error(`"${databasePath}" was replaced by another file`);
        try {
          const shipped = await shipOnce();
          earliestMs = shipped ? clock.monotonic() + syncIntervalMs : 0;
          await alarm.wait("change", POLL_INTERVAL_MS, stop);
        } catch (error) {
          if (signal.aborted) return;
          failures += 1;
          const waitMs = backoff(failures, random);
          earliestMs = clock.monotonic() + waitMs;
          log(warn("replicate", `not replicated, next try in ${Math.round(waitMs / 1000)} s: ${describe(error)}`));
        }
      }
    },
  };
}

/** Doubles from the first wait to the last, and spreads by a quarter so that many machines don't come at once. */
export function backoff(failures: number, random: Random): number {
  const waitMs = Math.min(LAST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (failures - 1));
  return waitMs * (0.75 + 0.5 * random.unit());
}

/** A wait that something may cut short. "hurry" cuts every wait, "change" only the wait for a change. */
function createAlarm(clock: Clock) {
  type Sound = "change" | "hurry";
  const heard = new Set<Sound>();
  let wake: ((sound: Sound) => void) | undefined;
  return {
    ring(sound: Sound): void {
      heard.add(sound);
      wake?.(sound);
    },
    /** Resolves when `sound` or "hurry" was rung since it was last waited for, after `ms`, or when aborted. */
    async wait(sound: Sound, ms: number, signal: AbortSignal): Promise<void> {
      const rung = () => heard.has(sound) || heard.has("hurry");
      if (ms > 0 && !rung() && !signal.aborted) {
        const woken = new AbortController();
        wake = () => rung() && woken.abort();
        await clock.sleep(ms, { signal: AbortSignal.any([signal, woken.signal]) }).catch(() => {});
        wake = undefined;
      }
      heard.delete(sound);
      heard.delete("hurry");
    },
  };
}

/** Tells of changes of the write-ahead log. The directory is watched, since the log comes and goes. */
function watchLog(databasePath: string, changed: () => void): Disposable {
  const name = `${basename(databasePath)}-wal`;
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(dirname(databasePath), { persistent: false }, (_, file) => {
      if (file === name) changed();
    });
    watcher.on("error", () => watcher?.close()); // the poll goes on
  } catch {
    // No watches are left to be had (inotify's limit): the poll is enough.
  }
  return { [Symbol.dispose]: () => watcher?.close() };
}
