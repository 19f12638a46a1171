import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { downloadInOrder, Vanished } from "../../../src/replica/downloads.ts";
import { NO_WAL } from "../../../src/replica/ltx/header.ts";
import { formatLtxName } from "../../../src/replica/ltx/names.ts";
import { planRestore, type RestoreTarget } from "../../../src/replica/ltx/plan.ts";
import { parseTxid, toTxid } from "../../../src/replica/ltx/txid.ts";
import { type RestorePlan, type RestoreToOptions, restoreTo } from "../../../src/replica/restore-to.ts";
import { listV03 } from "../../../src/replica/v03/names.ts";
import { planV03, type V03Target } from "../../../src/replica/v03/plan.ts";
import { createNodeSqliteDriver } from "../../../src/sqlite/node-sqlite.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { listLtx } from "../../support/corruption.ts";
import { createMemoryStore, type MemoryStore } from "../../support/memory-store.ts";
import { GENERATION, lz4Frame, makeLtxReplica, makeV03Replica } from "../../support/small-replicas.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { encode, headerWith, listReplica, pageOf, REPLICAS, readExpected, readFixture, sha256 } from "./ltx/support.ts";
import { writeLog } from "./v03/support.ts";

const never = new AbortController().signal;

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory[Symbol.dispose]());

function restore(store: MemoryStore, plan: RestorePlan, options: Partial<RestoreToOptions> = {}) {
  return restoreTo({
    store,
    plan,
    target: join(directory.path, "app.db"),
    driver: createNodeSqliteDriver(),
    clock: { now: () => Date.UTC(2026, 0, 2, 3, 4, 5) },
    signal: never,
    integrity: "full",
    ...options,
  });
}

const restored = () => new Uint8Array(readFileSync(join(directory.path, "app.db")));
const left = () => readdirSync(directory.path).sort();

async function ltxPlan(store: MemoryStore, target: RestoreTarget = { kind: "latest" }): Promise<RestorePlan> {
  return { format: "ltx", files: planRestore(await listLtx(store), target) };
}

async function v03Plan(store: MemoryStore, target: V03Target = { kind: "latest" }): Promise<RestorePlan> {
  return { format: "v03", plan: planV03(listV03(await store.list("", { signal: never })), target) };
}

describe.each(REPLICAS)("restoreTo, from the LTX files of Litestream $version", ({ version }) => {
  const files = listReplica(version);
  const store = createMemoryStore(
    files.map(({ key, modifiedMs }) => [key, { bytes: readFixture(key), modifiedMs }] as const),
  );
  const expected = readExpected(version);

  it.each(Object.entries(expected.by_txid))(
    "gives transaction %s as Litestream does, or fails as it does",
    async (text, result) => {
      const target = { kind: "txid", txid: parseTxid(text) } as const;
      if (result.plan_error !== undefined) {
        expect(() => planRestore(files, target)).toThrow(expect.objectContaining({ code: "E_REPLICA_GAP" }));
        return;
      }
      const { position, sizeBytes } = await restore(store, { format: "ltx", files: planRestore(files, target) });
      expect(position).toEqual({ format: "ltx", txid: target.txid });
      expect({ sha256: sha256(restored()), bytes: sizeBytes }).toEqual({ sha256: result.sha256, bytes: result.bytes });
    },
  );

  it("gives the state before a time, which is that of a transaction", async () => {
    const times = [...new Set(files.map(({ modifiedMs }) => modifiedMs))].sort((a, b) => a - b);
    for (const ms of times.slice(-5)) {
      const plan = planRestore(files, { kind: "timestamp", ms: ms + 1 });
      const { position } = await restore(store, { format: "ltx", files: plan });
      const txid = plan.at(-1)?.max;
      expect(position).toEqual({ format: "ltx", txid });
      const bytes = restored();
      directory[Symbol.dispose]();
      directory = temporaryDirectory();
      if (txid === undefined) throw new Error("an empty plan");
      await restore(store, { format: "ltx", files: planRestore(files, { kind: "txid", txid }) });
      expect(restored()).toEqual(bytes);
      directory[Symbol.dispose]();
      directory = temporaryDirectory();
    }
  });
});

