import { execFileSync } from "node:child_process";
import { renameSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import type { At, Clock } from "../../../src/base/context.ts";
import type { Event } from "../../../src/base/events.ts";
import { systemClock, systemRandom } from "../../../src/base/system.ts";
import { backoff, captureInterval, createFollower } from "../../../src/replica/follow.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { installedDriver } from "../../support/driver.ts";
import { createManualClock, type ManualClock } from "../../support/manual-clock.ts";
import { type Replicated, rangesAt, replicated } from "./support.ts";

const driver = await installedDriver();

const SYNC_INTERVAL_MS = 5000;

/** How far a test moves the clock at a time: as often as a busy log is looked at. */
const STEP_MS = 25;

/** What is waited for comes at a step of the clock that the wait itself makes. */
const SOON = { timeout: 10_000, interval: 1 };

/** A follower at work. Disposing stops it. */
async function following({
  clock = createManualClock(),
  wrap = (store) => store,
  wrapLocal = (store) => store,
  at = () => {},
}: {
  readonly clock?: Clock;
  readonly at?: At;
  readonly wrap?: (store: ObjectStore) => ObjectStore;
  readonly wrapLocal?: (store: ObjectStore) => ObjectStore;
} = {}) {
  const replica = await replicated(driver, { wrap, wrapLocal, at });
  const events: Event[] = [];
  const stop = new AbortController();
  const breakOff = new AbortController();
  const follower = createFollower(replica.replicator, {
    databasePath: replica.path,
    syncIntervalMs: SYNC_INTERVAL_MS,
    isStillThere: replica.attached.isStillThere,
    alongside: async () => {},
    clock,
    random: { ...systemRandom, unit: () => 0.5 },
    log: (event) => void events.push(event),
    signal: breakOff.signal,
  });
  const ended = follower.run({ until: stop.signal });
  ended.catch(() => {}); // whoever cares awaits it
  return {
    replica,
    follower,
    events,
    stop,
    breakOff,
    ended,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended.catch(() => {});
      await replica[Symbol.asyncDispose]();
    },
  };
}

/** Moves the clock on, step by step, until that many transactions are in the replica. */
async function comesTo(
  lastTxid: bigint,
  { replica, clock }: { readonly replica: Replicated; readonly clock: ManualClock },
) {
  await vi.waitFor(() => {
    if (replica.replicator.lastTxid === lastTxid) return;
    clock.advance(STEP_MS);
    expect(replica.replicator.lastTxid).toBe(lastTxid);
  }, SOON);
}

