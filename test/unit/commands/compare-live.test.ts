import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { systemRandom } from "../../../src/base/system.ts";
import { compareWithLive, type Restored } from "../../../src/commands/compare-live.ts";
import { formatState, readState } from "../../../src/replica/state.ts";
import { stateDirectory } from "../../../src/steps/places.ts";
import { openFileStore } from "../../../src/storage/file.ts";
import { type App, startApp } from "../../support/app.ts";
import { installedDriver } from "../../support/driver.ts";
import { restoreLatest } from "../../support/replica.ts";
import { startReplicator } from "../../support/replicator.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { makeDatabase } from "../../support/workload.ts";

const driver = await installedDriver();
const never = new AbortController().signal;

/** A database that an app and a replicator have open, each in a process of its own. */
async function replicated() {
  const directory = temporaryDirectory();
  const path = join(directory.path, "app.db");
  const state = stateDirectory(path);
  mkdirSync(state);
  makeDatabase(path, { pageSize: 1024 });
  const app: App = await startApp(path);
  await app.commit(30, { payloadBytes: 3000, keep: 20 });
  const replica = join(directory.path, "replica");
  const replicator = await startReplicator({ database: path, replica, state });
  const store = openFileStore(replica, { random: systemRandom });
  let restores = 0;
  return {
    path,
    state,
    app,
    store,
    sync: () => replicator.ask("sync"),
    maintain: () => replicator.ask("capture"),
    kill: () => replicator.kill(),
    /** Has the log begun anew, so that most pages stand in the database file alone. */
    async renewLog(): Promise<void> {
      await replicator.ask("sync");
      await replicator.ask("capture"); // moves the replicator's own hold to the log's end
      const { log, checkpointed } = await app.checkpoint("PASSIVE");
      expect(checkpointed).toBe(log);
      await replicator.ask("capture");
      await app.commit(1);
      await replicator.ask("sync");
    },
    /** What a restore of the newest state gives. */
    async restore(): Promise<Restored> {
      const target = join(directory.path, `restored-${++restores}.db`);
      const { position, pageSize, pageCount } = await restoreLatest({ store, driver, target, integrity: "full" });
      return { path: target, txid: position.format === "ltx" ? position.txid : expect.fail(), pageSize, pageCount };
    },
    compare: (restored: Restored) => compareWithLive(path, restored, { store, driver, signal: never }),
    async [Symbol.asyncDispose]() {
      await replicator.kill();
      await app.kill();
      directory[Symbol.dispose]();
    },
  };
}

describe("the live database, compared with its restored replica", () => {
  it("is the same in every page, where everything is in the replica", async () => {
    await using live = await replicated();
    await live.sync();
    await live.app.commit(3);
    await live.sync();
    const restored = await live.restore();
    expect(await live.compare(restored)).toEqual({
      kind: "compared",
      path: live.path,
      txid: restored.txid,
      same: restored.pageCount,
      changedSince: 0,
      free: 0,
      different: [],
    });
  });

  it("is the same but for what was committed since, which is counted", async () => {
    await using live = await replicated();
    await live.renewLog();
    const restored = await live.restore();
    await live.app.commit(3, { payloadBytes: 2000, keep: 10 }); // deletes older rows, too
    const compared = await live.compare(restored);
    expect(compared).toMatchObject({ kind: "compared", txid: restored.txid, different: [] });
    if (compared.kind !== "compared") return;
    expect(compared.changedSince).toBeGreaterThan(0);
    expect(compared.same).toBeGreaterThan(restored.pageCount / 2);
    expect(compared.same + compared.changedSince).toBe(restored.pageCount);
  });

  it("is compared at a later transaction where its log was begun anew meanwhile: the restored one is taken there", async () => {
    await using live = await replicated();
    await live.sync();
    const restored = await live.restore();
    for (let round = 0; round < 4; round += 1) {
      await live.app.commit(5, { payloadBytes: 4000, keep: 15 });
      if (round === 2) await live.app.exec("VACUUM"); // the database shrinks, and grows again
      await live.sync();
      await live.app.checkpoint("PASSIVE");
      await live.maintain();
    }
    await live.app.commit(1);
    await live.sync();
    const compared = await live.compare(restored);
    expect(compared).toMatchObject({ kind: "compared", different: [] });
    if (compared.kind !== "compared") return;
    expect(compared.txid).toBeGreaterThan(restored.txid);
    expect(compared.changedSince).toBe(0);
    expect(compared.same).toBeGreaterThan(30);
  });

  it("is compared while the app goes on writing, and never taken for another by that", async () => {
    await using live = await replicated();
    await live.sync();
    const restored = await live.restore();
    let stop = false;
    const writing = (async () => {
      while (!stop) {
        await live.app.commit(2, { payloadBytes: 2000, keep: 20 });
        await live.sync();
        await live.app.checkpoint("PASSIVE");
        await live.maintain();
      }
    })();
    for (let look = 0; look < 10; look += 1) {
      const compared = await live.compare(restored);
      if (compared.kind === "compared") expect(compared.different).toEqual([]);
      else expect(compared.why).toMatch(/was changed each time|moved on meanwhile/);
    }
    stop = true;
    await writing;
  });

  it("is another where a page of it is: which page is told", async () => {
    await using live = await replicated();
    await live.renewLog();
    const restored = await live.restore();
    await live.kill();
    await live.app.kill();
    const pageNumber = findPayload(readFileSync(restored.path));
    writeSync(openSync(live.path, "r+"), "!", (pageNumber - 1) * 1024 + 1000);
    expect(await live.compare(restored)).toMatchObject({
      kind: "compared",
      same: restored.pageCount - 1,
      different: [`page ${pageNumber} is not the same`],
    });
  });

  it("is not compared where nothing says which transaction it is at, or something else does", async () => {
    await using live = await replicated();
    await live.sync();
    const restored = await live.restore();
    const known = readState(live.state);
    if (known === undefined) return expect.fail("the replicator keeps a state");
    const file = join(live.state, "replication.json");
    const why = async () => {
      const compared = await live.compare(restored);
      return compared.kind === "not compared" ? compared.why : expect.fail("it was compared");
    };
    writeFileSync(file, formatState({ ...known, replica: "s3://elsewhere/db" }));
    expect(await why()).toContain("is replicated to s3://elsewhere/db");
    writeFileSync(file, formatState({ ...known, acked: undefined, pending: undefined }));
    expect(await why()).toMatch(/knows of no transaction, and its replica is at 0{15}1$/);
    rmSync(file);
    expect(await why()).toContain("nothing beside");
  });

  it("is not compared where the replica has no way on to its transaction", async () => {
    await using live = await replicated();
    await live.sync();
    const restored = await live.restore();
    for (let round = 0; round < 2; round += 1) {
      await live.app.commit(2);
      await live.sync();
    }
    const [, second = ""] = (await live.store.list("ltx/0/", { signal: never })).map(({ key }) => key);
    await live.store.delete(second, { signal: never });
    const compared = await live.compare(restored);
    expect(compared).toMatchObject({ kind: "not compared", why: expect.stringContaining("moved on meanwhile") });
  });
});

/** A page in the middle of a payload: its content means nothing to SQLite's own checks. */
function findPayload(database: Buffer): number {
  for (let page = 3; page <= database.length / 1024; page += 1) {
    const content = database.subarray((page - 1) * 1024, page * 1024);
    if (content.subarray(100).every((byte) => /[0-9a-f]/.test(String.fromCharCode(byte)))) return page;
  }
  return expect.fail("no page holds payload only");
}
