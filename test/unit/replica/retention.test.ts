import { describe, expect, it } from "vitest";
import { DEFAULT_LEVELS, type LevelSettings } from "../../../src/base/level-settings.ts";
import { type Catalog, createCatalog } from "../../../src/replica/catalog.ts";
import { planMerge, reachedWith } from "../../../src/replica/levels.ts";
import { LEVELS, type LtxFileInfo } from "../../../src/replica/ltx/names.ts";
import { planRestore } from "../../../src/replica/ltx/plan.ts";
import { NO_TXID, type Txid } from "../../../src/replica/ltx/txid.ts";
import { expireHistory, expireUploads, forgettable } from "../../../src/replica/retention.ts";
import { file, listing, short } from "../../support/listing.ts";
import { seededRandom } from "../../support/random.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOW = 1000 * HOUR;

/** Time of a file, so many minutes ago. */
const ago = (minutes: number) => NOW - minutes * MINUTE;

function uploads(files: readonly string[], settings: Partial<LevelSettings> = {}) {
  const options = { settings: { ...DEFAULT_LEVELS, ...settings }, nowMs: NOW };
  return expireUploads(createCatalog(listing(...files)), options).map((batch) => batch.map(short));
}

function history(files: readonly string[], settings: Partial<LevelSettings> = {}) {
  const options = { settings: { ...DEFAULT_LEVELS, ...settings }, nowMs: NOW };
  return expireHistory(createCatalog(listing(...files)), options).map((batch) => batch.map(short));
}

/** Uploads a minute apart, the last one so many minutes ago. */
const everyMinute = (first: number, last: number, lastAgo: number) =>
  Array.from({ length: last - first + 1 }, (_, i) => `0/${first + i}-${first + i}@${ago(lastAgo + last - first - i)}`);

describe("expireUploads", () => {
  it("deletes what is old enough and in level 1, from the newest on", () => {
    const files = ["9/1-1", ...everyMinute(2, 9, 10), "1/2-5", "1/6-8"];
    expect(uploads(files)).toEqual([["0/8-8", "0/7-7", "0/6-6", "0/5-5", "0/4-4", "0/3-3", "0/2-2"]]);
  });

  it("keeps the newest, however old it is and whoever has it", () => {
    expect(uploads(["9/1-1", ...everyMinute(2, 3, 1000), "1/2-3"])).toEqual([["0/2-2"]]);
    expect(uploads(["9/1-1", "0/3-3@0", "1/2-3", "2/2-3", "3/2-3"])).toEqual([]);
  });

  it("keeps what level 1 does not hold", () => {
    expect(uploads(["9/1-1", ...everyMinute(2, 9, 1000)])).toEqual([]);
    expect(uploads(["9/1-1", ...everyMinute(2, 9, 1000), "1/2-4"])).toEqual([["0/4-4", "0/3-3", "0/2-2"]]);
  });

  it("keeps all that one merge holds until the last of it is old enough", () => {
    const files = ["9/1-1", ...everyMinute(2, 9, 1), "1/2-5", "1/6-8"]; // 5 is 5 minutes old
    expect(uploads(files)).toEqual([]);
    const older = ["9/1-1", ...everyMinute(2, 9, 2), "1/2-5", "1/6-8"];
    expect(uploads(older)).toEqual([["0/5-5", "0/4-4", "0/3-3", "0/2-2"]]);
  });

  it("leaves no hole that a restore to a time would find", () => {
    const files = ["9/1-1@0", ...everyMinute(2, 9, 2), `1/2-5@${ago(6)}`, `1/6-8@${ago(3)}`];
    const gone = new Set(uploads(files).flat());
    const left = listing(...files).filter((found) => !gone.has(short(found)));
    for (let minutes = 0; minutes < 9; minutes += 1) {
      expect(() => planRestore(left, { kind: "timestamp", ms: ago(minutes) + 1 })).not.toThrow();
    }
  });

  it("keeps an upload that no merge holds, although level 1 has come farther", () => {
    expect(uploads(["9/1-4", ...everyMinute(2, 9, 100), "1/5-8"])).toEqual([["0/8-8", "0/7-7", "0/6-6", "0/5-5"]]);
  });

  it("deletes the first copy of the database where a snapshot repeats it", () => {
    expect(uploads(["9/1-1", "0/1-1", "0/2-2", "0/3-3", "1/2-3"])).toEqual([["0/2-2", "0/1-1"]]);
  });

  it("deletes nothing from a replica that can't be restored", () => {
    expect(uploads(["9/1-2", ...everyMinute(3, 9, 100), "1/3-8"])).not.toEqual([]);
    expect(uploads(["9/1-1", ...everyMinute(3, 9, 100), "1/3-8"])).toEqual([]);
  });

  it("takes its time from the settings", () => {
    const files = ["9/1-1", ...everyMinute(2, 9, 10), "1/2-5", "1/6-8"];
    expect(uploads(files, { uploadRetentionMs: HOUR })).toEqual([]);
    expect(uploads(files, { uploadRetentionMs: 12 * MINUTE })).toEqual([["0/5-5", "0/4-4", "0/3-3", "0/2-2"]]);
  });
});