describe("restoreTo", () => {
  const replicas = [
    ["LTX", makeLtxReplica, ltxPlan],
    ["0.3", () => makeV03Replica({ snapshots: 1 }), v03Plan],
  ] as const;

  describe.each(replicas)("of either format: %s", (_, make, plan) => {
    it("leaves the database and nothing else", async () => {
      const store = createMemoryStore(make());
      const result = await restore(store, await plan(store));
      expect(left()).toEqual(["app.db"]);
      expect(result).toMatchObject({ sizeBytes: restored().length, notes: [], movedAside: [] });
      using database = new DatabaseSync(join(directory.path, "app.db"), { readOnly: true });
      expect(database.prepare("SELECT (SELECT sum(n) FROM a) AS a, (SELECT n FROM b) AS b").get()).toMatchObject({
        a: 6,
        b: 3,
      });
    });

    it("says how far it is, up to the end", async () => {
      const store = createMemoryStore(make());
      const steps: number[] = [];
      let total = 0;
      await restore(store, await plan(store), {
        progress: ({ doneBytes, totalBytes }) => {
          steps.push(doneBytes);
          total = totalBytes;
        },
      });
      expect(steps).toEqual(steps.toSorted((a, b) => a - b));
      expect(steps.at(-1)).toBe(total);
    });

    it("leaves the directory as it was when it fails or is stopped", async () => {
      const store = createMemoryStore(make());
      const names = ["app.db-journal", "app.db-shm", "app.db-wal"];
      for (const name of names) writeFileSync(join(directory.path, name), name);
      const stop = new AbortController();
      const stopped = restore(store, await plan(store), {
        signal: stop.signal,
        progress: () => stop.abort(new Error("stopped")),
      });
      await expect(stopped).rejects.toThrow("stopped");
      const [key = "", last] = [...store.objects].at(-1) ?? [];
      store.objects.set(key, { bytes: last?.bytes.subarray(0, -1) ?? new Uint8Array(0), modifiedMs: 99 });
      await expect(restore(store, await plan(store))).rejects.toMatchObject({ code: "E_REPLICA_CORRUPT" });
      expect(left()).toEqual(names);
      for (const name of names) expect(readFileSync(join(directory.path, name), "utf8")).toBe(name);
    });

    it("moves what SQLite would play back into the database out of its way", async () => {
      const store = createMemoryStore(make());
      writeFileSync(join(directory.path, "app.db-wal"), "old");
      const { movedAside } = await restore(store, await plan(store));
      expect(left()).toEqual(["app.db", "app.db-wal.orphan-20260102T030405Z"]);
      expect(movedAside).toEqual([join(directory.path, "app.db-wal.orphan-20260102T030405Z")]);
    });

    it("never writes over a file, and clears away what a killed restore left", async () => {
      const store = createMemoryStore(make());
      writeFileSync(join(directory.path, ".app.db.restoring"), "half");
      writeFileSync(join(directory.path, ".app.db.restoring-wal"), "half");
      await restore(store, await plan(store));
      expect(left()).toEqual(["app.db"]);
      const before = restored();
      await expect(restore(store, await plan(store))).rejects.toMatchObject({ code: "E_USAGE" });
      expect(restored()).toEqual(before);
    });

    it("moves a database that it replaces aside, with its log, once the new one is checked", async () => {
      const store = createMemoryStore(make());
      const old = { "app.db": "old", "app.db-wal": "old log", "app.db-shm": "old index" };
      for (const [name, text] of Object.entries(old)) writeFileSync(join(directory.path, name), text);
      const verified = async () => {
        expect(left().filter((name) => !name.startsWith("."))).not.toContain("app.db");
      };
      const { movedAside } = await restore(store, await plan(store), { replaces: true, verified });
      // SQLite finds the log by its name beside the database's.
      const stale = "app.db.stale-20260102T030405Z";
      expect(left()).toEqual(["app.db", stale, `${stale}-shm`, `${stale}-wal`]);
      expect(readFileSync(join(directory.path, stale), "utf8")).toBe("old");
      expect(readFileSync(join(directory.path, `${stale}-wal`), "utf8")).toBe("old log");
      expect(movedAside).toEqual([stale, `${stale}-wal`, `${stale}-shm`].map((name) => join(directory.path, name)));

      await restore(store, await plan(store), { replaces: true });
      expect(left()).toContain(`${stale}-2`);
      expect(readFileSync(join(directory.path, stale), "utf8")).toBe("old");
    });

    it("leaves a database that it was to replace where it is when it fails", async () => {
      const store = createMemoryStore(make());
      for (const name of ["app.db", "app.db-wal"]) writeFileSync(join(directory.path, name), name);
      const whole = await plan(store);
      store.objects.delete([...store.objects.keys()].at(-1) ?? "");
      await expect(restore(store, whole, { replaces: true })).rejects.toMatchObject({ code: "E_REPLICA_GAP" });
      expect(left()).toEqual(["app.db", "app.db-wal"]);
      for (const name of left()) expect(readFileSync(join(directory.path, name), "utf8")).toBe(name);
    });

    it("leaves what was there aside when its caller fails, which may have noted the new database by then", async () => {
      const store = createMemoryStore(make());
      for (const name of ["app.db", "app.db-wal"]) writeFileSync(join(directory.path, name), name);
      const failing = { replaces: true, verified: () => Promise.reject(new Error("the volume is full")) };
      await expect(restore(store, await plan(store), failing)).rejects.toThrow("the volume is full");
      const stale = "app.db.stale-20260102T030405Z";
      expect(left()).toEqual([stale, `${stale}-wal`]);
      expect(readFileSync(join(directory.path, stale), "utf8")).toBe("app.db");
      await restore(store, await plan(store));
      expect(left()).toEqual(["app.db", stale, `${stale}-wal`]);
    });

    it("plans anew when an object vanished, at most three times", async () => {
      const store = createMemoryStore(make());
      const whole = await plan(store);
      const last = [...store.objects].at(-1);
      if (last === undefined) throw new Error("an empty replica");
      store.objects.delete(last[0]);
      let plans = 0;
      const replan = async () => {
        plans += 1;
        if (plans === 3) store.objects.set(...last);
        return whole;
      };
      await restore(store, whole, { replan });
      expect(plans).toBe(3);
      store.objects.delete(last[0]);
      const again = async () => {
        plans += 1;
        return whole;
      };
      const target = join(directory.path, "other.db");
      const gone = {
        code: "E_REPLICA_GAP",
        message: `Cannot restore: "${last[0]}" was listed and is gone from "memory:"`,
      };
      await expect(restore(store, whole, { target, replan: again })).rejects.toMatchObject(gone);
      expect(plans).toBe(6);
      await expect(restore(store, whole, { target })).rejects.toMatchObject(gone);
    });

    it("is the same with one download at a time and the smallest buffer", async () => {
      const store = createMemoryStore(make());
      await restore(store, await plan(store));
      const target = join(directory.path, "other.db");
      await restore(store, await plan(store), { target, parallelDownloads: 1, bufferBytes: 1 });
      expect(new Uint8Array(readFileSync(target))).toEqual(restored());
    });
  });

  it("takes a full disk for what it is, before anything is written", async () => {
    const store = createMemoryStore(makeV03Replica({ snapshots: 1 }));
    const key = `generations/${GENERATION}/snapshots/00000000.snapshot.lz4`;
    const page = new Uint8Array(512);
    page.set(new TextEncoder().encode("SQLite format 3\0"));
    new DataView(page.buffer).setUint16(16, 512);
    new DataView(page.buffer).setUint32(28, 0xfffffff0); // pages: 2 TB
    store.objects.set(key, { bytes: lz4Frame(page), modifiedMs: 1 });
    await expect(restore(store, await v03Plan(store))).rejects.toMatchObject({ code: "E_RESTORE_SPACE" });
    expect(left()).toEqual([]);
  });

  it("refuses what SQLite finds damaged, as far as it is asked to look", async () => {
    const store = createMemoryStore(makeLtxReplica());
    const range = { min: toTxid(10n), max: toTxid(10n) };
    const wal = { ...NO_WAL, offsetBytes: 32 };
    // A page of a table that is none.
    const bytes = encode(headerWith({ ...range, commit: 9, wal }), [pageOf(2, 512, 0xff)]);
    store.objects.set(`ltx/0/${formatLtxName(range)}`, { bytes, modifiedMs: 99 });
    for (const [integrity, pragma] of [
      ["full", "integrity_check"],
      ["quick", "quick_check"],
    ] as const) {
      await expect(restore(store, await ltxPlan(store), { integrity })).rejects.toMatchObject({
        code: "E_REPLICA_CORRUPT",
        message: `Cannot use the restored database: SQLite's ${pragma} finds it damaged`,
      });
    }
    await restore(store, await ltxPlan(store), { integrity: "none" });
    expect(left()).toEqual(["app.db"]);
  });
});

