import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { formatLtxName } from "../../../src/replica/ltx/names.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import { readState } from "../../../src/replica/state.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { commitMeanwhile, startApp } from "../../support/app.ts";
import { installedDriver } from "../../support/driver.ts";
import { createMemoryStore } from "../../support/memory-store.ts";
import { judgeReplica, listFiles } from "../../support/replica.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { type judge, SCHEMA } from "../../support/workload.ts";
import { chain, never, rangesAt, readFiles, replicated } from "./support.ts";

const driver = await installedDriver();

const level0 = (txid: number) => `ltx/0/${formatLtxName({ min: toTxid(BigInt(txid)), max: toTxid(BigInt(txid)) })}`;

/** A store whose uploads of LTX files fail as often as told: before they arrive, or after. */
function failing(store: ObjectStore, failures: { before: number; after: number }): ObjectStore {
  return {
    ...store,
    async put(key, body, options) {
      if (!key.startsWith("ltx/")) return store.put(key, body, options);
      if (failures.before > 0) {
        failures.before -= 1;
        throw new Error("connection refused");
      }
      const stored = await store.put(key, body, options);
      if (failures.after > 0) {
        failures.after -= 1;
        throw new Error("connection reset");
      }
      return stored;
    },
  };
}

describe("sync", () => {
  it("begins with a copy of the whole database, then ships what is committed", async () => {
    await using replica = await replicated(driver);
    await replica.app.commit(3);
    expect(await replica.sync()).toBe(2);
    expect(await rangesAt(replica.store, 0)).toEqual(["1-1"]);
    expect(await rangesAt(replica.store, 9)).toEqual(["1-1"]);
    expect(await replica.sync()).toBe(0);

    for (let n = 4; n < 10; n += 1) {
      await replica.app.commit();
      expect(await replica.sync()).toBe(1);
      expect(await replica.judge()).toEqual({ n });
    }
    expect(await rangesAt(replica.store, 0)).toEqual(chain(7));
    expect(replica.fullCopies).toHaveLength(1);
    expect(replica.replicator.lastTxid).toBe(7n);
  });

  it("comes to an end although the app never stops to commit", async () => {
    // Each upload finds a new commit behind it, as with a busy app and a slow store.
    let path = "";
    let commits = 0;
    const wrap = (store: ObjectStore): ObjectStore => ({
      ...store,
      async put(key, body, options) {
        const stored = await store.put(key, body, options);
        if (commits > 0 && commits < 50) {
          commits += 1;
          await using busy = await startApp(path);
          await busy.commit();
        }
        return stored;
      },
    });
    await using replica = await replicated(driver, { wrap });
    path = replica.path;
    await replica.sync();
    await replica.app.commit();
    commits = 1;
    expect(await replica.sync()).toBe(1);
    expect(commits).toBe(2);
  });

  it("gives an object the time of its commit", async () => {
    await using replica = await replicated(driver);
    await replica.sync();
    const [file] = await readFiles(replica.store);
    expect(Math.round(statSync(join(replica.directory, "replica", file?.key ?? "")).mtimeMs)).toBe(
      file?.header.timestampMs,
    );
  });

  it.each([512, 1024, 2048, 4096, 8192, 16384, 32768, 65536])("replicates pages of %d bytes", async (pageSize) => {
    await using replica = await replicated(driver, { pageSize });
    await replica.sync();
    await replica.app.commit(20, { payloadBytes: 3000, keep: 5 });
    await replica.sync();
    await replica.app.exec("VACUUM");
    await replica.sync();
    const last = await replica.app.commit(5);
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: last });
    expect(replica.fullCopies).toHaveLength(1);
  });

  it.each([
    { autoVacuum: 0, reservedBytes: 32 },
    { autoVacuum: 1, reservedBytes: 0 },
    { autoVacuum: 1, reservedBytes: 32 },
    { autoVacuum: 2, reservedBytes: 0 },
    { autoVacuum: 2, reservedBytes: 32 },
  ])(
    "replicates auto_vacuum = $autoVacuum with $reservedBytes reserved bytes a page",
    async ({ autoVacuum, reservedBytes }) => {
      const makeWith = (path: string) => {
        makeReserved(path, { autoVacuum, reservedBytes });
      };
      await using replica = await replicated(driver, { makeWith });
      expect(await replica.app.all("PRAGMA auto_vacuum")).toEqual([{ auto_vacuum: autoVacuum }]);
      await replica.sync();
      await replica.app.commit(30, { payloadBytes: 5000, keep: 100 });
      await replica.sync();
      await replica.app.commit(1, { payloadBytes: 10, keep: 0 });
      await replica.app.exec("PRAGMA incremental_vacuum(20)");
      await replica.sync();
      const last = await replica.app.commit(3, { payloadBytes: 9000 });
      await replica.sync();
      expect(await replica.judge()).toEqual({ n: last });
    },
  );

  it("restores a database that shrank, grew and shrank again", async () => {
    await using replica = await replicated(driver);
    await replica.sync();
    for (let round = 0; round < 4; round += 1) {
      await replica.app.commit(20, { payloadBytes: 4000, keep: 100 });
      if (round % 2 === 0) await replica.sync();
      const last = await replica.app.commit(1, { payloadBytes: 10, keep: 0 });
      await replica.app.exec("VACUUM");
      await replica.sync();
      expect(await replica.judge()).toEqual({ n: last });
    }
    expect(replica.fullCopies).toHaveLength(1);
  });
});

