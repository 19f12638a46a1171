import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { FlysqliteError } from "../../../src/base/errors.ts";
import type { Event } from "../../../src/base/events.ts";
import { DEFAULT_LEVELS, type LevelSettings } from "../../../src/base/level-settings.ts";
import { systemRandom } from "../../../src/base/system.ts";
import { createCatalog } from "../../../src/replica/catalog.ts";
import { createCompactor } from "../../../src/replica/compact.ts";
import { createLevelKeeper } from "../../../src/replica/keep-levels.ts";
import type { Guard } from "../../../src/replica/lease/hold.ts";
import { formatTxid, NO_TXID, type Txid, toTxid } from "../../../src/replica/ltx/txid.ts";
import { boundaryBefore, taskName } from "../../../src/replica/schedule.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { createHistory, type History, restoredState } from "../../support/history.ts";
import { short } from "../../support/listing.ts";
import { createManualClock, type ManualClock } from "../../support/manual-clock.ts";
import { createMemoryStore, type MemoryStore } from "../../support/memory-store.ts";
import { listFiles } from "../../support/replica.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

type Failing = {
  /** By the name of a store's method: what it fails with, as long as it stands there. */
  [method in "get" | "put" | "deleteMany"]?: Error;
};

/** A keeper at work, on a clock that a test moves. It begins at midnight, with a transaction and a snapshot. */
async function keeping({
  settings = {},
  guard = async () => {},
  prepare = async () => {},
  copiedAt = NO_TXID,
  after,
}: {
  readonly settings?: Partial<LevelSettings>;
  readonly guard?: Guard;
  /** What happens before the start. */
  readonly prepare?: (history: History, store: MemoryStore) => Promise<void>;
  /** The transaction that was a copy of the whole database. */
  readonly copiedAt?: Txid;
  /** The keeper that was there before, of which only the replica is left. */
  readonly after?: { readonly clock: ManualClock; readonly store: MemoryStore; readonly history: History };
} = {}) {
  const clock = after?.clock ?? createManualClock();
  if (after === undefined) clock.advance(boundaryBefore(Date.UTC(2026, 10, 26), DAY) - clock.now());
  const store = after?.store ?? createMemoryStore();
  const history = after?.history ?? createHistory(store, { now: clock.now });
  if (after === undefined) {
    await history.upload();
    await history.snapshot();
    await prepare(history, store);
  }
  const catalog = after === undefined ? history.catalog : createCatalog(await listFiles(store));
  const requests: string[] = [];
  const failing: Failing = {};
  const watched: ObjectStore = {
    ...store,
    list: () => Promise.reject(new Error("a list costs")),
    get: (key, options) => {
      requests.push(`get ${key.split("/")[1]}`);
      return failing.get === undefined ? store.get(key, options) : Promise.reject(failing.get);
    },
    put: (key, body, options) => {
      requests.push(`put ${key.split("/")[1]}`);
      return failing.put === undefined ? store.put(key, body, options) : Promise.reject(failing.put);
    },
    deleteMany: (keys, options) => {
      requests.push(`delete ${keys.length}`);
      return failing.deleteMany === undefined ? store.deleteMany(keys, options) : Promise.reject(failing.deleteMany);
    },
  };
  const events: Event[] = [];
  const labels: string[] = [];
  const stop = new AbortController();
  const snapshots = { reasons: [] as string[], failure: undefined as Error | undefined, isUpToDate: false };
  const log = (event: Event) => void events.push(event);
  const at = (label: string) => void labels.push(label);
  const compactor = createCompactor({ catalog, store: watched, local: undefined, guard, log, at });
  const keeper = createLevelKeeper({
    catalog,
    compactor,
    store: watched,
    settings: { ...DEFAULT_LEVELS, ...settings },
    copiedAt: () => copiedAt,
    async snapshot({ reason }) {
      snapshots.reasons.push(reason);
      if (snapshots.failure !== undefined) throw snapshots.failure;
      if (!snapshots.isUpToDate) await history.snapshot();
    },
    guard,
    clock,
    random: { ...systemRandom, unit: () => 0.5 },
    log,
    at,
  });
  const ended = keeper.run({ signal: stop.signal });
  ended.catch(() => {}); // whoever cares awaits it
  return {
    clock,
    store,
    history,
    keeper,
    requests,
    failing,
    events,
    labels,
    snapshots,
    stop,
    ended,
    /** Lets the time pass, in steps to whatever is due, and lets all be done that becomes due. */
    async pass(ms: number): Promise<void> {
      const untilMs = clock.now() + ms;
      for (;;) {
        await settled();
        const next = Math.min(untilMs - clock.now(), ...clock.sleepers());
        if (next <= 0 && clock.now() >= untilMs) return;
        clock.advance(Math.max(next, 0));
      }
    },
    files: async (level: number) => (await listFiles(store)).filter((file) => file.level === level).map(short),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended.catch(() => {});
    },
  };
}

