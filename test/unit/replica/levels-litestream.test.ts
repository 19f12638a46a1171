// Levels that flysqlite keeps, read and gone on with by Litestream itself.

import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { DEFAULT_LEVELS } from "../../../src/base/level-settings.ts";
import { createCatalog } from "../../../src/replica/catalog.ts";
import { type Compaction, createCompactor } from "../../../src/replica/compact.ts";
import { formatLtxName } from "../../../src/replica/ltx/names.ts";
import { planRestore } from "../../../src/replica/ltx/plan.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import { restoreTo } from "../../../src/replica/restore-to.ts";
import { expireHistory, expireUploads } from "../../../src/replica/retention.ts";
import { installedDriver } from "../../support/driver.ts";
import { restoreByLitestream, skipReason, startLitestream } from "../../support/litestream.ts";
import { listFiles, restoreLatest } from "../../support/replica.ts";
import { judge } from "../../support/workload.ts";
import { never, type Replicated, rangesAt, replicated } from "./support.ts";

const driver = await installedDriver();

/** Compacts into a level what a listing shows. */
async function compact({ store }: Replicated, level: number): Promise<Compaction> {
  const compactor = createCompactor({
    catalog: createCatalog(await listFiles(store)),
    store,
    local: undefined,
    guard: async () => {},
    log: () => {},
    at: () => {},
  });
  return compactor.compact({ level, signal: never });
}

/** Deletes what retention would delete so many hours from now. */
async function expire({ store }: Replicated, hours: number): Promise<number> {
  const catalog = createCatalog(await listFiles(store));
  const options = { settings: DEFAULT_LEVELS, nowMs: Date.now() + hours * 3_600_000 };
  const batches = [...expireUploads(catalog, options), ...expireHistory(catalog, options)];
  for (const batch of batches) {
    await store.deleteMany(
      batch.map(({ key }) => key),
      { signal: never },
    );
  }
  return batches.flat().length;
}

/** A busy time, with compactions into all levels, and with a copy of the whole database where it begins anew. */
async function live(replica: Replicated, rounds: number): Promise<void> {
  const { app } = replica;
  for (let round = 1; round <= rounds; round += 1) {
    await app.commit(4, { payloadBytes: 3000, keep: round % 7 === 0 ? 0 : 40 });
    if (round % 9 === 0) await app.exec("VACUUM");
    await replica.sync();
    if (round % 3 === 0) await compact(replica, 1);
    if (round % 8 === 0) await compact(replica, 2);
    if (round % 16 === 0) await compact(replica, 3);
  }
}

/** A new start after which the whole database is copied, to level 0 and as a snapshot. */
async function copyAnew(replica: Replicated): Promise<void> {
  await replica.restart(async () => {
    await replica.app.checkpoint("TRUNCATE");
    await replica.app.commit();
  });
  await replica.sync();
}

async function expectSameRestore(replica: Replicated, expected: number): Promise<void> {
  const [theirs, ours] = ["theirs.db", "ours.db"].map((name) => join(replica.directory, name)) as [string, string];
  for (const path of [theirs, ours]) rmSync(path, { force: true });
  await restoreByLitestream(join(replica.directory, "replica"), theirs);
  await restoreLatest({ store: replica.store, driver, target: ours });
  expect(readFileSync(theirs)).toEqual(readFileSync(ours));
  expect(judge(theirs)).toEqual({ n: expected });
}

/** Lets Litestream go on with the replica until it has compacted what is new through all levels. */
async function takeOver(replica: Replicated): Promise<number> {
  replica.letGo();
  const before = (await listFiles(replica.store)).reduce((last, { max }) => (max > last ? max : last), toTxid(0n));
  let last = 0;
  {
    await using litestream = await startLitestream({
      directory: replica.directory,
      database: replica.path,
      replica: join(replica.directory, "replica"),
    });
    await vi.waitFor(
      async () => {
        last = await replica.app.commit();
        const files = await listFiles(replica.store);
        for (const level of [1, 2, 3]) {
          const reached = files.filter((file) => file.level === level).at(-1)?.max;
          expect(reached).toBeGreaterThan(before + 2n);
        }
      },
      { timeout: 25_000, interval: 300 },
    );
    expect(litestream.complaints()).toEqual([]);
  }
  return last;
}