describe("what is written", () => {
  it("follows the rules that Litestream's reader relies on", async () => {
    await using replica = await replicated(driver, { pageSize: 512 });
    await replica.sync();
    for (let round = 0; round < 12; round += 1) {
      await replica.app.commit(4, { payloadBytes: 3000, keep: round % 3 === 0 ? 0 : 50 });
      if (round % 4 === 1) await replica.app.exec("VACUUM");
      if (round % 2 === 0) await replica.sync();
      else await replica.sync();
      if (round === 6) {
        await replica.restart(async () => {
          await replica.app.checkpoint("TRUNCATE");
          await replica.app.commit();
        });
      }
    }
    const files = await readFiles(replica.store);
    expect(replica.fullCopies).toHaveLength(2);
    let pageCount = 0;
    let txid = 0n;
    for (const { header, pages, level } of files.filter((file) => file.level === 0)) {
      txid += 1n;
      expect(level).toBe(0);
      expect([header.min, header.max]).toEqual([txid, txid]);
      expect(header.wal.offsetBytes).toBeGreaterThanOrEqual(32);
      expect((header.wal.offsetBytes - 32) % 536).toBe(0);
      expect(header.wal.sizeBytes % 536).toBe(0);
      for (let page = pageCount + 1; page <= header.commit; page += 1) expect(pages).toContain(page);
      pageCount = header.commit;
    }
    const copies = files.filter((file) => file.level === 9);
    expect(copies).toHaveLength(2);
    for (const { header, pages } of copies) {
      expect(header.min).toBe(1n);
      expect(pages).toHaveLength(header.commit);
    }
    // The newest file of level 0 is what a writer that takes over looks for.
    expect(files.some(({ level, header }) => level === 0 && header.max === replica.replicator.lastTxid)).toBe(true);
  });
});

