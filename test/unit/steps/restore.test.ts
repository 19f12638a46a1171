import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Clock } from "../../../src/base/context.ts";
import { systemClock, systemRandom } from "../../../src/base/system.ts";
import { type CopyFacts, decideCopy } from "../../../src/plan/copy.ts";
import type { Facts } from "../../../src/plan/facts.ts";
import { claimReplica, inspectReplica } from "../../../src/replica/inspect.ts";
import { planRestore } from "../../../src/replica/ltx/plan.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import { restoreTo } from "../../../src/replica/restore-to.ts";
import { NO_PLACE, readState, writeState } from "../../../src/replica/state.ts";
import { loadDriver } from "../../../src/sqlite/load-driver.ts";
import { lockDatabase } from "../../../src/steps/lock.ts";
import { noteRestored } from "../../../src/steps/note-restored.ts";
import { stateDirectory, unbornMark } from "../../../src/steps/places.ts";
import { restore } from "../../../src/steps/restore.ts";
import { openFileStore } from "../../../src/storage/file.ts";
import { stepContext } from "../../support/step-context.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { firstStart, settings } from "../plan/facts.ts";

const FIXTURE = join(import.meta.dirname, "../../fixtures/litestream/generated/v0.5.15/replica");
const assets = { read: () => undefined };
const driver = loadDriver({ assets, temporaryDirectories: [], log: () => {} });
const signal = new AbortController().signal;

/** A volume, and a replica that Litestream wrote. `start` decides and restores as a start does. */
function world(clock: Clock = systemClock) {
  const told: string[] = [];
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const database = join(directory.path, "volume/app.db");
  const replica = join(directory.path, "replica");
  mkdirSync(dirname(database));
  cpSync(FIXTURE, replica, { recursive: true });
  const store = openFileStore(replica, { random: systemRandom });
  const context = stepContext({
    settings,
    clock,
    log: ({ text }) => void told.push(text),
    signal,
    replica: async () => ({ store, source: "--replica" }),
    sqlite: () => driver,
  });
  const look = async (withReplica: boolean): Promise<Facts> => {
    const content = existsSync(database) ? readFileSync(database) : undefined;
    const state = content === undefined ? "absent" : content.byteLength === 0 ? "empty" : "present";
    const orphans =
      state === "present"
        ? []
        : ["-wal", "-journal"].map((suffix) => `${database}${suffix}`).filter((path) => existsSync(path));
    return {
      ...firstStart,
      database: { path: database, state, sizeBytes: content?.byteLength ?? 0, orphans },
      replica: withReplica
        ? { address: store.address, source: "--replica", ...(await inspectReplica(store, { signal })) }
        : undefined,
      state: readState(stateDirectory(database)),
      unborn: existsSync(unbornMark(database)),
    };
  };
  const start = async ({
    withReplica = true,
    onStale = "refuse",
  }: {
    readonly withReplica?: boolean;
    readonly onStale?: "refuse" | "restore";
  } = {}) => {
    const facts = await look(withReplica);
    const copy = decideCopy(facts satisfies CopyFacts, onStale);
    const restored = await restore({ facts, copy, placement: { kind: "direct" }, seed: undefined, lines: [] }, context);
    return { copy, restored };
  };
  const level = join(replica, "ltx/0");
  return { database, start, store, told, newest: join(level, readdirSync(level).sort().at(-1) ?? "") };
}

