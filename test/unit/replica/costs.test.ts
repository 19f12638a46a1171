// What docs/costs.md says of requests, counted: a day of the level keeper on a clock of the test's own.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { DEFAULT_LEVELS } from "../../../src/base/level-settings.ts";
import { systemRandom } from "../../../src/base/system.ts";
import { createCatalog } from "../../../src/replica/catalog.ts";
import { createCompactor } from "../../../src/replica/compact.ts";
import { createLevelKeeper } from "../../../src/replica/keep-levels.ts";
import { formatLtxName } from "../../../src/replica/ltx/names.ts";
import { FIRST_TXID, NO_TXID, nextTxid } from "../../../src/replica/ltx/txid.ts";
import { boundaryBefore } from "../../../src/replica/schedule.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { createManualClock } from "../../support/manual-clock.ts";
import { createMemoryStore } from "../../support/memory-store.ts";
import { encode, headerWith, pageOf } from "./ltx/support.ts";

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;

/** Requests of a day, as the documentation's table names them. */
type Requests = { put: number; get: number; delete: number; list: number };

type Pace = {
  /** Time between two uploads, in milliseconds; undefined for none. */
  readonly uploadEveryMs: number | undefined;
  /** What is left out at the beginning, and what is counted, in milliseconds. */
  readonly warmUpMs: number;
  readonly countedMs: number;
};

/** Lives for a while, from a midnight on, and counts. */
async function count({ uploadEveryMs, warmUpMs, countedMs }: Pace): Promise<Requests> {
  const clock = createManualClock();
  clock.advance(boundaryBefore(Date.UTC(2026, 10, 26), DAY) + SECOND / 2 - clock.now());
  const store = createMemoryStore();
  const catalog = createCatalog();
  const requests: Requests = { put: 0, get: 0, delete: 0, list: 0 };
  const counted: ObjectStore = {
    ...store,
    list(prefix, options) {
      requests.list += 1;
      return store.list(prefix, options);
    },
    get(key, options) {
      requests.get += 1;
      return store.get(key, options);
    },
    put(key, body, options) {
      requests.put += 1;
      return store.put(key, body, options);
    },
    deleteMany(keys, options) {
      requests.delete += Math.ceil(keys.length / 1000); // as many as S3 takes at a time
      return store.deleteMany(keys, options);
    },
  };

  let last = NO_TXID;
  async function put(level: number): Promise<void> {
    const range = { min: level === 9 ? FIRST_TXID : last, max: last };
    const header = headerWith({ ...range, commit: 2, timestampMs: clock.now() });
    const isWhole = range.min === FIRST_TXID;
    const bytes = encode(header, isWhole ? [pageOf(1, 512), pageOf(2, 512)] : [pageOf(2, 512, Number(last) % 256)]);
    const key = `${store.levelDirectory(level)}/${formatLtxName(range)}`;
    await counted.put(key, [bytes], { signal: stop.signal, modifiedMs: clock.now() });
    catalog.add({ level, ...range, key, sizeBytes: bytes.byteLength, modifiedMs: clock.now() });
  }

  const stop = new AbortController();
  last = nextTxid(last);
  await put(0);
  await put(9);
  const common = { guard: async () => {}, log: () => {}, at: () => {}, copiedAt: () => NO_TXID };
  // As the volume has them: all that level 1 does not hold yet.
  const local = { store, files: () => catalog.files(0).filter(({ max }) => max > catalog.reached(1)) };
  const keeper = createLevelKeeper({
    catalog,
    compactor: createCompactor({ catalog, store: counted, local, ...common }),
    store: counted,
    settings: DEFAULT_LEVELS,
    snapshot: () => put(9),
    clock,
    random: systemRandom,
    ...common,
  });
  const ended = keeper.run({ signal: stop.signal });

  const fromMs = clock.now() + warmUpMs;
  let uploadMs = clock.now() + (uploadEveryMs ?? Number.POSITIVE_INFINITY) / 2;
  while (clock.now() < fromMs + countedMs) {
    await setImmediate(); // all that waits for nothing but promises is done
    const nextMs = Math.min(uploadMs, fromMs + countedMs, ...clock.sleepers().map((ms) => clock.now() + ms));
    if (clock.now() < fromMs && nextMs >= fromMs) Object.assign(requests, { put: 0, get: 0, delete: 0, list: 0 });
    clock.advance(nextMs - clock.now());
    if (clock.now() < uploadMs || uploadEveryMs === undefined) continue;
    last = nextTxid(last);
    await put(0);
    uploadMs += uploadEveryMs;
  }
  stop.abort();
  await ended;
  return requests;
}

/** The row of a table that begins with that cell. */
function documentedCells(name: string): readonly string[] {
  const text = readFileSync(join(import.meta.dirname, "../../../docs/costs.md"), "utf8");
  const row = text.split("\n").find((line) => line.startsWith(`| ${name} `));
  if (row === undefined) throw new Error(`no row "${name}" in docs/costs.md`);
  return row
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}

function documented(name: string): Requests {
  const [, put = 0, get = 0, deleted = 0, list = 0] = documentedCells(name).map((cell) =>
    Number(cell.replaceAll(",", "")),
  );
  return { put, get, delete: deleted, list };
}

describe("the requests of a day, in docs/costs.md", () => {
  it.each([
    ["idle", undefined],
    ["1 commit an hour", HOUR],
    ["1 commit a minute", HOUR / 60],
  ])(
    "are what is counted: %s",
    async (name, uploadEveryMs) => {
      expect(await count({ uploadEveryMs, warmUpMs: DAY, countedMs: DAY })).toEqual(documented(name));
    },
    120_000,
  );

  it("are what is counted: 1 commit a second, as four times a quarter of a day, and the snapshot", async () => {
    const quarter = await count({ uploadEveryMs: SECOND, warmUpMs: HOUR, countedMs: DAY / 4 });
    const all = Object.fromEntries(Object.entries(quarter).map(([name, requests]) => [name, 4 * requests]));
    expect({ ...all, put: 4 * quarter.put + 1 }).toEqual(documented("1 commit a second, or 100"));
  }, 120_000);
});

describe("the bytes of a day, in docs/costs.md", () => {
  const PAGES = 10_000;
  const PAGES_A_COMMIT = 4;
  const PAGE_BYTES = 2000;

  /** How many pages differ in some commits, if each changes any: as many as so many throws of a die show. */
  const different = (commits: number) => PAGES * (1 - Math.exp((-PAGES_A_COMMIT * commits) / PAGES));

  it.each([
    ["1 commit/s", 1],
    ["100 commits/s", 100],
  ])("follow from what they are said to: %s", (name, commitsPerSecond) => {
    const [, ...levels] = documentedCells(name);
    const seconds = [1, 30, 300, 3600];
    const bytes = seconds.map((s) => (86_400 / s) * different(commitsPerSecond * s) * PAGE_BYTES);
    const snapshot = PAGES * PAGE_BYTES;
    const all = bytes.reduce((sum, some) => sum + some, snapshot);
    expect(levels).toEqual([...bytes, snapshot, all].map((some) => `${(some / 1e9).toFixed(2)} GB`));
  });
});