describe("restoreTo, of LTX files that shrink and grow a database", () => {
  const file = (txid: number, commit: number, pages: readonly number[]) => {
    const range = { min: toTxid(BigInt(txid)), max: toTxid(BigInt(txid)) };
    const first = pageOf(1, 512, 0);
    first.data.set(new TextEncoder().encode("SQLite format 3\0"));
    first.data.set([2, 0], 16);
    const content = pages.map((page) => (page === 1 ? first : pageOf(page, 512, txid * 16 + page)));
    return [
      `ltx/0/${formatLtxName(range)}`,
      { bytes: encode(headerWith({ ...range, commit }), content), modifiedMs: txid },
    ] as const;
  };

  it("forgets pages that were cut off, and takes each other one from the newest file", async () => {
    const store = createMemoryStore([file(1, 5, [1, 2, 3, 4, 5]), file(2, 2, [2]), file(3, 4, [3, 4])]);
    await restore(store, await ltxPlan(store), { integrity: "none" });
    const bytes = restored();
    expect([bytes.length, bytes[512], bytes[1024], bytes[1536]]).toEqual([2048, 2 * 16 + 2, 3 * 16 + 3, 3 * 16 + 4]);
  });

  it("refuses to let a page that was cut off show through", async () => {
    const store = createMemoryStore([file(1, 5, [1, 2, 3, 4, 5]), file(2, 2, [2]), file(3, 4, [4])]);
    await expect(restore(store, await ltxPlan(store), { integrity: "none" })).rejects.toMatchObject({
      code: "E_REPLICA_CORRUPT",
      message: 'Cannot restore "0000000000000003": page 3 of its 4 is in none of the files',
    });
    expect(left()).toEqual([]);
  });
});

