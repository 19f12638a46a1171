// When to copy, and when to upload: at once after a quiet time, then once an interval, sooner where the log grows
// fast, ever less often while the store is away.
//
// Capturing and uploading are two loops, so that a store that is slow or away never keeps the log from being emptied.

import { type FSWatcher, watch } from "node:fs";
import { basename, dirname } from "node:path";
import { AssertionError } from "../base/assert.ts";
import type { Clock, Random } from "../base/context.ts";
import { describe, FlysqliteError } from "../base/errors.ts";
import { info, type Log, warn } from "../base/events.ts";
import type { Replicator } from "./replicator.ts";

/** How often a quiet log is looked at although no change was seen: a file watch may miss one. */
const POLL_INTERVAL_MS = 1000;

/** How often the log's growth is looked at while the app commits, and while it fills the log within an interval. */
const BUSY_POLL_MS = 40;
const BURST_POLL_MS = 10;

/** Waits after failures: doubling from the first to the last. */
const FIRST_BACKOFF_MS = 1000;
const LAST_BACKOFF_MS = 30_000;

/** The longest wait between two uploads: what waits is nowhere else, and a try that fails costs nobody anything. */
const LAST_UPLOAD_BACKOFF_MS = 5000;

/** The longest time between two captures while the replica does not answer, unless the log grows. */
const LONGEST_INTERVAL_MS = 60_000;

/** The path of the database leads to another file than the one that we hold, or to none. */
export class DatabaseReplaced extends FlysqliteError {
  constructor(databasePath: string) {
    super("E_VOLUME", `Cannot go on with "${databasePath}": it was replaced by another file, or removed`, {
      hint: "What is at its path now is copied whole, as the history's next state; what was there before can be restored",
    });
  }
}

/** What fails again and again. */
export type Trouble = {
  readonly message: string;
  /** When it began, in milliseconds since the Unix epoch. */
  readonly sinceMs: number;
  /** Failures in a row. */
  readonly tries: number;
};

export type Follower = {
  /**
   * Ships until `until` is aborted; never throws for a store that fails. Throws DatabaseReplaced where the database
   * is no longer the file that we hold, and E_FENCED where the replica is no longer ours to write to.
   */
  run(options: { readonly until: AbortSignal }): Promise<void>;
  /** Ships at once, without waiting for the interval to pass. */
  hurry(): void;
  /** Says that somebody else captured or uploaded something, so that what follows from it is done. */
  news(): void;
  /** What the last try to capture failed with, or else to upload; undefined where both succeeded. */
  readonly trouble: Trouble | undefined;
};