describe("the replica at every instant of its making", () => {
  it("is empty, or restores to a state that was committed and never to an older one", async () => {
    /** What the store holds after each step of an upload, the one that is under way among it. */
    const instants: (() => Promise<ReturnType<typeof judge> | "empty">)[] = [];
    let committed = 0;
    const wrap = (store: ObjectStore): ObjectStore => ({
      ...store,
      async put(key, body, options) {
        const judgeNow = async () => {
          const files = await listFiles(store);
          const copy = createMemoryStore();
          for (const { key: name, modifiedMs } of files) {
            const chunks: Uint8Array[] = [];
            for await (const chunk of (await store.get(name, { signal: never })) ?? []) chunks.push(chunk.slice());
            copy.objects.set(name, { bytes: new Uint8Array(Buffer.concat(chunks)), modifiedMs });
          }
          const upTo = committed;
          instants.push(async () => {
            if (files.length === 0) return "empty";
            using directory = temporaryDirectory();
            const found = await judgeReplica({ store: copy, driver, target: join(directory.path, "restored.db") });
            return "n" in found && found.n > upTo ? { wrong: `${found.n} was not committed then` } : found;
          });
        };
        async function* watched() {
          for await (const chunk of body) {
            await judgeNow();
            yield chunk;
          }
        }
        const stored = await store.put(key, watched(), options);
        await judgeNow();
        return stored;
      },
    });
    await using replica = await replicated(driver, { wrap });
    for (let round = 0; round < 6; round += 1) {
      committed = await replica.app.commit(3, { payloadBytes: 4000, keep: 5 });
      if (round === 3) await replica.app.exec("VACUUM");
      await replica.sync();
      await replica.sync();
      // With its state lost, the replicator begins anew with a copy of the whole database.
      if (round === 4) await replica.restart(() => replica.app.checkpoint("TRUNCATE"));
    }
    let newest = 0;
    let empty = 0;
    for (const instant of instants) {
      const found = await instant();
      if (found === "empty") {
        empty += 1;
        expect(newest).toBe(0);
        continue;
      }
      if ("wrong" in found) return expect.fail(found.wrong);
      expect(found.n).toBeGreaterThanOrEqual(newest);
      newest = found.n;
    }
    expect(newest).toBe(committed);
    expect(empty).toBeGreaterThan(0);
    expect(instants.length).toBeGreaterThan(12);
  });
});

describe("a store that fails", () => {
  it.each([1, 4])("gets the commit at the next try that works, after %d failures", async (failures) => {
    const left = { before: 0, after: 0 };
    await using replica = await replicated(driver, { wrap: (store) => failing(store, left) });
    await replica.app.commit(2);
    await replica.sync();
    await replica.app.commit();
    left.before = failures;
    for (let i = 0; i < failures; i += 1) {
      await expect(replica.sync()).rejects.toThrow("connection refused");
      await replica.app.commit(2);
      await replica.app.checkpoint("RESTART");
    }
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 3 + 2 * failures });
    expect(replica.fullCopies).toHaveLength(1);
  });

  it("may have stored what it said had failed: the next try finds its own bytes", async () => {
    const left = { before: 0, after: 0 };
    await using replica = await replicated(driver, { wrap: (store) => failing(store, left) });
    for (let n = 1; n <= 4; n += 1) {
      await replica.app.commit();
      left.after = 1;
      await expect(replica.sync()).rejects.toThrow("connection reset");
      await replica.sync();
    }
    expect(await replica.judge()).toEqual({ n: 4 });
    expect(await rangesAt(replica.store, 0)).toEqual(chain(4));
    expect(replica.fullCopies).toHaveLength(1);
  });

  it("may have stored a snapshot that it said had failed: the next one counts for it", async () => {
    const left = { before: 0, after: 0 };
    await using replica = await replicated(driver, { wrap: (store) => failing(store, left) });
    await replica.app.commit();
    await replica.replicator.sync({ signal: never });
    left.after = 1;
    await expect(replica.snapshot()).rejects.toThrow("connection reset");
    await replica.snapshot();
    expect(await rangesAt(replica.store, 9)).toEqual(["1-1"]);
    expect(readdirSync(join(replica.stateDirectory, "ltx/9"))).toEqual([]);
  });

  it("fails while our hold moves on: nothing is lost, whatever the app does meanwhile", async () => {
    const left = { before: 0, after: 0 };
    await using replica = await replicated(driver, { wrap: (store) => failing(store, left) });
    await replica.sync();
    for (let round = 0; round < 6; round += 1) {
      await replica.app.commit(3, { payloadBytes: 2000 });
      left.before = 1;
      await expect(replica.sync()).rejects.toThrow("connection refused");
      await replica.app.checkpoint("TRUNCATE");
      await replica.app.commit(2);
      await replica.app.checkpoint("TRUNCATE");
      await replica.sync();
      expect(await replica.judge()).toEqual({ n: 5 * (round + 1) });
    }
    expect(replica.fullCopies).toHaveLength(1);
  });

  it.each([
    ["in a copy of the whole database", 1],
    ["in what was committed", 2],
  ])("holds another's file under our name, %s: that is E_DIVERGED, and the file stays", async (_, txid) => {
    await using replica = await replicated(driver);
    for (let i = 1; i < txid; i += 1) await replica.sync();
    await replica.app.commit();
    const foreign = Buffer.from("written by someone else");
    await replica.store.put(level0(txid), [foreign], { signal: never });
    await expect(replica.sync()).rejects.toMatchObject({ code: "E_DIVERGED" });
    await expect(replica.sync()).rejects.toMatchObject({ code: "E_DIVERGED" });
    const stored = (await replica.store.get(level0(txid), { signal: never })) ?? [];
    expect(Buffer.concat(await Array.fromAsync(stored))).toEqual(foreign);
    // Neither a file with the same beginning and more behind it, nor a part of ours, is ours.
    expect(await rangesAt(replica.store, 0)).toEqual(chain(txid));
  });

  it("takes no longer and no shorter file for its own", async () => {
    for (const change of [(bytes: Buffer) => bytes.subarray(0, -1), (bytes: Buffer) => Buffer.concat([bytes, bytes])]) {
      const left = { before: 0, after: 1 };
      await using replica = await replicated(driver, { wrap: (store) => failing(store, left) });
      await replica.app.commit();
      await expect(replica.sync()).rejects.toThrow("connection reset");
      const bytes = Buffer.concat(await Array.fromAsync((await replica.store.get(level0(1), { signal: never })) ?? []));
      await replica.store.put(level0(1), [change(bytes)], { signal: never });
      await expect(replica.sync()).rejects.toMatchObject({ code: "E_DIVERGED" });
    }
  });

  it("belongs to another database: nothing is written", async () => {
    await using replica = await replicated(driver);
    const identity = Buffer.from(JSON.stringify({ databaseId: "another" }));
    await replica.store.put("flysqlite/identity.json", [identity], { signal: never });
    await expect(replica.sync()).rejects.toMatchObject({ code: "E_DIVERGED" });
    expect(await rangesAt(replica.store, 0)).toEqual([]);
  });

  it("is left alone once the signal is aborted", async () => {
    await using replica = await replicated(driver);
    await replica.app.commit();
    const reason = new Error("stop");
    await expect(replica.replicator.sync({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 1 });
  });
});