const why = skipReason === undefined ? "" : ` (skipped: ${skipReason})`;

describe.skipIf(skipReason !== undefined)(`Litestream 0.5, given levels that flysqlite keeps${why}`, () => {
  it("restores what was compacted and retained, and goes on with it through all levels", async () => {
    await using replica = await replicated(driver, { pageSize: 1024 });
    await live(replica, 20);
    await copyAnew(replica);
    await live(replica, 20);
    expect(await expire(replica, 1)).toBeGreaterThan(20);
    expect(await rangesAt(replica.store, 0)).not.toContain("2-2");
    for (const level of [1, 2, 3]) expect((await rangesAt(replica.store, level)).length).toBeGreaterThan(1);
    const last = await replica.app.commit();
    await replica.sync();
    await expectSameRestore(replica, last);

    const files = await listFiles(replica.store);
    for (const { max: txid } of files.filter(({ level }) => level === 1)) {
      const [theirs, ours] = ["theirs.db", "ours.db"].map((name) => join(replica.directory, `${txid}-${name}`)) as [
        string,
        string,
      ];
      await restoreByLitestream(join(replica.directory, "replica"), theirs, { txid });
      const plan = { format: "ltx", files: planRestore(files, { kind: "txid", txid }) } as const;
      const common = {
        store: replica.store,
        driver,
        clock: { now: () => 0 },
        signal: never,
        integrity: "none",
      } as const;
      await restoreTo({ ...common, plan, target: ours });
      expect(readFileSync(theirs)).toEqual(readFileSync(ours));
    }

    await expectSameRestore(replica, last);
    const later = await takeOver(replica);
    await expectSameRestore(replica, later);
  }, 90_000);

  it("restores and goes on where a lost file was bridged", async () => {
    await using replica = await replicated(driver, { pageSize: 512 });
    await live(replica, 10); // into level 1 up to 9 rounds
    for (let round = 0; round < 5; round += 1) {
      await replica.app.commit(2);
      await replica.sync();
    }
    const lost = replica.replicator.lastTxid - 2n;
    const key = `ltx/0/${formatLtxName({ min: toTxid(lost), max: toTxid(lost) })}`;
    await replica.store.delete(key, { signal: never });
    expect(await compact(replica, 1)).toMatchObject({ hole: { first: lost, last: lost } });
    await copyAnew(replica);
    expect(await compact(replica, 1)).toMatchObject({ hole: undefined });
    for (const level of [2, 3]) await compact(replica, level);
    const last = await replica.app.commit();
    await replica.sync();
    await compact(replica, 1);
    await expire(replica, 1);
    await expectSameRestore(replica, last);
    // Without the snapshot that made the bridge: it is as good.
    const files = await listFiles(replica.store);
    for (const { level, min, key } of files) {
      if (level === 9 && min === 1n && key !== files.find((file) => file.level === 9)?.key) {
        await replica.store.delete(key, { signal: never });
      }
    }
    await expectSameRestore(replica, last);
    const later = await takeOver(replica);
    await expectSameRestore(replica, later);
  }, 90_000);

  it("complains of a lost file that nothing bridged: so the tests above would notice one", async () => {
    await using replica = await replicated(driver, { pageSize: 512 });
    for (let round = 0; round < 6; round += 1) {
      await replica.app.commit();
      await replica.sync();
    }
    const lost = { min: toTxid(4n), max: toTxid(4n) };
    await replica.store.delete(`ltx/0/${formatLtxName(lost)}`, { signal: never });
    replica.letGo();
    const places = {
      directory: replica.directory,
      database: replica.path,
      replica: join(replica.directory, "replica"),
    };
    await using litestream = await startLitestream(places);
    await vi.waitFor(
      async () => {
        await replica.app.commit();
        expect(litestream.complaints().join("\n")).toContain("non-contiguous transaction ids");
      },
      { timeout: 25_000, interval: 300 },
    );
  }, 60_000);
});