describe("restoreTo, where a snapshot of Litestream 0.3 holds what came after the time asked for", () => {
  /** The second snapshot has the second transaction of its log, whose segment came a moment later. */
  function makeAhead() {
    const path = join(directory.path, "source.db");
    const store = createMemoryStore();
    const put = (name: string, content: Uint8Array, modifiedMs: number) =>
      store.objects.set(`generations/${GENERATION}/${name}.lz4`, { bytes: lz4Frame(content), modifiedMs });
    using database = new DatabaseSync(path);
    const log = (from = 0) => readFileSync(`${path}-wal`).subarray(from);
    database.exec("PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0");
    database.exec("CREATE TABLE a (n); CREATE TABLE b (n); PRAGMA wal_checkpoint(TRUNCATE)");
    put("snapshots/00000000.snapshot", readFileSync(path), 1);
    database.exec("INSERT INTO a VALUES (1)");
    put("wal/00000000_00000000.wal", log(), 2);
    database.exec("PRAGMA wal_checkpoint(TRUNCATE); UPDATE a SET n = 2");
    const end = log().length;
    put("wal/00000001_00000000.wal", log(), 3);
    database.exec("INSERT INTO b VALUES (1)");
    put("snapshots/00000001.snapshot", readFileSync(path), 4); // not copied back yet: as it was before
    put(`wal/00000001_${end.toString(16).padStart(8, "0")}.wal`, log(end), 5);
    const sound = createMemoryStore(store.objects);
    database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    put("snapshots/00000001.snapshot", readFileSync(path), 4);
    return { store, sound };
  }

  const target = { kind: "timestamp", ms: 4 } as const;

  it("begins with an earlier snapshot, and gives the exact state", async () => {
    const { store, sound } = makeAhead();
    await restore(sound, await v03Plan(sound, target));
    const expected = restored();
    const other = join(directory.path, "other.db");
    const { fileCount, position } = await restore(store, await v03Plan(store, target), { target: other });
    expect(new Uint8Array(readFileSync(other))).toEqual(expected);
    expect(fileCount).toBe(3);
    expect(position).toMatchObject({ index: 1 });
    using database = new DatabaseSync(other, { readOnly: true });
    expect(database.prepare("SELECT n, (SELECT count(*) FROM b) AS b FROM a").get()).toMatchObject({ n: 2, b: 0 });
  });

  it("refuses where there is no earlier one", async () => {
    const { store } = makeAhead();
    store.objects.delete(`generations/${GENERATION}/snapshots/00000000.snapshot.lz4`);
    await expect(restore(store, await v03Plan(store, target))).rejects.toMatchObject({
      code: "E_REPLICA_GAP",
      message: expect.stringContaining("already holds changes of"),
    });
    await restore(store, await v03Plan(store)); // the latest state has no such doubt
  });

  it("says so where the segments that would prove it can't be read", async () => {
    const { sound } = makeAhead();
    const last =
      [...sound.objects.keys()].find((key) => key.includes("00000001_0000") && !key.includes("_00000000")) ?? "";
    sound.objects.set(last, { bytes: Uint8Array.of(1, 2, 3), modifiedMs: 5 });
    const { notes } = await restore(sound, await v03Plan(sound, target));
    expect(notes).toEqual([expect.stringContaining("nothing proves that")]);
  });
});