describe("a start on a volume that replicated before", () => {
  it("goes on without a copy where the log continues", async () => {
    await using replica = await replicated(driver);
    await replica.sync();
    await replica.app.commit(2);
    await replica.sync();
    for (const meanwhile of [0, 1, 5]) {
      await replica.restart(async () => meanwhile > 0 && replica.app.commit(meanwhile));
      await replica.sync();
    }
    expect(await replica.judge()).toEqual({ n: 8 });
    expect(replica.fullCopies).toHaveLength(1);
  });

  it("goes on where everything was checkpointed meanwhile, and the app writes on during the upload", async () => {
    // The new hold begins on a log that the next writer may overwrite.
    let path = "";
    let writeDuringPut = false;
    const wrap = (store: ObjectStore): ObjectStore => ({
      ...store,
      async put(key, body, options) {
        if (writeDuringPut && key.startsWith("ltx/")) {
          writeDuringPut = false;
          await using busy = await startApp(path);
          await busy.commit(10, { payloadBytes: 3000 });
        }
        return store.put(key, body, options);
      },
    });
    await using replica = await replicated(driver, { wrap });
    path = replica.path;
    await replica.sync();
    await replica.app.commit(2);
    await replica.sync();
    await replica.restart(async () => {
      await replica.app.commit(5, { payloadBytes: 2000 });
      await replica.app.checkpoint("PASSIVE");
    });
    writeDuringPut = true;
    await replica.sync();
    expect(writeDuringPut).toBe(false);
    expect(await replica.judge()).toEqual({ n: 7 });
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 17 });
    expect(replica.fullCopies).toHaveLength(1);
  });

  it("copies the whole database where the log was begun anew meanwhile, and says why", async () => {
    await using replica = await replicated(driver);
    await replica.sync();
    await replica.app.commit(2);
    await replica.sync();
    await replica.restart(async () => {
      await replica.app.commit();
      await replica.app.checkpoint("TRUNCATE");
      await replica.app.commit();
    });
    await replica.sync();
    expect(replica.fullCopies[1]).toContain("the log does not continue from the replica");
    expect(await rangesAt(replica.store, 0)).toEqual(chain(3));
    expect(await rangesAt(replica.store, 9)).toEqual(["1-1", "1-3"]);
    expect(await replica.judge()).toEqual({ n: 4 });
    await replica.app.commit();
    await replica.sync();
    expect(await rangesAt(replica.store, 0)).toEqual(chain(4));
  });

  it("remembers what it uploads of an earlier start's files, also where the log does not lead on from them", async () => {
    let away = false;
    const wrap = (store: ObjectStore): ObjectStore => ({
      ...store,
      put: (key, body, options) => (away ? Promise.reject(new Error("no route")) : store.put(key, body, options)),
    });
    await using replica = await replicated(driver, { wrap });
    await replica.sync();
    await replica.app.commit();
    await replica.capture();
    away = true;
    await expect(replica.upload()).rejects.toThrow("no route"); // by then it is durable
    away = false;
    await replica.restart(async () => {
      await replica.app.commit();
      await replica.app.checkpoint("TRUNCATE");
      await replica.app.commit();
    });
    await replica.upload(); // and it dies before the copy that has to follow
    expect(await rangesAt(replica.store, 0)).toEqual(chain(2));
    await replica.restart(); // fails where the replica seems to be ahead of the volume
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 3 });
  });

  it("passes over an earlier start's files that the database may have lost in a power cut", async () => {
    await using replica = await replicated(driver);
    await replica.sync();
    await replica.app.commit();
    await replica.capture(); // without an upload nothing makes it durable
    await replica.restart(async () => {
      await replica.app.checkpoint("TRUNCATE");
      await replica.app.commit();
    });
    await replica.sync();
    expect(await rangesAt(replica.store, 0)).toEqual(chain(2)); // the second is the copy
    expect(replica.fullCopies).toHaveLength(2);
    expect(await replica.judge()).toEqual({ n: 2 });
  });

  it("copies the whole database where the log breaks off in the middle of the work", async () => {
    await using replica = await replicated(driver);
    await replica.sync();
    await replica.app.commit();
    await replica.sync();
    const { position } = replica.attached;
    if (position?.kind !== "log") throw new Error("the log is empty");
    const header = { ...position.header, salts: [position.header.salts[0] - 1, 4711] as const };
    replica.attached.advance({ position: { ...position, header }, sealed: false });
    const last = await replica.app.commit();
    await replica.sync();
    expect(replica.fullCopies[1]).toContain("the log was restarted before it was copied");
    expect(await rangesAt(replica.store, 0)).toEqual(chain(3));
    expect(await replica.judge()).toEqual({ n: last });
  });

  it("notes what is under way before it uploads, and keeps the files of level 0 beside the database", async () => {
    await using replica = await replicated(driver);
    await replica.sync();
    const state = readState(replica.stateDirectory);
    expect(state).toMatchObject({ acked: undefined, pending: { txid: 1n }, replica: replica.store.address });
    await replica.app.commit();
    await replica.sync();
    expect(readState(replica.stateDirectory)).toMatchObject({ acked: { txid: 1n }, pending: { txid: 2n } });
    expect(readdirSync(replica.stateDirectory)).toEqual(["captured.json", "ltx", "replication.json"]);
    expect(readdirSync(join(replica.stateDirectory, "ltx/0"))).toHaveLength(2);
  });
});