describe("expireHistory", () => {
  const day = 24 * 60;

  it("keeps the snapshots of the promised time, the one before them, and an hour more", () => {
    const files = [
      `9/1-10@${ago(5 * day)}`,
      `9/1-20@${ago(4 * day)}`,
      `9/1-30@${ago(3 * day)}`,
      `9/1-40@${ago(day + 61)}`,
      `9/1-50@${ago(61)}`,
      "0/50-50",
    ];
    expect(history(files)).toEqual([["9/1-10", "9/1-20", "9/1-30"]]);
    const sooner = files.map((text) => text.replace(String(ago(day + 61)), String(ago(day + 59))));
    expect(history(sooner)).toEqual([["9/1-10", "9/1-20"]]);
  });

  it("keeps the newest snapshot and the one before it, however old they are", () => {
    expect(history(["9/1-10@0", "9/1-20@0", "0/20-20"])).toEqual([]);
    expect(history(["9/1-10@0", "9/1-20@0", "9/1-30@0", "0/30-30"])).toEqual([["9/1-10"]]);
    expect(history(["9/1-10@0", "0/10-10"])).toEqual([]);
  });

  it("deletes what only snapshots that are gone need, and first what begins a history", () => {
    const files = [
      `9/1-10@${ago(3 * day)}`,
      `9/1-20@${ago(2 * day)}`,
      `9/1-30@${ago(60)}`,
      ...["3/1-8", "3/9-22", "2/1-3", "2/4-8", "2/9-22", "1/2-19", "1/20-20", "1/21-30"],
      "0/30-30",
    ];
    expect(history(files)).toEqual([
      ["9/1-10", "2/1-3", "3/1-8"],
      ["1/2-19", "2/4-8"],
    ]);
  });

  it("keeps the newest file of each level", () => {
    const files = [`9/1-20@${ago(2 * day)}`, `9/1-30@${ago(60)}`, "4/2-5", "3/2-5", "2/2-5", "1/2-5", "0/30-30"];
    expect(history(files)).toEqual([]);
  });

  it("keeps what the level above does not hold yet, so that it finds no hole", () => {
    const files = [`9/1-20@${ago(2 * day)}`, `9/1-30@${ago(60)}`, "1/2-4", "1/5-8", "1/9-30", "2/2-4", "0/30-30"];
    expect(history(files)).toEqual([["1/2-4"]]);
    expect(history(files, { intervalsMs: [1000] })).toEqual([["1/2-4", "1/5-8"]]);
  });

  it("deletes uploads that nothing holds and nothing needs", () => {
    const files = [`9/1-20@${ago(2 * day)}`, `9/1-30@${ago(60)}`, "0/3-3", "0/19-19", "0/30-30", "1/21-30"];
    expect(history(files)).toEqual([["0/3-3", "0/19-19"]]);
    expect(history(files, { uploadRetentionMs: 0 })).toEqual([]);
  });

  it("takes its time from the settings", () => {
    const files = [`9/1-10@${ago(300)}`, `9/1-20@${ago(200)}`, `9/1-30@${ago(100)}`, "0/30-30"];
    expect(history(files)).toEqual([]);
    expect(history(files, { snapshotRetentionMs: HOUR })).toEqual([["9/1-10"]]);
  });

  it("is not misled by a level-9 file that is no copy of the database", () => {
    expect(history(["9/5-10@0", "9/1-20@0", "9/1-30@0", "0/30-30"])).toEqual([]);
  });
});