describe("restoreTo, where Litestream 0.3 read a log while a transaction was being written to it", () => {
  const SECOND = 3;
  const NEXT_LOG = 4;

  /** Of the second transaction's frames the first is in one segment, the rest in another. */
  function makeCut({ firstAlso = false } = {}) {
    const path = join(directory.path, "source.db");
    const store = createMemoryStore();
    const put = (name: string, content: Uint8Array, modifiedMs: number) =>
      store.objects.set(`generations/${GENERATION}/${name}.lz4`, { bytes: lz4Frame(content), modifiedMs });
    using database = new DatabaseSync(path);
    const log = () => readFileSync(`${path}-wal`);
    database.exec("PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0");
    for (const table of ["a", "b", "c"]) database.exec(`CREATE TABLE ${table} (n)`);
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    put("snapshots/00000000.snapshot", readFileSync(path), 1);
    if (!firstAlso) database.exec("INSERT INTO a VALUES (1)");
    const end = firstAlso ? 32 : log().length;
    database.exec("BEGIN; INSERT INTO b VALUES (2); INSERT INTO c VALUES (2); COMMIT");
    const whole = log();
    const cut = end + 24 + 512;
    const rest = `wal/00000000_${cut.toString(16).padStart(8, "0")}.wal`;
    put("wal/00000000_00000000.wal", whole.subarray(0, cut), 2);
    put(rest, whole.subarray(cut), SECOND);
    database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    const after = readFileSync(path);
    database.exec("PRAGMA wal_checkpoint(TRUNCATE); UPDATE a SET n = 3");
    put("wal/00000001_00000000.wal", log(), NEXT_LOG);
    return { store, put, after, end, rest: `generations/${GENERATION}/${rest}.lz4` };
  }

  function counts() {
    using database = new DatabaseSync(join(directory.path, "app.db"), { readOnly: true });
    const select = "SELECT (SELECT count(*) FROM a) AS a, (SELECT count(*) FROM b) AS b, (SELECT count(*) FROM c) AS c";
    return Object.values(database.prepare(select).get() ?? {}).join(" ");
  }

  const upTo = (ms: number) => ({ kind: "timestamp", ms }) as const;
  const noLogAfter = (store: MemoryStore) =>
    store.objects.delete(`generations/${GENERATION}/wal/00000001_00000000.wal.lz4`);

  it("puts the transaction together", async () => {
    const { store } = makeCut();
    const { notes } = await restore(store, await v03Plan(store, upTo(SECOND)));
    expect([counts(), notes]).toEqual(["1 1 1", []]);
  });

  it("gives the state before the transaction at a time when the rest was not there yet", async () => {
    const { store, end } = makeCut();
    const { notes, position } = await restore(store, await v03Plan(store, upTo(2)));
    expect([counts(), notes]).toEqual(["1 0 0", []]);
    expect(position).toMatchObject({ index: 0, offset: end });
  });

  it("gives the last whole state where the rest was never uploaded, and says so", async () => {
    const { store, end, rest } = makeCut();
    noLogAfter(store);
    store.objects.delete(rest);
    const { notes, position } = await restore(store, await v03Plan(store));
    expect(counts()).toBe("1 0 0");
    expect(position).toMatchObject({ index: 0, offset: end });
    expect(notes).toEqual([expect.stringContaining("The rest of the last transaction was not uploaded")]);
  });

  it("gives the snapshot where the rest of the first transaction was never uploaded", async () => {
    const { store, rest } = makeCut({ firstAlso: true });
    noLogAfter(store);
    store.objects.delete(rest);
    const { position } = await restore(store, await v03Plan(store));
    expect(counts()).toBe("0 0 0");
    expect(position).toMatchObject({ index: 0, offset: 32 });
  });

  it("refuses where the rest must have been uploaded, as another log follows", async () => {
    const { store, rest } = makeCut();
    store.objects.delete(rest);
    for (const target of [upTo(SECOND), { kind: "latest" } as const]) {
      await expect(restore(store, await v03Plan(store, target))).rejects.toMatchObject({
        code: "E_REPLICA_GAP",
        message: expect.stringContaining("the rest of a transaction is missing from log 00000000"),
      });
    }
    expect(left()).not.toContain("app.db");
  });

  it.each([true, false])(
    "finds a snapshot out that already holds the transaction, with or without an earlier one: %s",
    async (hasEarlier) => {
      const { store, put, after, end, rest } = makeCut();
      noLogAfter(store);
      store.objects.delete(rest);
      const at = hasEarlier ? 1 : 0;
      if (hasEarlier) {
        // The log gets the next index, after one that holds nothing.
        const [first, header] = ["00000000", "00000001"].map(
          (i) => `generations/${GENERATION}/wal/${i}_00000000.wal.lz4`,
        );
        const log = store.objects.get(first ?? "");
        if (log === undefined || header === undefined) return expect.fail("it is there");
        store.objects.set(header, log);
        put("wal/00000000_00000000.wal", emptyLog(), 2);
      }
      put(`snapshots/0000000${at}.snapshot`, after, 2);
      const plan = await v03Plan(store);
      if (!hasEarlier) {
        await expect(restore(store, plan)).rejects.toMatchObject({
          code: "E_REPLICA_GAP",
          message: expect.stringContaining("already holds changes of"),
        });
        return;
      }
      const { position } = await restore(store, plan);
      expect(counts()).toBe("1 0 0");
      expect(position).toMatchObject({ index: 1, offset: end });
    },
  );

  /** A log of the time before, in which nothing was written. */
  function emptyLog(): Uint8Array {
    return writeLog({ pageSize: 512, frames: [], salts: [1, 2] });
  }
});