/** All that waits for nothing but promises is done when a turn of the event loop has passed. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await setImmediate();
}

describe("a level keeper", () => {
  it("compacts each level at its time, of what came since", async () => {
    await using running = await keeping();
    const { history, files, pass } = running;
    await pass(10 * SECOND);
    await history.upload(3);
    await pass(19 * SECOND);
    expect(await files(1)).toEqual([]);
    await pass(11 * SECOND);
    expect(await files(1)).toEqual(["1/2-4"]);
    await history.upload(3);
    await pass(19 * SECOND);
    expect(await files(1)).toEqual(["1/2-4"]);
    await pass(SECOND);
    expect(await files(1)).toEqual(["1/2-4", "1/5-7"]);
    expect(await files(2)).toEqual([]);
    await pass(4 * MINUTE);
    expect(await files(2)).toEqual(["2/2-7"]);
    await pass(HOUR);
    expect(await files(3)).toEqual(["3/2-7"]);
    expect(await restoredState(running.store)).toEqual(history.stateAt(history.last));
  });

  it("asks the store of an idle database for nothing, for days", async () => {
    await using running = await keeping();
    const { history, requests, pass } = running;
    await history.upload(5);
    await pass(2 * DAY);
    expect(running.snapshots.reasons).toHaveLength(1);
    requests.length = 0;
    await pass(30 * DAY);
    expect(requests).toEqual([]);
    expect(running.snapshots.reasons).toHaveLength(1);
    expect(running.events.filter(({ level }) => level === "warn")).toEqual([]);
  });

  it("sleeps without a timer where nothing is to be done", async () => {
    await using running = await keeping();
    await settled();
    expect(running.clock.sleepers()).toEqual([]);
    expect(running.keeper.upcoming()).toEqual([]);
  });

  it("tells what comes next, and when", async () => {
    await using running = await keeping();
    const { history, clock, keeper, pass } = running;
    await history.upload(2);
    await pass(40 * SECOND);
    await history.upload();
    const soon = keeper.upcoming().map(({ task, atMs }) => [taskName(task), (atMs - clock.now()) / SECOND]);
    expect(soon).toEqual([
      ["uploads", 5],
      ["level 1", 20],
      ["level 2", 260],
      ["snapshot", 86_360],
    ]);
  });

  it("takes a snapshot a day, where something was committed", async () => {
    await using running = await keeping();
    const { history, snapshots, pass } = running;
    await pass(HOUR);
    await history.upload();
    await pass(22 * HOUR);
    expect(snapshots.reasons).toEqual([]);
    await pass(HOUR);
    expect(snapshots.reasons).toEqual(["it is time for it"]);
    await pass(DAY);
    await history.upload();
    await pass(DAY);
    expect(snapshots.reasons).toHaveLength(2);
  });

  it("deletes what is no longer needed, and never what is", async () => {
    await using running = await keeping();
    const { history, store, files, pass } = running;
    for (let hour = 0; hour < 80; hour += 1) {
      for (let i = 0; i < 4; i += 1) {
        await history.upload();
        await pass(15 * MINUTE);
        expect(await restoredState(store)).toEqual(history.stateAt(history.last));
      }
    }
    expect(await files(0)).toEqual([`0/${history.last}-${history.last}`]);
    expect((await files(9)).length).toBe(2);
    const oldest = history.catalog.snapshots()[0]?.max ?? toTxid(0n);
    for (const level of [1, 2, 3]) expect(history.catalog.files(level)[0]?.max).toBeGreaterThanOrEqual(oldest);
    // A day's points are there: each end of a file of level 1 from the older snapshot on.
    for (const { max } of history.catalog.files(1).slice(-90)) {
      expect(await restoredState(store, { kind: "txid", txid: max })).toEqual(history.stateAt(max));
    }
  });

  it("deletes nothing where it is told not to, and doesn't remember what it never deletes", async () => {
    await using running = await keeping({ settings: { deletes: false } });
    const { history, requests, pass } = running;
    for (let i = 0; i < 200; i += 1) {
      await history.upload();
      await pass(20 * MINUTE);
    }
    expect(requests.filter((request) => request.startsWith("delete"))).toEqual([]);
    expect((await listFiles(running.store)).length).toBeGreaterThan(400);
    for (const level of [0, 1, 2, 3, 9]) expect(history.catalog.files(level).length).toBeLessThan(5);
    expect(await restoredState(running.store)).toEqual(history.stateAt(history.last));
  });

  it("asks before each write and each deletion whether it still may", async () => {
    const asked: string[] = [];
    await using running = await keeping({ guard: async () => void asked.push("asked") });
    const { history, requests, pass } = running;
    await history.upload(3);
    await pass(2 * DAY);
    const writes = requests.filter((request) => !request.startsWith("get"));
    expect(writes.length).toBeGreaterThan(3);
    expect(asked.length).toBe(writes.length + running.snapshots.reasons.length);
    expect(running.labels.filter((label) => label === "deleting").length).toBe(
      writes.filter((request) => request.startsWith("delete")).length,
    );
  });

  it("goes on after a start from a listing, without doing anything twice", async () => {
    await using first = await keeping();
    await first.history.upload(3);
    await first.pass(70 * MINUTE);
    first.stop.abort();
    await first.ended;
    expect(await first.files(3)).toEqual(["3/2-4"]);
    await using second = await keeping({ after: first });
    await second.pass(HOUR);
    expect(second.requests).toEqual([]);
  });
});

describe("a level keeper whose store fails", () => {
  it("tries again, ever slower, and goes on when the store is back", async () => {
    await using running = await keeping();
    const { history, failing, clock, events, files, pass } = running;
    await history.upload(3);
    failing.put = new Error("no route");
    await pass(10 * MINUTE);
    const warnings = events.filter(({ level }) => level === "warn").map(({ text }) => text);
    expect(warnings[0]).toBe("not compacted, next try in 1 s: no route");
    expect(warnings[1]).toBe("not compacted, next try in 2 s: no route");
    expect(warnings.at(-1)).toBe("not compacted, next try in 30 s: no route");
    expect(warnings.length).toBeLessThan(30);
    delete failing.put;
    await pass(30 * SECOND);
    expect(await files(1)).toEqual(["1/2-4"]);
    expect(clock.sleepers().length).toBeLessThanOrEqual(2);
  });

  it("takes no snapshot in the meantime either, and tries that again too", async () => {
    await using running = await keeping();
    const { history, snapshots, pass } = running;
    await pass(HOUR);
    await history.upload();
    snapshots.failure = new Error("no route");
    await pass(23 * HOUR + 5 * MINUTE);
    const tries = snapshots.reasons.length;
    expect(tries).toBeGreaterThan(5);
    snapshots.failure = undefined;
    await pass(MINUTE);
    expect(snapshots.reasons.length).toBe(tries + 1);
    expect(history.catalog.snapshots()).toHaveLength(2);
  });

  it("is not hurried where deletions are refused, and says what can be done", async () => {
    await using running = await keeping();
    const { history, failing, events, requests, pass, files } = running;
    await history.upload(3);
    failing.deleteMany = new FlysqliteError("E_REPLICA_DENIED", "Cannot delete: AccessDenied");
    await pass(10 * HOUR);
    const tries = requests.filter((request) => request.startsWith("delete")).length;
    expect(tries).toBeGreaterThan(5);
    expect(tries).toBeLessThan(12);
    expect(events.find(({ level }) => level === "warn")?.text).toBe(
      "nothing deleted, next try in 3600 s: Cannot delete: AccessDenied; `retention: {enabled: false}` in litestream.yml leaves it to the bucket's own rules",
    );
    delete failing.deleteMany;
    await pass(HOUR);
    expect(await files(0)).toEqual(["0/4-4"]);
  });

  it("deletes what a deletion left that ended half way", async () => {
    await using running = await keeping();
    const { history, store, failing, files, pass } = running;
    await history.upload(6);
    failing.deleteMany = new Error("connection reset");
    await pass(5 * MINUTE + 15 * SECOND);
    store.objects.delete(`ltx/0/${formatTxid(toTxid(3n))}-${formatTxid(toTxid(3n))}.ltx`);
    delete failing.deleteMany;
    await pass(MINUTE);
    expect(await files(0)).toEqual(["0/7-7"]);
  });

  it("stops where another writer is proved", async () => {
    await using running = await keeping();
    const { history, store, pass, ended } = running;
    await pass(SECOND);
    await history.upload(3);
    store.objects.set("ltx/1/0000000000000002-0000000000000004.ltx", { bytes: new Uint8Array(10), modifiedMs: 0 });
    await pass(MINUTE);
    await expect(ended).rejects.toMatchObject({ code: "E_DIVERGED" });
  });

  it("ends when it is told to, in the middle of anything", async () => {
    await using running = await keeping();
    const { history, failing, stop, ended } = running;
    await history.upload(3);
    failing.put = new Error("no route");
    stop.abort();
    await ended;
    expect(running.events.filter(({ level }) => level === "warn")).toEqual([]);
  });
});

describe("a level keeper of a replica that lost files", () => {
  const key = (level: number, first: number, last: number) =>
    `ltx/${level}/${formatTxid(toTxid(BigInt(first)))}-${formatTxid(toTxid(BigInt(last)))}.ltx`;

  it("has a snapshot taken, and compacts past the hole", async () => {
    await using running = await keeping();
    const { history, store, snapshots, files, pass } = running;
    await history.upload(3);
    await pass(MINUTE);
    await history.upload(6);
    store.objects.delete(key(0, 7, 7));
    await pass(MINUTE);
    expect(snapshots.reasons).toEqual(["a part of the history is lost"]);
    expect(await restoredState(store)).toEqual(history.stateAt(history.last));
    await history.upload(2);
    await pass(MINUTE);
    expect(await files(1)).toEqual(["1/2-4", "1/5-6", "1/7-10", "1/11-12"]);
    await pass(2 * HOUR);
    expect(await files(3)).toEqual(["3/2-12"]);
    expect(await restoredState(store)).toEqual(history.stateAt(history.last));
  });

  it("has a snapshot taken where it finds the replica so at its start", async () => {
    await using running = await keeping({
      async prepare(history, store) {
        await history.upload(3);
        history.catalog.remove(history.catalog.files(0).filter(({ max }) => max === 3n));
        store.objects.delete(key(0, 3, 3));
      },
    });
    await running.pass(0);
    expect(running.snapshots.reasons).toEqual(["a part of the history is lost"]);
    expect(await restoredState(running.store)).toEqual(running.history.stateAt(running.history.last));
  });

  it("doesn't ask for snapshots for ever where none comes", async () => {
    await using running = await keeping();
    const { history, store, snapshots, pass } = running;
    await history.upload(3);
    await pass(MINUTE);
    await history.upload(6);
    store.objects.delete(key(0, 7, 7));
    snapshots.isUpToDate = true;
    await pass(10 * MINUTE);
    expect(snapshots.reasons.length).toBeGreaterThan(3);
    expect(snapshots.reasons.length).toBeLessThan(30);
  });

  it("asks for the one that a copy of the whole database calls for no more often, where none comes", async () => {
    await using running = await keeping({ copiedAt: toTxid(3n) });
    const { history, snapshots, pass } = running;
    snapshots.isUpToDate = true;
    await history.upload(2);
    await pass(10 * MINUTE);
    expect(snapshots.reasons.length).toBeGreaterThan(3);
    expect(snapshots.reasons.length).toBeLessThan(30);
  });
});