describe("restore", () => {
  it("brings back what the replica holds, and the next start continues from there", async () => {
    const { database, start } = world();
    const { copy, restored } = await start();
    expect(copy.kind).toBe("restore");
    expect(restored?.acked).toBeDefined();
    const again = await start();
    expect(again.copy).toMatchObject({ kind: "keep", position: restored?.acked });
    expect(readFileSync(database).subarray(0, 15).toString()).toBe("SQLite format 3");
  });

  it("says each so often how far it is", async () => {
    let ms = 0;
    const slow = world({
      ...systemClock,
      monotonic() {
        ms += 5000;
        return ms;
      },
    });
    await slow.start();
    const progress = slow.told.filter((text) => /^\d.* of .* \(\d+ %\), .*\/s, .* left$/.test(text));
    expect(progress.length).toBeGreaterThan(1);
    const quick = world();
    await quick.start();
    expect(quick.told).toEqual([expect.stringMatching(/files, .* verified$/)]);
  });

  it("lets a restored database not count as one that was never finished", async () => {
    const { database, start } = world();
    expect((await start({ withReplica: false })).copy.kind).toBe("create");
    expect(existsSync(unbornMark(database))).toBe(true);
    expect((await start()).copy.kind).toBe("restore");
    expect(existsSync(unbornMark(database))).toBe(false);
    expect((await start()).copy.kind).toBe("keep");
  });

  it("moves aside what a lost database left behind, and an empty file too", async () => {
    const { database, start } = world();
    writeFileSync(database, "");
    writeFileSync(`${database}-wal`, "stale log");
    await start();
    const names = readdirSync(dirname(database));
    expect(names).toContainEqual(expect.stringMatching(/^app\.db\.orphan-\d{8}T\d{6}Z$/));
    expect(names).toContainEqual(expect.stringMatching(/^app\.db-wal\.orphan-\d{8}T\d{6}Z$/));
    expect(names).not.toContain("app.db-wal");
  });

  it("removes what an earlier start began to make, and no app has seen", async () => {
    const { database, start } = world();
    await start({ withReplica: false });
    writeFileSync(database, "half made");
    writeFileSync(`${database}-journal`, "half made");
    expect((await start({ withReplica: false })).copy.kind).toBe("create");
    expect(readdirSync(dirname(database))).toEqual([".app.db-flysqlite"]);
    expect(existsSync(unbornMark(database))).toBe(true);
  });
});

describe("restore over a stale volume", () => {
  /** The volume has an older state than the replica, of which it knows the transaction. */
  async function stale() {
    const { database, start, newest, store } = world();
    const { restored } = await start();
    if (restored?.acked === undefined) throw new Error("nothing was restored");
    const before = toTxid(restored.acked.txid - 1n);
    const state = { ...restored, acked: { ...restored.acked, txid: before } };
    await writeState(stateDirectory(database), state);
    writeFileSync(database, Buffer.concat([readFileSync(database), Buffer.from("what only this volume has")]));
    writeFileSync(`${database}-wal`, "its log");
    return { database, start, newest, state, store };
  }

  const names = (database: string) => readdirSync(dirname(database)).filter((name) => !name.startsWith("."));

  it("keeps all that the volume had, the log under its database's new name", async () => {
    const { database, start } = await stale();
    const before = readFileSync(database);
    const { copy, restored } = await start({ onStale: "restore" });
    expect(copy).toMatchObject({ kind: "restore", stale: true });
    const [, aside = "", log] = names(database);
    expect(names(database)).toEqual(["app.db", expect.stringMatching(/^app\.db\.stale-\d{8}T\d{6}Z$/), `${aside}-wal`]);
    expect(readFileSync(join(dirname(database), aside))).toEqual(before);
    expect(readFileSync(join(dirname(database), log ?? ""), "utf8")).toBe("its log");
    expect((await start()).copy).toMatchObject({ kind: "keep", position: restored?.acked });
  });

  it("drops what was to be uploaded of it: that belongs to the other line, and the file aside has it", async () => {
    const { database, start } = await stale();
    mkdirSync(join(stateDirectory(database), "ltx/0"), { recursive: true });
    writeFileSync(join(stateDirectory(database), "ltx/0/staged"), "");
    await start({ onStale: "restore" });
    expect(readdirSync(stateDirectory(database))).not.toContain("ltx");
  });

  it("never gives the old one its name back once the volume knows the new one: it would pass for that", async () => {
    const { database, start, store } = await stale();
    const content = await inspectReplica(store, { signal });
    const restoring = restoreTo({
      store,
      plan: { format: "ltx", files: planRestore(content.files, { kind: "latest" }) },
      target: database,
      driver: await driver,
      clock: systemClock,
      signal,
      integrity: "quick",
      replaces: true,
      async verified(restored) {
        await noteRestored(database, { store, content, restored }, { random: systemRandom });
        throw new Error("the disk broke");
      },
    });
    await expect(restoring).rejects.toThrow("the disk broke");
    expect(existsSync(database)).toBe(false);
    expect((await start()).copy).toMatchObject({ kind: "restore" });
    expect(names(database)).toContainEqual(expect.stringMatching(/^app\.db\.stale-/));
  });

  it("changes nothing where the replica can't be restored", async () => {
    const { database, start, newest, state } = await stale();
    writeFileSync(newest, Buffer.concat([readFileSync(newest).subarray(0, 200), Buffer.alloc(50, 7)]));
    const before = readFileSync(database);
    await expect(start({ onStale: "restore" })).rejects.toMatchObject({ code: "E_REPLICA_CORRUPT" });
    expect(names(database)).toEqual(["app.db", "app.db-wal"]);
    expect(readFileSync(database)).toEqual(before);
    expect(readState(stateDirectory(database))).toEqual(state);
  });
});

