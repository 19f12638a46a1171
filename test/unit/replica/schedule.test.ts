import { describe, expect, it } from "vitest";
import { DEFAULT_LEVELS, type LevelSettings } from "../../../src/base/level-settings.ts";
import { createCatalog } from "../../../src/replica/catalog.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import { boundaryBefore, type Hole, schedule, type Task, taskName } from "../../../src/replica/schedule.ts";
import { listing } from "../../support/listing.ts";

const NOON = Date.UTC(2026, 10, 26, 12);
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** What is to be done, each with the time until then in seconds; holes as [level, last transaction]. */
function tasks(
  files: readonly string[],
  {
    nowMs = NOON + 10 * SECOND,
    settings = {},
    done = {},
    holes = [],
  }: {
    readonly nowMs?: number;
    readonly settings?: Partial<LevelSettings>;
    /** How long before now each task was done, in milliseconds. */
    readonly done?: Readonly<Record<string, number>>;
    readonly holes?: readonly (readonly [number, number])[];
  } = {},
) {
  const catalog = createCatalog(listing(...files));
  const all = { ...DEFAULT_LEVELS, ...settings };
  const intervals: Record<string, number> = {
    "level 1": 30 * SECOND,
    "level 2": 5 * MINUTE,
    "level 3": HOUR,
    snapshot: 24 * HOUR,
    uploads: 15 * SECOND,
    history: HOUR,
  };
  const found = schedule({
    catalog,
    settings: all,
    done: new Map(
      Object.entries(done).map(([name, ago]) => [name, boundaryBefore(nowMs - ago, intervals[name] ?? Number.NaN)]),
    ),
    holes: holes.map(([level, last]): Hole => ({ level, last: toTxid(BigInt(last)) })),
    snapshot: catalog.snapshots().at(-1),
    nowMs,
  });
  return Object.fromEntries(found.map(({ task, atMs }) => [taskName(task), (atMs - nowMs) / SECOND]));
}

/** A file as listing() takes it, so many milliseconds ago. */
const at = (name: string, agoMs: number, nowMs = NOON + 10 * SECOND) => `${name}@${nowMs - agoMs}`;