describe("restoreTo, of a snapshot of Litestream 0.3 and the log that was uploaded a moment later", () => {
  /**
   * With a reader in the middle of the log, a checkpoint copies of each page that changed after it nothing at all: the
   * file then is a mixture. `torn` says whether there is one.
   */
  async function makeSnapshot({ torn }: { readonly torn: boolean }) {
    const path = join(directory.path, "source.db");
    const connections = [new DatabaseSync(path), new DatabaseSync(path)] as const;
    const [database, reader] = connections;
    database.exec("PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0");
    database.exec("CREATE TABLE a (n); CREATE TABLE b (n); PRAGMA wal_checkpoint(TRUNCATE)");
    database.exec("INSERT INTO a VALUES (1)");
    database.exec("BEGIN; INSERT INTO b VALUES (1); UPDATE a SET n = 2; COMMIT; INSERT INTO b VALUES (2)");
    reader.exec("BEGIN"); // keeps the log from being begun anew, as Litestream does
    reader.prepare("SELECT * FROM a").all();
    if (torn) database.exec("INSERT INTO b VALUES (3)");
    database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    const snapshot = readFileSync(path);
    if (!torn) database.exec("INSERT INTO b VALUES (3)");
    const log = readFileSync(`${path}-wal`);
    const store = createMemoryStore([
      [`generations/${GENERATION}/snapshots/00000000.snapshot.lz4`, { bytes: lz4Frame(snapshot), modifiedMs: 1 }],
      [`generations/${GENERATION}/wal/00000000_00000000.wal.lz4`, { bytes: lz4Frame(log), modifiedMs: 3 }],
    ]);
    for (const connection of connections) connection.close();
    return { store, snapshot, logSize: log.length };
  }

  const between = { kind: "timestamp", ms: 2 } as const;

  it.each([true, false])(
    "gives the state at the log's end, whether or not the snapshot is whole: torn %s",
    async (torn) => {
      const { store } = await makeSnapshot({ torn });
      await restore(store, await v03Plan(store));
      using database = new DatabaseSync(join(directory.path, "app.db"), { readOnly: true });
      expect(database.prepare("SELECT (SELECT n FROM a) AS a, (SELECT sum(n) FROM b) AS b").get()).toMatchObject({
        a: 2,
        b: 6,
      });
    },
  );

  it("gives the snapshot alone where the log shows that it is whole, and knows its place in the log", async () => {
    const { store, snapshot, logSize } = await makeSnapshot({ torn: false });
    const { position, notes } = await restore(store, await v03Plan(store, between));
    expect(Buffer.compare(restored(), snapshot)).toBe(0);
    expect(notes).toEqual([]);
    if (position.format !== "v03") return expect.fail("it is of 0.3");
    expect(position.offset).toBeGreaterThan(32);
    expect(position.offset).toBeLessThan(logSize);
  });

  it("refuses the snapshot alone where the log shows that it is torn, though SQLite may find nothing wrong with it", async () => {
    const { store } = await makeSnapshot({ torn: true });
    const refused = restore(store, await v03Plan(store, between), { integrity: "none" });
    await expect(refused).rejects.toMatchObject({
      code: "E_REPLICA_GAP",
      message: expect.stringContaining("already holds changes of"),
    });
    expect(left().filter((name) => !name.startsWith("source"))).toEqual([]);
  });

  it("refuses the snapshot where nothing of its log was uploaded", async () => {
    const { store } = await makeSnapshot({ torn: true });
    store.objects.delete(`generations/${GENERATION}/wal/00000000_00000000.wal.lz4`);
    await expect(v03Plan(store)).rejects.toMatchObject({ code: "E_REPLICA_GAP" });
  });

  it("says so where the log that would show it can't be read", async () => {
    const { store } = await makeSnapshot({ torn: false });
    const key = `generations/${GENERATION}/wal/00000000_00000000.wal.lz4`;
    store.objects.set(key, { bytes: Uint8Array.of(1, 2, 3), modifiedMs: 3 });
    const { notes } = await restore(store, await v03Plan(store, between));
    expect(notes).toEqual([expect.stringContaining("nothing proves that")]);
  });
});