export function createFollower(
  replicator: Replicator,
  {
    databasePath,
    syncIntervalMs,
    isStillThere,
    alongside,
    clock,
    random,
    log,
    signal,
  }: {
    readonly databasePath: string;
    /** At least this long between two uploads. */
    readonly syncIntervalMs: number;
    readonly isStillThere: () => boolean;
    /** What else runs as long as this does: the keeping of the levels. */
    readonly alongside: (options: { readonly signal: AbortSignal }) => Promise<void>;
    readonly clock: Clock;
    readonly random: Random;
    readonly log: Log;
    /** Breaks off an upload too. */
    readonly signal: AbortSignal;
  },
): Follower {
  const changes = createAlarm(clock);
  const uploads = createAlarm(clock);
  let captureTrouble: Trouble | undefined;
  let uploadTrouble: Trouble | undefined;

  function noteFailure(error: unknown, before: Trouble | undefined): Trouble {
    return { message: describe(error), sinceMs: before?.sinceMs ?? clock.now(), tries: (before?.tries ?? 0) + 1 };
  }

  async function captureWhile(stop: AbortSignal): Promise<void> {
    let failures = 0;
    let isBurst = false;
    while (!stop.aborted) {
      if (!isStillThere()) throw new DatabaseReplaced(databasePath);
      const startedMs = clock.monotonic();
      try {
        const isNew = await replicator.capture({ signal });
        failures = 0;
        captureTrouble = undefined;
        if (isNew || replicator.isBehind) uploads.ring("news");
        if (isNew) {
          const awayMs = uploadTrouble === undefined ? 0 : clock.now() - uploadTrouble.sinceMs;
          const endMs = startedMs + captureInterval(syncIntervalMs, awayMs);
          isBurst = await busyTime(endMs, isBurst ? BURST_POLL_MS : BUSY_POLL_MS, stop);
        } else {
          isBurst = false;
          await quietTime(stop);
        }
      } catch (error) {
        if (error instanceof AssertionError) throw error; // ours: only a new process is sure of what holds
        if (signal.aborted) return;
        failures += 1;
        const waitMs = backoff(failures, random);
        captureTrouble = noteFailure(error, captureTrouble);
        const { message } = captureTrouble;
        log(warn("replicate", `nothing captured, next try in ${Math.round(waitMs / 1000)} s: ${message}`));
        await changes.wait("hurry", waitMs, stop);
      }
    }
  }

  /** Until `endMs`, or until the log can't wait so long: true then. */
  async function busyTime(endMs: number, pollMs: number, stop: AbortSignal): Promise<boolean> {
    for (;;) {
      const restMs = endMs - clock.monotonic();
      if (restMs <= 0 || stop.aborted) return false;
      if (replicator.isCaptureDue) return true;
      if (await changes.wait("hurry", Math.min(restMs, pollMs), stop)) return false;
    }
  }

  /** Until the log changes. It is watched only then: a watch costs a busy app, and us, something at each commit. */
  async function quietTime(stop: AbortSignal): Promise<void> {
    using _watch = watchLog(databasePath, () => changes.ring("news"));
    // What was committed before the watch began rings no more. It is waited for all the same: a loop must let others work.
    const isMissed = replicator.uncapturedBytes > 0;
    await changes.wait("news", isMissed ? BUSY_POLL_MS : POLL_INTERVAL_MS, stop);
  }

  async function uploadWhile(stop: AbortSignal): Promise<void> {
    let failures = 0;
    let earliestMs = 0;
    for (;;) {
      if (failures === 0 && !replicator.isBehind) await uploads.wait("news", Number.POSITIVE_INFINITY, stop);
      await uploads.wait("hurry", earliestMs - clock.monotonic(), stop);
      if (stop.aborted) return;
      const startedMs = clock.monotonic();
      try {
        await replicator.upload({ signal });
        if (failures > 0) {
          log(info("replicate", `the replica answers again, after ${failures} failed tries`));
          changes.ring("hurry"); // for what was not captured meanwhile
        }
        failures = 0;
        uploadTrouble = undefined;
        earliestMs = startedMs + syncIntervalMs;
      } catch (error) {
        if (error instanceof FlysqliteError && error.code === "E_FENCED") throw error;
        if (signal.aborted) return;
        failures += 1;
        uploadTrouble = noteFailure(error, uploadTrouble);
        const waitMs = backoff(failures, random, LAST_UPLOAD_BACKOFF_MS);
        earliestMs = startedMs + waitMs;
        const { message } = uploadTrouble;
        log(warn("replicate", `not replicated, next try in ${Math.round(waitMs / 1000)} s: ${message}`));
      }
    }
  }

  return {
    hurry() {
      changes.ring("hurry");
      uploads.ring("hurry");
    },

    news() {
      uploads.ring("news");
    },

    get trouble() {
      return captureTrouble ?? uploadTrouble;
    },

    async run({ until }) {
      const failed = new AbortController();
      const stop = AbortSignal.any([until, signal, failed.signal]);
      const loops = [captureWhile(stop), uploadWhile(stop), alongside({ signal: stop })];
      try {
        await Promise.all(loops);
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        failed.abort();
        await Promise.allSettled(loops);
      }
    },
  };
}

/**
 * Time between two captures, in milliseconds, when the replica has been away for so long: an outage ends with few objects,
 * whatever it lasted: some 25 for a minute, 100 for an hour.
 */
export function captureInterval(syncIntervalMs: number, awayMs: number): number {
  return Math.max(syncIntervalMs, Math.min(awayMs / 8, LONGEST_INTERVAL_MS));
}

/** Doubles from the first wait to the last, and spreads by a quarter so that many machines don't come at once. */
export function backoff(failures: number, random: Random, lastMs = LAST_BACKOFF_MS): number {
  const waitMs = Math.min(lastMs, FIRST_BACKOFF_MS * 2 ** (failures - 1));
  return waitMs * (0.75 + 0.5 * random.unit());
}

/** A wait that something may cut short. "hurry" cuts every wait, "news" only the wait for news. */
function createAlarm(clock: Clock) {
  type Sound = "news" | "hurry";
  const heard = new Set<Sound>();
  let wake: ((sound: Sound) => void) | undefined;
  return {
    ring(sound: Sound): void {
      heard.add(sound);
      wake?.(sound);
    },
    /**
     * Resolves when `sound` or "hurry" was rung since it was last waited for, after `ms`, or when aborted. Gives
     * whether it was rung.
     */
    async wait(sound: Sound, ms: number, signal: AbortSignal): Promise<boolean> {
      const isRung = () => heard.has(sound) || heard.has("hurry");
      if (ms > 0 && !isRung() && !signal.aborted) {
        const woken = new AbortController();
        wake = () => isRung() && woken.abort();
        const end = AbortSignal.any([signal, woken.signal]);
        if (ms === Number.POSITIVE_INFINITY) await once(end);
        else await clock.sleep(ms, { signal: end }).catch(() => {});
        wake = undefined;
      }
      const was = isRung();
      heard.delete(sound);
      heard.delete("hurry");
      return was;
    },
  };
}

function once(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
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