describe("forgettable", () => {
  const names = (files: readonly string[], settings: Partial<LevelSettings>) =>
    forgettable(createCatalog(listing(...files)), { ...DEFAULT_LEVELS, ...settings }).map(short);
  const FILES = ["0/1-1", "0/2-2", "0/3-3", "1/1-1", "1/2-2", "2/1-1", "2/2-2", "3/1-1", "3/2-2", "9/1-1", "9/1-2"];

  it("is nothing, where what is deleted must be known", () => {
    expect(names(FILES, {})).toEqual([]);
  });

  it("is all that is never deleted and never merged again", () => {
    expect(names(FILES, { deletes: false })).toEqual(["0/1-1", "0/2-2", "1/1-1", "2/1-1", "3/1-1", "9/1-1"]);
    expect(names(["0/1-1", "0/2-2", "1/1-1", "1/2-2"], { deletes: false })).toEqual(["0/1-1"]);
    expect(names(FILES, { uploadRetentionMs: 0 })).toEqual(["0/1-1", "0/2-2"]);
  });

  it("is what is above a bound, where deletions are refused", () => {
    const files = Array.from({ length: 20_010 }, (_, i) => file(0, i + 1, i + 1));
    const found = forgettable(createCatalog([...files, file(1, 1, 20_000)]), DEFAULT_LEVELS);
    expect(found).toEqual(files.slice(0, 10));
  });
});

/** A replica's life at some speed, in its listing alone. */
class Life {
  readonly catalog: Catalog = createCatalog();
  readonly settings: LevelSettings;
  readonly #random: () => number;
  nowMs = NOW;
  #last = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed).unit;
    const upTo = (most: number) => 1 + Math.floor(this.#random() * most);
    this.settings = {
      intervalsMs: [MINUTE, 10 * MINUTE, HOUR].slice(0, upTo(3)),
      snapshotIntervalMs: upTo(30) * HOUR,
      snapshotRetentionMs: upTo(30) * HOUR,
      uploadRetentionMs: upTo(20) * MINUTE,
      uploadRetentionCheckMs: 15_000,
      deletes: true,
    };
  }

  /** True with a probability of one in `odds`. */
  chance(odds: number): boolean {
    return this.#random() * odds < 1;
  }

  /** Some of the files, in some order. */
  some(files: readonly LtxFileInfo[]): readonly LtxFileInfo[] {
    return files.filter(() => this.chance(2));
  }