describe("the log", () => {
  it("is kept from growing, without a copy of the whole database", async () => {
    await using replica = await replicated(driver, { pageSize: 512 });
    await replica.sync();
    const salts = new Set<string>();
    for (let round = 0; round < 12; round += 1) {
      await replica.app.commit(15, { payloadBytes: 20_000, keep: 5 });
      await replica.sync();
      if (replica.attached.position?.kind === "log") salts.add(replica.attached.position.header.salts.join());
    }
    expect(salts.size).toBeGreaterThanOrEqual(5);
    expect(replica.attached.walState().frames).toBeLessThan(4000);
    expect(replica.fullCopies).toHaveLength(1);
    expect(await replica.judge()).toEqual({ n: 180 });
  });

  it("is emptied by keeping writers waiting for a moment, where nothing gentler did it", async () => {
    const labels: string[] = [];
    await using replica = await replicated(driver, { pageSize: 512, at: (label) => void labels.push(label) });
    await replica.sync();
    await using slow = await startApp(replica.path);
    await slow.exec("BEGIN");
    await slow.all("SELECT count(*) FROM chain"); // keeps the log from being checkpointed
    await replica.app.commit(110, { payloadBytes: 40_000, keep: 5 });
    await replica.sync();
    expect(labels).toContain("sealing");
    await replica.app.commit(5);
    await slow.exec("COMMIT");
    await replica.sync();
    await replica.app.commit(5);
    await replica.sync();
    expect(replica.fullCopies).toHaveLength(1);
    expect(await replica.judge()).toEqual({ n: 120 });
  });

  it("is due long before the app thinks of a checkpoint, where our hold is at the start of it", async () => {
    await using replica = await replicated(driver, { pageSize: 512 });
    await replica.sync();
    await replica.app.commit(40, { payloadBytes: 20_000, keep: 5 });
    await replica.sync();
    expect(replica.attached.isSealed).toBe(true);
    await replica.app.commit(); // begins the log anew
    expect(replica.replicator.isCaptureDue).toBe(false);
    await replica.app.commit(10, { payloadBytes: 20_000, keep: 5 });
    expect(replica.attached.walState().frames).toBeLessThan(1000); // SQLite's own default
    expect(replica.replicator.isCaptureDue).toBe(true);
    await replica.capture();
    expect(replica.attached.isSealed).toBe(false);
    expect(replica.replicator.isCaptureDue).toBe(false);
  });
});