describe("a follower", () => {
  it("ships what is committed, without being told", async () => {
    await using running = await following({ clock: systemClock });
    const { replica } = running;
    await vi.waitFor(async () => expect(await rangesAt(replica.store, 0)).toEqual(["1-1"]), SOON);
    await replica.app.commit(2);
    running.follower.hurry(); // past the interval, not past the upload
    await vi.waitFor(async () => expect(await replica.judge()).toEqual({ n: 2 }), SOON);
  });

  it("notices a commit by the change of the log, and keeps the interval between two captures", async () => {
    const clock = createManualClock();
    const captures: number[] = [];
    let begunMs = 0;
    const at = (label: string) => {
      if (label === "reader begun") begunMs = clock.monotonic();
      if (label === "recorded") captures.push(begunMs);
    };
    await using running = await following({ clock, at });
    const { replica } = running;
    await vi.waitFor(() => expect(replica.replicator.lastTxid).toBe(1n), SOON); // and the clock stands still
    for (let n = 1; n <= 3; n += 1) {
      await replica.app.commit();
      await comesTo(BigInt(n + 1), { replica, clock });
    }
    for (let n = 1; n < captures.length; n += 1) {
      expect((captures[n] ?? 0) - (captures[n - 1] ?? 0)).toBeGreaterThanOrEqual(SYNC_INTERVAL_MS);
    }
    expect(captures).toHaveLength(4);
    expect(await replica.judge()).toEqual({ n: 3 });
  });

  it("captures less often while the replica is away, and at once when it answers again", async () => {
    const clock = createManualClock();
    const state = { away: false };
    const wrap = (store: ObjectStore): ObjectStore => ({
      ...store,
      put: (key, body, options) => (state.away ? Promise.reject(new Error("no route")) : store.put(key, body, options)),
    });
    await using running = await following({ clock, wrap });
    const { replica, follower } = running;
    await comesTo(1n, { replica, clock });
    state.away = true;
    const captureAfter = async (ms: number) => {
      await replica.app.commit();
      const { captured } = replica.replicator;
      const sinceMs = clock.monotonic();
      while (replica.replicator.captured === captured) {
        if (clock.monotonic() - sinceMs > ms) return "later";
        clock.advance(SYNC_INTERVAL_MS / 10);
        await new Promise((resolve) => setTimeout(resolve, 5)); // the capture itself takes real time
      }
      return "by then";
    };
    expect(await captureAfter(2 * SYNC_INTERVAL_MS)).toBe("by then");
    await vi.waitFor(() => {
      clock.advance(STEP_MS);
      expect(follower.trouble?.message).toBe("no route");
    }, SOON);
    clock.advance(400_000);
    expect(await captureAfter(5 * SYNC_INTERVAL_MS)).toBe("by then"); // what had been committed before
    expect(await captureAfter(5 * SYNC_INTERVAL_MS)).toBe("later");
    const last = await replica.app.commit();
    state.away = false;
    const { lastTxid, captured } = replica.replicator;
    await vi.waitFor(() => {
      if (replica.replicator.lastTxid === lastTxid) clock.advance(STEP_MS); // to the next try, long before the next capture
      expect(replica.replicator.lastTxid).toBeGreaterThan(lastTxid);
    }, SOON);
    await vi.waitFor(() => expect(replica.replicator.captured).toBe(captured + 1n), SOON); // and the clock stands still
    await comesTo(captured + 1n, { replica, clock });
    expect(await replica.judge()).toEqual({ n: last });
  });

  it("keeps the interval between two uploads, also where somebody else has captured", async () => {
    const clock = createManualClock();
    const uploads: number[] = [];
    const wrap = (store: ObjectStore): ObjectStore => ({
      ...store,
      put(key, body, options) {
        if (key.startsWith("ltx/0/")) uploads.push(clock.monotonic());
        return store.put(key, body, options);
      },
    });
    await using running = await following({ clock, wrap });
    const { replica } = running;
    await vi.waitFor(() => expect(replica.replicator.lastTxid).toBe(1n), SOON); // and the clock stands still
    await replica.app.commit();
    await replica.capture();
    running.follower.news();
    expect(await replica.judge()).toEqual({ n: 0 });
    await comesTo(2n, { replica, clock });
    const [first = 0, second = 0] = uploads;
    expect(second - first).toBeGreaterThanOrEqual(SYNC_INTERVAL_MS);
  });

  it("hurries when it is told to", async () => {
    const clock = createManualClock();
    await using running = await following({ clock });
    const { replica } = running;
    await replica.app.commit();
    await comesTo(1n, { replica, clock });
    await replica.app.commit();
    await comesTo(2n, { replica, clock });
    await replica.app.commit();
    running.follower.hurry();
    await vi.waitFor(() => expect(replica.replicator.captured).toBe(3n), SOON);
    running.follower.hurry();
    await vi.waitFor(() => expect(replica.replicator.lastTxid).toBe(3n), SOON);
  });

  it("captures ahead of the interval where the log grows fast", async () => {
    const clock = createManualClock();
    let begunMs = 0;
    const at = (label: string) => {
      if (label === "reader begun") begunMs = clock.monotonic();
    };
    await using running = await following({ clock, at });
    const { replica } = running;
    await vi.waitFor(() => expect(replica.replicator.lastTxid).toBe(1n), SOON); // and the clock stands still
    const sinceMs = begunMs;
    await replica.app.commit(12, { payloadBytes: 900_000, keep: 1 });
    await vi.waitFor(() => {
      if (begunMs === sinceMs) clock.advance(STEP_MS);
      expect(replica.replicator.captured).toBeGreaterThan(1n);
    }, SOON);
    expect(begunMs - sinceMs).toBeLessThan(SYNC_INTERVAL_MS);
    expect(await replica.judge()).toEqual({ n: 0 });
  });

  it("tries again and again while the store is away, up to every five seconds, and tells of it", async () => {
    const clock = createManualClock();
    let away = true;
    const wrap = (store: ObjectStore): ObjectStore => ({
      ...store,
      put: (key, body, options) => (away ? Promise.reject(new Error("no route")) : store.put(key, body, options)),
    });
    await using running = await following({ clock, wrap });
    const { replica, events } = running;
    const warnings = () => events.filter(({ level }) => level === "warn").map(({ text }) => text);
    for (const [i, seconds] of [1, 2, 4, 5, 5].entries()) {
      await vi.waitFor(() => expect(warnings()).toHaveLength(i + 1), SOON);
      expect(warnings()[i]).toBe(`not replicated, next try in ${seconds} s: no route`);
      if (i === 3) await replica.app.commit(3);
      await vi.waitFor(() => {
        clock.advance(500);
        expect(warnings().length).toBeGreaterThan(i + 1);
      }, SOON);
    }
    expect(replica.replicator.captured).toBeGreaterThan(1n); // the log was not waiting for the store
    away = false;
    await vi.waitFor(() => {
      clock.advance(500);
      expect(events.at(-1)?.text).toMatch(/answers again, after \d+ failed tries/);
    }, SOON);
    await vi.waitFor(async () => {
      clock.advance(500); // the last of the commits may have been captured for itself
      expect(await replica.judge()).toEqual({ n: 3 });
    }, SOON);
  });

  it("goes on by itself where the volume was full for a moment, and everything had been uploaded", async () => {
    const clock = createManualClock();
    let isFull = false;
    const wrapLocal = (store: ObjectStore): ObjectStore => ({
      ...store,
      put: (key, body, options) =>
        isFull ? Promise.reject(Object.assign(new Error("ENOSPC"), { code: "ENOSPC" })) : store.put(key, body, options),
    });
    await using running = await following({ clock, wrapLocal });
    const { replica } = running;
    await comesTo(1n, { replica, clock });
    isFull = true;
    await replica.app.commit();
    await vi.waitFor(() => {
      clock.advance(STEP_MS);
      expect(replica.replicator.isBehind).toBe(true);
    }, SOON);
    isFull = false;
    await comesTo(2n, { replica, clock });
    expect(await replica.judge()).toEqual({ n: 1 });
  });

  it("ends when it is told to, and when an upload is broken off", async () => {
    const uploading = Promise.withResolvers<void>();
    const wrap = (store: ObjectStore): ObjectStore => ({
      ...store,
      put: (key, body, options) => {
        if (!key.startsWith("ltx/")) return store.put(key, body, options);
        uploading.resolve();
        return new Promise((_, reject) =>
          options.signal.addEventListener("abort", () => reject(options.signal.reason)),
        );
      },
    });
    {
      await using idle = await following();
      idle.stop.abort();
      await idle.ended;
    }
    await using stuck = await following({ wrap });
    await uploading.promise;
    stuck.breakOff.abort();
    await stuck.ended;
    expect(stuck.events.filter(({ level }) => level === "warn")).toEqual([]);
  });

  it("fails where the database was replaced by another file", async () => {
    const clock = createManualClock();
    await using running = await following({ clock });
    const { path } = running.replica;
    await comesTo(1n, { replica: running.replica, clock });
    execFileSync("cp", [path, `${path}.copy`]);
    renameSync(`${path}.copy`, path);
    running.follower.hurry();
    await expect(running.ended).rejects.toThrow(/"\S+app\.db": it was replaced by another file/);
  });
});

describe("captureInterval", () => {
  it("is the one that was told, or an eighth of the time that the replica is away, and a minute at most", () => {
    const intervals = [0, 4000, 8000, 60_000, 480_000, 86_400_000].map((awayMs) => captureInterval(1000, awayMs));
    expect(intervals).toEqual([1000, 1000, 1000, 7500, 60_000, 60_000]);
    expect(captureInterval(90_000, 86_400_000)).toBe(90_000);
  });
});

describe("backoff", () => {
  it("doubles from one second to half a minute, and spreads by a quarter", () => {
    const waits = (unit: number) => [1, 2, 5, 6, 7, 100].map((n) => backoff(n, { ...systemRandom, unit: () => unit }));
    expect(waits(0.5)).toEqual([1000, 2000, 16_000, 30_000, 30_000, 30_000]);
    expect(waits(0)).toEqual([750, 1500, 12_000, 22_500, 22_500, 22_500]);
    expect(Math.max(...waits(0.999_999))).toBeLessThan(37_500);
  });
});