  /** What happens in some minutes. */
  live(): void {
    this.nowMs += Math.floor(this.#random() * 6 * MINUTE);
    const isFirst = this.#last === 0;
    if (isFirst || this.chance(2)) {
      this.#last += 1;
      this.catalog.add(file(0, this.#last, this.#last, this.nowMs));
    }
    const hasSnapshot = this.catalog.reached(9) === this.catalog.lastTxid;
    if (!hasSnapshot && (isFirst || this.chance(150))) this.catalog.add(file(9, 1, this.#last, this.nowMs));
    for (let level = 1; level <= this.settings.intervalsMs.length; level += 1) {
      if (this.chance(2 * 6 ** (level - 1))) this.#compact(level);
    }
  }

  #compact(level: number): void {
    const found = planMerge({
      files: this.catalog.files(level - 1),
      snapshots: this.catalog.snapshots(),
      reached: reachedWith(level, this.catalog.reached),
      upTo: this.catalog.reached(level - 1),
    });
    if (found.kind !== "merge") {
      expect(found.kind).toBe("nothing");
      return;
    }
    const modifiedMs = found.inputs.at(-1)?.modifiedMs ?? 0;
    this.catalog.add(file(level, Number(found.min), Number(found.max), modifiedMs));
  }

  all(): readonly LtxFileInfo[] {
    return LEVELS.flatMap((level) => this.catalog.files(level));
  }

  /** Of the points that the settings promise (ends of merges and snapshots, and uploads), the oldest and some others. */
  promised(): readonly Txid[] {
    const { snapshotRetentionMs, uploadRetentionMs } = this.settings;
    const points = this.all()
      .filter(({ level, modifiedMs }) => {
        const retentionMs = level === 0 ? Math.min(uploadRetentionMs, snapshotRetentionMs) : snapshotRetentionMs;
        return modifiedMs >= this.nowMs - retentionMs;
      })
      .map(({ max }) => max)
      .sort((a, b) => (a < b ? -1 : 1));
    return points.filter((_, i) => i === 0 || this.chance(points.length / 6));
  }
}

/** Asserts that the newest state can be restored, and points. */
function expectRestorable(files: readonly LtxFileInfo[], last: Txid, points: readonly Txid[]): void {
  expect(planRestore(files, { kind: "latest" }).at(-1)?.max).toBe(last);
  for (const txid of points) expect(planRestore(files, { kind: "txid", txid }).at(-1)?.max).toBe(txid);
}

describe("all deletions of a life", () => {
  it.each(Array.from({ length: 20 }, (_, seed) => seed))(
    "take no promised point, whenever they end half way: seed %d",
    (seed) => {
      const life = new Life(seed);
      const { catalog } = life;
      /** Restores that are under way: what they have planned, and when. */
      let restores: { readonly sinceMs: number; readonly files: readonly LtxFileInfo[] }[] = [];
      let deleted = 0;
      for (let step = 0; step < 1500; step += 1) {
        life.live();
        if (life.chance(20)) {
          const points = life.promised();
          const txid = points[Math.floor(points.length / 2)];
          const target =
            txid === undefined || life.chance(2) ? { kind: "latest" as const } : { kind: "txid" as const, txid };
          const files = planRestore(life.all(), target).filter(({ level }) => level > 0);
          restores.push({ sinceMs: life.nowMs, files });
        }
        if (!life.chance(10)) continue;
        restores = restores.filter(({ sinceMs }) => sinceMs >= life.nowMs - HOUR);
        const options = { settings: life.settings, nowMs: life.nowMs };
        const points = life.promised();
        for (const batch of [...expireUploads(catalog, options), ...expireHistory(catalog, options)]) {
          const half = life.some(batch);
          deleted += half.length;
          catalog.remove(half);
          expectRestorable(life.all(), catalog.lastTxid, points);
          if (life.chance(4)) break; // killed; what is left is found again
          catalog.remove(batch);
          expectRestorable(life.all(), catalog.lastTxid, points);
        }
        expect(catalog.reached(0)).toBe(catalog.lastTxid);
        const there = new Set(life.all().map(({ key }) => key));
        expect(restores.flatMap(({ files }) => files).filter(({ key }) => !there.has(key))).toEqual([]);
      }
      expect(deleted).toBeGreaterThan(50);
    },
  );

  it.each(Array.from({ length: 10 }, (_, seed) => seed))(
    "leave the newest state, also with a clock that jumps by years: seed %d",
    (seed) => {
      const life = new Life(seed);
      const { catalog } = life;
      for (let step = 0; step < 1000; step += 1) {
        if (life.chance(100)) life.nowMs += life.chance(2) ? 10_000 * HOUR : -10_000 * HOUR;
        life.live();
        if (!life.chance(10)) continue;
        const options = { settings: life.settings, nowMs: life.nowMs };
        for (const batch of [...expireUploads(catalog, options), ...expireHistory(catalog, options)]) {
          catalog.remove(life.some(batch));
          expectRestorable(life.all(), catalog.lastTxid, []);
        }
        for (const level of LEVELS) expect(catalog.reached(level)).toBeGreaterThanOrEqual(NO_TXID);
        expect(catalog.reached(0)).toBe(catalog.lastTxid);
      }
    },
  );

  it("keep the number of files bounded", () => {
    const life = new Life(3);
    let most = 0;
    for (let step = 0; step < 10_000; step += 1) {
      life.live();
      if (step % 10 !== 0) continue;
      const options = { settings: life.settings, nowMs: life.nowMs };
      for (const batch of expireUploads(life.catalog, options)) life.catalog.remove(batch);
      for (const batch of expireHistory(life.catalog, options)) life.catalog.remove(batch);
      if (step === 5000) most = life.all().length;
    }
    expect(life.all().length).toBeLessThan(most * 2);
  });
});