describe("a log that writers keep long", () => {
  /** Things to do at a step, in turn; nothing once they are used up. */
  type Script = Map<string, (() => void)[]>;

  async function longLog(script: Script) {
    const at = (label: string) => script.get(label)?.shift()?.();
    const replica = await replicated(driver, { pageSize: 512, at });
    await replica.sync();
    await replica.app.commit(110, { payloadBytes: 40_000, keep: 5 });
    return replica;
  }

  it("ships what was captured under the write lock, though the log is overwritten at once", async () => {
    const script: Script = new Map();
    await using replica = await longLog(script);
    const commit = () => commitMeanwhile(replica.path, 3000);
    script.set("checkpoint", [commit]); // so that the gentle way fails
    script.set("reader ended", [() => {}, commit]); // after all was copied: the tail
    script.set("write lock released", [() => commitMeanwhile(replica.path, 6_000_000)]);
    await replica.sync();
    expect([...script.values()]).toEqual([[], [], []]);
    const { attached } = replica;
    const { frames } = attached.walState();
    expect(attached.uncapturedFrames()).toBe(frames); // the log was begun anew,
    expect(attached.position).toMatchObject({ kind: "log", frame: expect.toSatisfy((tail) => tail < frames) }); // to behind the tail
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 113 });
    expect(replica.fullCopies).toHaveLength(1);
  });

  it("copies the whole database where the log can't be read, and checkpoints nothing before", async () => {
    const script: Script = new Map();
    await using replica = await longLog(script);
    const { attached } = replica;
    const commit = () => commitMeanwhile(replica.path, 3000);
    const damage = () => {
      commit();
      const { position } = attached;
      if (position?.kind !== "log") throw new Error("the log is empty");
      // To the reader it is the same: the frames behind the position don't continue its checksum.
      attached.advance({ position: { ...position, checksum: [position.checksum[0] ^ 1, 0] }, sealed: false });
    };
    script.set("checkpoint", [commit]);
    script.set("reader ended", [() => {}, damage]);
    await replica.sync();
    const { frames, checkpointed } = attached.walState();
    expect(checkpointed).toBeLessThan(frames);
    const last = await replica.app.commit();
    await replica.sync();
    expect(replica.fullCopies[1]).toContain("wrong checksum");
    expect(await replica.judge()).toEqual({ n: last });
  });
});