describe("a database that was restored by hand", () => {
  async function byHand(databaseId: string | undefined, txid: bigint | undefined) {
    const { database, start, store } = world();
    if (databaseId !== undefined) await claimReplica(store, { databaseId, signal });
    const content = await inspectReplica(store, { signal });
    const target = txid === undefined ? ({ kind: "latest" } as const) : ({ kind: "txid", txid: toTxid(txid) } as const);
    const context = { clock: systemClock, random: systemRandom, log: () => {} };
    await restoreTo({
      store,
      plan: { format: "ltx", files: planRestore(content.files, target) },
      target: database,
      driver: await driver,
      clock: systemClock,
      signal,
      integrity: "quick",
      verified: (restored) => noteRestored(database, { store, content, restored }, context),
    });
    return { database, start, store, lastTxid: content.lastTxid };
  }

  it("is gone on from where it is the newest state, as after a start's own restore", async () => {
    const { start, lastTxid } = await byHand("mine", undefined);
    expect((await start()).copy).toMatchObject({
      kind: "keep",
      position: { txid: lastTxid, position: { kind: "file" } },
    });
  });

  it.each([
    ["an older state", "mine", 5n],
    ["an older state of a replica that Litestream wrote", undefined, 5n],
    ["the newest state of a replica that Litestream wrote", undefined, undefined],
  ])("is gone on from with a copy of the whole database where it is %s", async (_, databaseId, txid) => {
    const { start, lastTxid } = await byHand(databaseId, txid);
    expect((await start()).copy).toMatchObject({ kind: "keep", position: { txid: lastTxid, position: NO_PLACE } });
  });

  it("is stale where the replica went on since", async () => {
    const { database, start } = await byHand("mine", 5n);
    const state = readState(stateDirectory(database));
    if (state?.acked === undefined) throw new Error("nothing is known");
    await writeState(stateDirectory(database), { ...state, acked: { ...state.acked, txid: toTxid(6n) } });
    await expect(start()).rejects.toMatchObject({ code: "E_DIVERGED" });
  });

  it("is no unfinished one, whatever was begun there", async () => {
    const { database } = await byHand("mine", undefined);
    expect(existsSync(unbornMark(database))).toBe(false);
  });
});

describe("lockDatabase", () => {
  it("makes the directory that the url names", async () => {
    const { database } = world();
    const deeper = join(dirname(database), "not/there/app.db");
    using _lock = await lockDatabase(deeper, await driver);
    expect(readdirSync(dirname(deeper))).toEqual([".app.db-flysqlite"]);
  });
});