describe("downloadInOrder", () => {
  const items = Array.from({ length: 12 }, (_, i) => ({ key: `k${i}` }));

  it("gives objects in order, never fetches more at a time than allowed, and holds little", async () => {
    let [open, most, fetched, taken] = [0, 0, 0, 0];
    const memory = createMemoryStore();
    const store = {
      ...memory,
      async get() {
        most = Math.max(most, ++open);
        return (async function* () {
          try {
            for (let i = 0; i < 50; i += 1) {
              fetched += 1000;
              yield new Uint8Array(1000);
            }
          } finally {
            open -= 1;
          }
        })();
      },
    };
    const order: string[] = [];
    for await (const { item, chunks } of downloadInOrder(items, {
      store,
      signal: never,
      parallelDownloads: 3,
      bufferBytes: 5000,
    })) {
      order.push(item.key);
      for await (const chunk of chunks) {
        taken += chunk.length;
        expect(fetched - taken).toBeLessThanOrEqual(5000 + 3 * 1000);
        await new Promise(setImmediate);
      }
    }
    expect(order).toEqual(items.map(({ key }) => key));
    expect(most).toBe(3);
    expect(taken).toBe(12 * 50 * 1000);
  });

  it("fetches a large object in parts side by side, and hands it on as one", async () => {
    const content = randomBytes(20_000_000);
    const memory = createMemoryStore([
      ["small", { bytes: Uint8Array.of(1, 2, 3), modifiedMs: 0 }],
      ["large", { bytes: content, modifiedMs: 0 }],
      ["none", { bytes: new Uint8Array(0), modifiedMs: 0 }],
    ]);
    let [open, most] = [0, 0];
    const asked: Parameters<typeof memory.get>[1][] = [];
    const store: ObjectStore = {
      ...memory,
      async get(key, options) {
        asked.push(options);
        const chunks = await memory.get(key, options);
        return (async function* () {
          most = Math.max(most, ++open);
          try {
            for await (const chunk of chunks ?? []) {
              await new Promise(setImmediate);
              yield chunk;
            }
          } finally {
            open -= 1;
          }
        })();
      },
    };
    const found: Record<string, Buffer> = {};
    const large = { key: "large", sizeBytes: content.length, version: "v" };
    for await (const { item, chunks } of downloadInOrder([{ key: "small" }, large, { key: "none" }], {
      store,
      signal: never,
      parallelDownloads: 4,
    })) {
      const all: Uint8Array[] = [];
      for await (const chunk of chunks) all.push(chunk.slice());
      found[item.key] = Buffer.concat(all);
    }
    expect(found["large"]?.equals(content)).toBe(true);
    expect([found["small"]?.length, found["none"]?.length]).toEqual([3, 0]);
    expect(most).toBe(4);
    const ranges = asked.filter(({ version }) => version === "v");
    expect(ranges.length).toBe(5);
    expect(ranges.reduce((sum, { lengthBytes = 0 }) => sum + lengthBytes, 0)).toBe(content.length);
  });

  it("takes an object that was replaced for one that is gone", async () => {
    const content = randomBytes(20_000_000);
    const memory = createMemoryStore([["large", { bytes: content, modifiedMs: 0 }]]);
    let gets = 0;
    const get: ObjectStore["get"] = async (key, options) => (++gets > 3 ? undefined : memory.get(key, options));
    const read = async () => {
      const items = [{ key: "large", sizeBytes: content.length, version: "v" }];
      for await (const { chunks } of downloadInOrder(items, { store: { ...memory, get }, signal: never })) {
        for await (const _ of chunks);
      }
    };
    await expect(read()).rejects.toThrow(Vanished);
  });

  it("begins no more parts of an object that its reader left", async () => {
    const memory = createMemoryStore([
      ["large", { bytes: new Uint8Array(100_000_000), modifiedMs: 0 }],
      ["next", { bytes: Uint8Array.of(7), modifiedMs: 0 }],
    ]);
    let gets = 0;
    const get: ObjectStore["get"] = (key, options) => {
      gets += 1;
      return memory.get(key, options);
    };
    const items = [{ key: "large", sizeBytes: 100_000_000, version: "v" }, { key: "next" }];
    let last: Uint8Array | undefined;
    for await (const { chunks } of downloadInOrder(items, {
      store: { ...memory, get },
      signal: never,
      parallelDownloads: 2,
    })) {
      for await (const chunk of chunks) {
        last = chunk.slice();
        break;
      }
    }
    expect(last).toEqual(Uint8Array.of(7));
    expect(gets).toBe(3);
  });

  it("ends every download when its reader leaves, or stops reading one", async () => {
    let open = 0;
    const store = {
      ...createMemoryStore(),
      async get() {
        open += 1;
        return (async function* () {
          try {
            while (true) {
              yield new Uint8Array(1000);
              await new Promise(setImmediate);
            }
          } finally {
            open -= 1;
          }
        })();
      },
    };
    for await (const { item, chunks } of downloadInOrder(items, { store, signal: never, bufferBytes: 4000 })) {
      for await (const _ of chunks) break;
      if (item.key === "k3") break;
    }
    expect(open).toBe(0);
  });

  it("tells a failure at its place, and the signal's reason", async () => {
    const store = createMemoryStore(
      items.map(({ key }) => [key, { bytes: new Uint8Array(10), modifiedMs: 0 }] as const),
    );
    store.objects.delete("k2");
    const seen: string[] = [];
    const readAll = async (signal: AbortSignal) => {
      for await (const { item, chunks } of downloadInOrder(items, { store, signal })) {
        for await (const _ of chunks) seen.push(item.key);
      }
    };
    await expect(readAll(never)).rejects.toMatchObject({ code: "E_REPLICA_GAP" });
    expect(seen).toEqual(["k0", "k1"]);
    await expect(readAll(AbortSignal.abort(new Error("stopped")))).rejects.toThrow("stopped");
  });
});