/** A database with the workload's tables whose pages keep some bytes at their end free, as extensions ask for. */
function makeReserved(
  path: string,
  { autoVacuum, reservedBytes }: { readonly autoVacuum: number; readonly reservedBytes: number },
): void {
  {
    using database = new DatabaseSync(path);
    database.exec(`PRAGMA page_size = 1024; PRAGMA auto_vacuum = ${autoVacuum}; VACUUM`);
  }
  const bytes = readFileSync(path);
  bytes[20] = reservedBytes; // per page
  bytes.writeUInt16BE(1024 - reservedBytes, 105); // where the first page's cells begin: it has none yet
  writeFileSync(path, bytes);
  using database = new DatabaseSync(path);
  database.exec(`PRAGMA journal_mode = WAL; ${SCHEMA}`);
}

describe("what the replica lacks", () => {
  it("is everything before the first copy, then what is committed and not there yet", async () => {
    await using replica = await replicated(driver);
    const { replicator, app } = replica;
    await app.commit(3);
    expect(replicator.backlog).toMatchObject({ transactions: 0, wholeDatabase: true, completeUntilMs: undefined });
    expect(replicator.lastUploadMs).toBeUndefined();
    await replica.capture();
    expect(replicator.backlog).toMatchObject({ transactions: 1, wholeDatabase: false, completeUntilMs: undefined });
    expect(replicator.backlog.bytes).toBeGreaterThan(0);
    await replica.upload();
    expect(replicator.lastUploadMs).toBeLessThanOrEqual(Date.now());
    await replica.sync();
    const complete = replicator.backlog;
    expect(complete).toMatchObject({ transactions: 0, bytes: 0, uncapturedBytes: 0, wholeDatabase: false, ageMs: 0 });
    const beforeMs = Date.now();
    expect(complete.completeUntilMs).toBeLessThanOrEqual(beforeMs + 1); // both are rounded

    await app.commit();
    expect(replicator.backlog.uncapturedBytes).toBeGreaterThan(0);
    expect(replicator.backlog.ageMs).toBeGreaterThan(0);
    await replica.capture();
    await app.commit();
    await replica.capture();
    expect(replicator.backlog).toMatchObject({ transactions: 2, uncapturedBytes: 0 });
    expect(replicator.backlog.completeUntilMs).toBeLessThanOrEqual(beforeMs + 1);
    await replica.upload();
    expect(replicator.backlog).toMatchObject({ transactions: 0, bytes: 0, ageMs: 0 });
  });

  it("is told of an earlier process too", async () => {
    await using replica = await replicated(driver);
    await replica.sync();
    await replica.app.commit();
    await replica.capture();
    await replica.restart();
    expect(replica.replicator.backlog).toMatchObject({ transactions: 1, completeUntilMs: undefined });
    expect(replica.replicator.backlog.ageMs).toBeGreaterThan(0);
    await replica.sync();
    expect(replica.replicator.backlog).toMatchObject({ transactions: 0, ageMs: 0 });
  });

  it("makes a sync fail where the volume has no room to note anything", async () => {
    let isFull = false;
    const full = () => Promise.reject(Object.assign(new Error("no space left on device"), { code: "ENOSPC" }));
    const wrapLocal = (store: ObjectStore): ObjectStore => ({
      ...store,
      put: (key, body, options) => (isFull ? full() : store.put(key, body, options)),
    });
    await using replica = await replicated(driver, { wrapLocal });
    await replica.sync();
    isFull = true;
    const n = await replica.app.commit();
    await expect(replica.sync()).rejects.toThrow("the volume has no room");
    expect(replica.replicator.backlog).toMatchObject({ wholeDatabase: true });
    isFull = false;
    await replica.sync();
    expect(await replica.judge()).toEqual({ n });
    expect(replica.replicator.backlog).toMatchObject({ wholeDatabase: false, ageMs: 0 });
  });
});