describe("schedule", () => {
  it("has nothing to do for an empty replica, and for one in which all levels have all", () => {
    expect(tasks([])).toEqual({});
    expect(tasks(["9/1-5", "0/5-5", "1/2-5", "2/2-5", "3/2-5"])).toEqual({});
    expect(tasks(["9/1-1", "0/1-1"])).toEqual({}); // the snapshot is the same
  });

  it("compacts what is new into a level at the next multiple of its interval", () => {
    const files = ["9/1-9", at("0/9-9", 9 * SECOND), at("1/8-8", 9 * SECOND), at("2/7-7", 9 * SECOND), "3/2-6"];
    expect(tasks(files)).toEqual({ "level 1": 20, "level 2": 290, "level 3": 3590 });
    const older = ["9/1-9", at("0/9-9", 11 * SECOND), at("1/8-8", 311 * SECOND), at("2/7-7", HOUR), "3/2-6"];
    expect(tasks(older)).toEqual({ "level 1": 0, "level 2": 0, "level 3": 0 });
  });

  it("goes by the oldest of what is new", () => {
    const files = ["9/1-9", at("0/8-8", 11 * SECOND), at("0/9-9", SECOND), "1/2-7", "2/2-7", "3/2-7"];
    expect(tasks(files)).toEqual({ "level 1": 0 });
  });

  it("compacts once in each interval, whatever comes late for it", () => {
    const files = ["9/1-9", at("0/9-9", 11 * SECOND), at("1/8-8", 9 * SECOND), "2/2-8", "3/2-8"];
    expect(tasks(files, { done: { "level 1": 5 * SECOND } })).toEqual({ "level 1": 20 });
    expect(tasks(files, { done: { "level 1": 15 * SECOND } })).toEqual({ "level 1": 0 });
  });

  it("is not held up by a file of the future: then a clock is or was wrong", () => {
    expect(tasks(["9/1-9", at("0/9-9", -HOUR), "1/2-8", "2/2-8", "3/2-8"])).toEqual({ "level 1": 20 });
  });

  it("follows a wall clock that is set back", () => {
    const files = ["9/1-9", at("0/9-9", MINUTE), "1/2-8", "2/2-8", "3/2-8"];
    expect(tasks(files, { done: { "level 1": -3 * HOUR } })).toEqual({ "level 1": 0 });
  });

  it("compacts lower levels first, so that what is new goes all the way up", () => {
    const files = ["9/1-9", "0/9-9", "1/2-8", "2/2-6", "3/2-4"];
    expect(Object.keys(tasks(files, { nowMs: NOON }))).toEqual(["level 1", "level 2", "level 3"]);
  });

  it("counts for a level what the levels above it hold", () => {
    expect(tasks(["9/1-9", "0/9-9", "2/2-9", "3/2-9"])).toEqual({});
  });

  it("has as many levels as it is told", () => {
    const files = ["9/1-9", "0/9-9", "1/2-8", "2/2-6", "3/2-4", "4/2-3"];
    expect(Object.keys(tasks(files, { settings: { intervalsMs: [MINUTE] } }))).toEqual(["level 1"]);
    const five = ["level 1", "level 2", "level 3", "level 4", "level 5"];
    expect(Object.keys(tasks(files, { settings: { intervalsMs: [1, 2, 3, 4, 5] } }))).toEqual(five);
  });

  it("takes a snapshot at midnight (UTC), where there is something new", () => {
    const files = (agoMs: number) => ["9/1-8", at("0/9-9", agoMs), "1/2-9", "2/2-9", "3/2-9"];
    expect(tasks(files(HOUR))).toEqual({ snapshot: 12 * 3600 - 10 });
    expect(tasks(files(13 * HOUR))).toEqual({ snapshot: 0 });
    expect(tasks(files(13 * HOUR), { done: { snapshot: HOUR } })).toEqual({ snapshot: 12 * 3600 - 10 });
    expect(tasks(["9/1-9", "0/9-9", "1/2-9", "2/2-9", "3/2-9"])).toEqual({});
  });

  it("takes a snapshot at once where there is none", () => {
    expect(tasks([at("0/9-9", SECOND), "1/1-9", "2/1-9", "3/1-9"])).toEqual({ snapshot: 0 });
  });

  it("answers a hole with a snapshot, and compacts into that level when it is there", () => {
    const files = ["0/8-8", "0/9-9", "1/2-5", "2/2-5", "3/2-5"];
    expect(tasks(["9/1-5", ...files], { holes: [[1, 7]] })).toEqual({ snapshot: 0 });
    expect(tasks(["9/1-7", ...files], { holes: [[1, 7]] })).toMatchObject({ "level 1": 0 });
    expect(tasks(["9/1-7", ...files], { holes: [[1, 7]], done: { "level 1": 1 } })).toMatchObject({ "level 1": 0 });
    expect(tasks(["9/1-5", "0/9-9", "1/2-9", "2/2-9", "3/2-9"], { holes: [[0, 9]] })).toEqual({ snapshot: 0 });
  });

  it("looks for old uploads where level 1 holds some that are not the newest", () => {
    const done = { "level 1": 1, snapshot: 1, uploads: SECOND };
    expect(tasks(["9/1-9", "0/8-8", "0/9-9", "1/2-8", "2/2-8", "3/2-8"], { done })).toMatchObject({ uploads: 5 });
    expect(tasks(["9/1-9", "0/8-8", "0/9-9", "1/2-7", "2/2-7", "3/2-7"], { done })).not.toHaveProperty("uploads");
    expect(tasks(["9/1-9", "0/9-9", "1/2-9", "2/2-9", "3/2-9"], { done })).toEqual({});
    const forever = { uploadRetentionMs: 0 };
    expect(tasks(["9/1-9", "0/8-8", "0/9-9", "1/2-9", "2/2-9", "3/2-9"], { settings: forever })).toEqual({});
  });

  it("looks for old history once an hour, where there is more than one snapshot", () => {
    const files = ["9/1-7", "9/1-9", "0/9-9", "1/2-9", "2/2-9", "3/2-9"];
    expect(tasks(files)).toEqual({ history: 0 });
    expect(tasks(files, { done: { history: SECOND } })).toEqual({ history: 3590 });
    expect(tasks(files, { settings: { deletes: false } })).toEqual({});
  });
});

describe("boundaryBefore", () => {
  it.each([
    ["30 s", 30 * SECOND, NOON + 44 * SECOND, NOON + 30 * SECOND],
    ["an hour", HOUR, NOON + HOUR - 1, NOON],
    ["a day", 24 * HOUR, NOON, NOON - 12 * HOUR],
    ["a multiple itself", HOUR, NOON, NOON],
    ["7 days: since Go's zero time, which is a Monday", 7 * 24 * HOUR, NOON, Date.UTC(2026, 10, 23)],
  ])("counts as Litestream does: %s", (_, intervalMs, nowMs, expected) => {
    expect(boundaryBefore(nowMs, intervalMs)).toBe(expected);
  });
});

describe("taskName", () => {
  it("tells tasks apart", () => {
    const all: Task[] = [
      { kind: "compact", level: 1 },
      { kind: "compact", level: 2 },
      { kind: "snapshot", reason: "" },
      { kind: "expire", what: "uploads" },
      { kind: "expire", what: "history" },
    ];
    expect(new Set(all.map(taskName)).size).toBe(all.length);
  });
});
