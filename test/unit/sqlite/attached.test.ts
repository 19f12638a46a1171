import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { AssertionError } from "../../../src/base/assert.ts";
import { attach, type Position } from "../../../src/sqlite/attached.ts";
import { SqliteError } from "../../../src/sqlite/driver.ts";
import { SQLITE_BUSY } from "../../../src/sqlite/result-codes.ts";
import { type App, commitMeanwhile, startApp } from "../../support/app.ts";
import { installedDriver } from "../../support/driver.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { judge, makeDatabase } from "../../support/workload.ts";
import { createCopy, type Held, hold, holdsReadLock, locksOn, watched } from "./support.ts";
import { encodeFrame, pageOf } from "./wal/support.ts";

const driver = await installedDriver();

/** Spills a transaction of about 200 KB into the log, and takes it back. */
const SPILL = `PRAGMA cache_size = 10; BEGIN IMMEDIATE; CREATE TABLE spill AS
  WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 200) SELECT x, randomblob(900) AS b FROM c; ROLLBACK`;

/** The position, which must be one in the log. */
function inLog(position: Position | undefined): Extract<Position, { kind: "log" }> {
  if (position?.kind !== "log") throw new Error(`the position is ${position?.kind}`);
  return position;
}

/** Tries to get the write lock from another process, without waiting for it. */
function otherProcessCanWrite(path: string): boolean {
  const script = `const { DatabaseSync } = require("node:sqlite"); const database = new DatabaseSync(${JSON.stringify(path)});
    try { database.exec("BEGIN IMMEDIATE; ROLLBACK"); console.log("yes"); } catch (error) { console.log(error.message); }`;
  return execFileSync(process.execPath, ["-e", script], { encoding: "utf8" }).trim() === "yes";
}

describe("attach", () => {
  it("sets WAL mode where the database has a rollback journal", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "app.db");
    {
      using database = new DatabaseSync(path);
      database.exec("PRAGMA page_size = 8192; CREATE TABLE t (x)");
    }
    const attached = attach(path, { driver, at: () => {} });
    try {
      expect(attached.pageSize).toBe(8192);
      await using app = await startApp(path);
      expect(await app.all("PRAGMA journal_mode")).toEqual([{ journal_mode: "wal" }]);
    } finally {
      attached.close();
    }
  });

  it("fails for a file that is no database, and for none", () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "app.db");
    expect(() => attach(path, { driver, at: () => {} })).toThrow("ENOENT");
    writeFileSync(path, "no database at all, but longer than a header of one hundred bytes".repeat(100));
    expect(() => attach(path, { driver, at: () => {} })).toThrow("not a database");
  });
});

describe("capture", () => {
  it("gives exactly what was committed, commit by commit", async () => {
    await using held = await hold(driver);
    const { app, copy } = held;
    copy.begin();
    expect(copy.catchUp()).toBe("nothing");
    for (let round = 0; round < 20; round += 1) {
      const last = await app.commit(1 + (round % 3));
      expect(copy.catchUp()).toBe("changes");
      expect(copy.catchUp()).toBe("nothing");
      expect(copy.judge()).toEqual({ n: last });
    }
  });

  it.each([512, 1024, 2048, 4096, 8192, 16384, 32768, 65536])("works with pages of %d bytes", async (pageSize) => {
    await using held = await hold(driver, { pageSize });
    held.copy.begin();
    await held.app.commit(30, { payloadBytes: 2000, keep: 5 });
    expect(held.copy.catchUp()).toBe("changes");
    expect(held.copy.judge()).toEqual({ n: 30 });
  });

  it("sees nothing of a transaction that is open, or that was taken back after it spilled to the log", async () => {
    await using held = await hold(driver);
    const { app, copy, path } = held;
    copy.begin();
    await app.commit(3);
    copy.catchUp();
    const before = statSync(`${path}-wal`).size;
    await app.exec(SPILL.replace("ROLLBACK", ""));
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(before);
    expect(copy.catchUp()).toBe("nothing");
    await app.exec("ROLLBACK");
    expect(copy.catchUp()).toBe("nothing");
    const last = await app.commit(2); // over the spilled frames
    expect(copy.catchUp()).toBe("changes");
    expect(copy.judge()).toEqual({ n: last });
  });

  it("reads no further than SQLite says, though a sound commit stands in the log behind that", async () => {
    await using held = await hold(driver);
    const { app, attached, copy, path } = held;
    copy.begin();
    const last = await app.commit(2);
    copy.catchUp();
    // What a commit leaves behind whose fsync failed: the app was told that it did not happen.
    const { header, checksum, frame } = inLog(attached.position);
    const phantom = { page: 2, commitSize: 9, data: pageOf(header.pageSize, 0xee) };
    expect(statSync(`${path}-wal`).size).toBe(32 + frame * (24 + header.pageSize));
    await appendFile(`${path}-wal`, encodeFrame(phantom, { after: checksum, ...header }).bytes);
    expect(copy.catchUp()).toBe("nothing");
    expect(copy.judge()).toEqual({ n: last });
    const next = await app.commit();
    expect(copy.catchUp()).toBe("changes");
    expect(copy.judge()).toEqual({ n: next });
  });

  it("is none the wiser by a VACUUM: the copy shrinks and grows with the database", async () => {
    await using held = await hold(driver);
    const { app, copy } = held;
    copy.begin();
    await app.commit(30, { payloadBytes: 3000, keep: 100 });
    copy.catchUp();
    const large = copy.bytes().byteLength;
    await app.commit(1, { payloadBytes: 10, keep: 0 });
    await app.exec("VACUUM");
    copy.catchUp();
    expect(copy.bytes().byteLength).toBeLessThan(large / 2);
    expect(copy.judge()).toEqual({ n: 31 });
    await app.commit(1, { payloadBytes: 10, keep: 0 });
    await app.exec("VACUUM");
    await app.commit(20, { payloadBytes: 3000, keep: 100 });
    copy.catchUp(); // shrunk and grown again within one capture
    expect(copy.judge()).toEqual({ n: 52 });
  });

  it("is broken, and not empty, where the log is damaged", async () => {
    await using held = await hold(driver);
    const { app, copy, path, attached } = held;
    copy.begin();
    await app.commit();
    const wal = readFileSync(`${path}-wal`);
    wal[wal.length - 5] = (wal[wal.length - 5] ?? 0) ^ 1;
    writeFileSync(`${path}-wal`, wal);
    expect(attached.capture()).toMatchObject({ kind: "broken", reason: expect.stringContaining("wrong checksum") });
    expect(() => attached.snapshot()).toThrow("wrong checksum");
  });

  it("takes no damaged header for an empty log", async () => {
    await using held = await hold(driver);
    const { app, path, attached } = held;
    await app.commit();
    const wal = readFileSync(`${path}-wal`);
    wal[20] = (wal[20] ?? 0) ^ 1;
    writeFileSync(`${path}-wal`, wal);
    expect(() => attached.snapshot()).toThrow("no sound header");
    expect(await app.checkpoint("PASSIVE")).toMatchObject({ busy: 0 }); // and the attempt left no reader behind
  });
});

describe("while the database is held", () => {
  it.each(["PASSIVE", "FULL", "RESTART", "TRUNCATE"] as const)(
    "no commit is missed by the app's %s checkpoints",
    async (mode) => {
      await using held = await hold(driver);
      const { app, attached, copy } = held;
      copy.begin();
      for (let round = 0; round < 25; round += 1) {
        const last = await app.commit(2, { payloadBytes: 2000 });
        await app.checkpoint(mode);
        if (round % 2 === 0) await attached.handOver(async () => void copy.catchUp());
        await app.checkpoint(mode);
        if (round % 3 === 0) expect(copy.take(attached.capture())).not.toBe("broken");
        else continue;
        expect(copy.judge()).toEqual({ n: last });
      }
    },
  );

  it("no commit is missed by the app's autocheckpoint", async () => {
    await using held = await hold(driver);
    const { app, attached, copy } = held;
    copy.begin();
    await app.exec("PRAGMA wal_autocheckpoint = 1");
    const salts = new Set<number>();
    for (let round = 0; round < 30; round += 1) {
      const last = await app.commit(3);
      await attached.handOver(async () => void copy.catchUp());
      attached.checkpoint();
      await attached.handOver(async () => void copy.catchUp());
      expect(copy.judge()).toEqual({ n: last });
      salts.add(inLog(attached.position).header.salts[0]);
    }
    expect(salts.size).toBeGreaterThan(5); // the log did begin anew meanwhile
  });

  it("TRUNCATE and RESTART answer that the database is busy while there is something to lose", async () => {
    await using held = await hold(driver);
    held.copy.begin();
    await held.app.commit(5);
    expect(await held.app.checkpoint("TRUNCATE")).toMatchObject({ busy: 1 });
    expect(await held.app.checkpoint("RESTART")).toMatchObject({ busy: 1 });
    expect(held.copy.catchUp()).toBe("changes");
    expect(held.copy.judge()).toEqual({ n: 5 });
  });

  it("the log survives the end of the app's last connection", async () => {
    await using held = await hold(driver);
    const { app, copy, path } = held;
    copy.begin();
    const last = await app.commit(5);
    await app.close();
    expect(existsSync(`${path}-wal`)).toBe(true);
    expect(copy.catchUp()).toBe("changes");
    await app.open();
    const next = await app.commit(2);
    expect(copy.catchUp()).toBe("changes");
    expect(next).toBe(last + 2);
    expect(copy.judge()).toEqual({ n: next });
  });

  it("the app can't leave WAL mode", async () => {
    await using held = await hold(driver);
    await expect(held.app.exec("PRAGMA journal_mode = DELETE")).rejects.toThrow("locked");
    expect(await held.app.all("PRAGMA journal_mode")).toEqual([{ journal_mode: "wal" }]);
  });

  it("the kernel lists our locks, after many rounds too", async () => {
    await using held = await hold(driver);
    const { app, attached, copy, path } = held;
    expect(holdsReadLock(path)).toBe(true);
    copy.begin();
    for (let round = 0; round < 200; round += 1) {
      if (round % 10 === 0) await app.commit(2);
      if (round % 30 === 0) await app.checkpoint("PASSIVE");
      copy.catchUp();
      attached.syncWal();
      await attached.handOver(async () => void copy.catchUp());
      attached.isStillThere();
      if (round % 50 === 0) copy.begin();
    }
    expect(holdsReadLock(path)).toBe(true);
    expect(locksOn(path).some(({ first, last }) => first <= 128 && last >= 128)).toBe(true); // "someone is connected"
  });
});

describe("a restart of the log", () => {
  /** A log that is wholly copied and wholly checkpointed, and our reader began after that. */
  async function sealed(held: Held): Promise<number> {
    held.copy.begin();
    const last = await held.app.commit(3);
    await held.attached.handOver(async () => void held.copy.catchUp());
    held.attached.checkpoint();
    await held.attached.handOver(async () => void held.copy.catchUp());
    const { frames, checkpointed } = held.attached.walState();
    expect(frames).toBe(checkpointed);
    return last;
  }

  it("is accepted where everything had been copied", async () => {
    await using held = await hold(driver);
    const { app, attached, copy } = held;
    const last = await sealed(held);
    const before = inLog(attached.position);
    const next = await app.commit();
    expect(attached.walState().frames).toBeLessThan(before.frame); // it did restart
    expect(copy.catchUp()).toBe("changes");
    expect(inLog(attached.position).header.salts[0]).toBe((before.header.salts[0] + 1) >>> 0);
    expect(next).toBe(last + 1);
    expect(copy.judge()).toEqual({ n: next });
  });

  it("is noticed by its salts, and not by its length: what it has since is not captured", async () => {
    await using held = await hold(driver);
    const { app, attached, copy } = held;
    const last = await sealed(held);
    const before = inLog(attached.position);
    expect(attached.uncapturedFrames()).toBe(0);
    let n = last;
    while (attached.walState().frames < before.frame || n === last) n = await app.commit();
    expect(attached.uncapturedFrames()).toBe(attached.walState().frames);
    expect(copy.catchUp()).toBe("changes");
    expect(attached.uncapturedFrames()).toBe(0);
    expect(copy.judge()).toEqual({ n });
  });

  it("can't come a second time before it is copied", async () => {
    await using held = await hold(driver);
    const { app, copy } = held;
    await sealed(held);
    for (const mode of ["PASSIVE", "FULL", "RESTART", "TRUNCATE"] as const) {
      await app.commit();
      await app.checkpoint(mode);
    }
    expect(copy.catchUp()).toBe("changes");
    expect(copy.judge()).toEqual({ n: 7 });
  });

  // Only the marks differ from what may happen: the log itself can't be brought there while it is held.
  it.each([
    ["salts that grew by one, but after something was not copied", { by: 1, sealed: false, kind: "broken" }],
    ["salts that grew by two", { by: 2, sealed: true, kind: "broken" }],
    ["salts that went down", { by: -1, sealed: true, kind: "broken" }],
    ["salts that grew by one where all was copied", { by: 1, sealed: true, kind: "changes" }],
  ] as const)("is judged by its salts: %s", async (_, { by, sealed: wasSealed, kind }) => {
    // A log that was begun anew before: the first one of a file may have any salts.
    const prepare = async (app: App) => {
      await app.commit();
      await app.checkpoint("RESTART");
      await app.commit();
    };
    await using held = await hold(driver, { prepare });
    const { app, attached } = held;
    held.copy.begin();
    await app.commit(2);
    held.copy.catchUp();
    const now = inLog(attached.position);
    const before: Position = { ...now, header: { ...now.header, salts: [(now.header.salts[0] - by) >>> 0, 4711] } };
    attached.advance({ position: before, sealed: wasSealed });
    expect(attached.capture().kind).toBe(kind);
  });

  it("may have drawn all its salts anew, where the app truncated what was copied", async () => {
    await using held = await hold(driver);
    const { app, attached, copy } = held;
    copy.begin();
    await app.commit(2);
    await attached.handOver(async () => void copy.catchUp());
    attached.checkpoint();
    await attached.handOver(async () => void copy.catchUp());
    const before = inLog(attached.position);
    await app.checkpoint("TRUNCATE");
    await using other = await startApp(held.path); // has made no checkpoint, and so draws both salts
    const last = await other.commit();
    expect(inLog(attached.position)).toBe(before);
    expect(copy.catchUp()).toBe("changes");
    expect(inLog(attached.position).header.salts[0]).not.toBe((before.header.salts[0] + 1) >>> 0);
    expect(copy.judge()).toEqual({ n: last });
  });

  it("is accepted where the app truncated the empty log once more before it wrote again", async () => {
    await using held = await hold(driver);
    const last = await sealed(held);
    const { app, attached, copy } = held;
    for (let time = 0; time < 3; time += 1) {
      expect(await app.checkpoint("TRUNCATE")).toMatchObject({ busy: 0, log: 0 });
      expect(copy.catchUp()).toBe("nothing");
    }
    await app.commit();
    expect(copy.catchUp()).toBe("changes");
    expect(inLog(attached.position).frame).toBeGreaterThan(0);
    expect(copy.judge()).toEqual({ n: last + 1 });
  });

  it("is not seen in the log of another database that was put in this one's place", async () => {
    await using held = await hold(driver);
    const last = await sealed(held);
    const { path, directory, copy } = held;
    const other = join(directory, "other.db");
    makeDatabase(other, { pageSize: 1024 });
    await using otherApp = await startApp(other);
    for (let n = 0; n < 30; n += 1) await otherApp.commit(); // a commit ends wherever the held log did
    for (const suffix of ["", "-wal", "-shm"]) renameSync(`${other}${suffix}`, `${path}${suffix}`);
    expect(copy.catchUp()).toBe("nothing");
    expect(copy.judge()).toEqual({ n: last });
  });

  it("is noticed where the last copied frame is another one under the same salts", async () => {
    await using held = await hold(driver);
    const { app, attached, copy } = held;
    copy.begin();
    await app.commit(2);
    copy.catchUp();
    const now = inLog(attached.position);
    attached.advance({ position: { ...now, checksum: [now.checksum[0] ^ 1, now.checksum[1]] }, sealed: false });
    expect(attached.capture()).toMatchObject({ kind: "broken", reason: "the last copied frame was overwritten" });
    await app.commit();
    expect(attached.capture()).toMatchObject({ kind: "broken", reason: expect.stringContaining("checksum") });
  });

  it("leaves pages readable that were captured from a log that was checkpointed before we attached", async () => {
    // The app checkpointed everything, and writes again after the capture: our reader does not keep it from
    // beginning the log anew.
    await using held = await hold(driver);
    const { app, attached, copy, path, directory } = held;
    copy.begin();
    await app.commit(3);
    copy.catchUp();
    const behind = inLog(attached.position);
    await app.commit(3);
    held.release(); // the app keeps the log
    await app.checkpoint("PASSIVE");

    const again = attach(path, { driver, at: () => {} });
    try {
      const { frames, checkpointed } = again.walState();
      expect(frames).toBe(checkpointed);
      expect(again.resume(behind)).toBe(true);
      const found = again.capture();
      await app.commit(10, { payloadBytes: 3000 });
      expect(readFileSync(`${path}-wal`).readUInt32BE(16)).not.toBe(behind.header.salts[0]); // it began anew
      const continued = createCopy(again, join(directory, "continued.db"), copy.bytes());
      expect(continued.take(found)).toBe("changes");
      expect(continued.judge()).toEqual({ n: 6 });
      expect(continued.catchUp()).toBe("changes");
      expect(continued.judge()).toEqual({ n: 16 });
    } finally {
      again.close();
    }
  });
});

describe("handOver", () => {
  it("leaves no moment without a reader", async () => {
    let watching = false;
    let path = "";
    const gaps: string[] = [];
    let looks = 0;
    const look = (sql: string) => {
      if (!watching) return;
      looks += 1;
      if (!holdsReadLock(path)) gaps.push(sql);
    };
    await using held = await hold(watched(driver, { after: look }), { at: look });
    const { app, attached, copy } = held;
    path = held.path;
    copy.begin();
    watching = true;
    for (let round = 0; round < 10; round += 1) {
      await app.commit();
      attached.checkpoint();
      await attached.handOver(async () => void copy.catchUp());
    }
    watching = false;
    expect(gaps).toEqual([]);
    expect(looks).toBeGreaterThan(50);
  });

  it("keeps the old reader where the copy fails, and works the next time", async () => {
    await using held = await hold(driver);
    const { app, attached, copy, path } = held;
    copy.begin();
    const last = await app.commit(2);
    const failing = attached.handOver(async () => {
      throw new Error("the store is away");
    });
    await expect(failing).rejects.toThrow("the store is away");
    expect(holdsReadLock(path)).toBe(true);
    expect(await app.checkpoint("TRUNCATE")).toMatchObject({ busy: 1 });
    await attached.handOver(async () => void copy.catchUp());
    expect(copy.judge()).toEqual({ n: last });
  });

  it("works the next time where the new reader could not begin", async () => {
    let failures = 0;
    const before = (sql: string) => {
      if (failures > 0 && sql.startsWith("SELECT")) {
        failures -= 1;
        throw new SqliteError("database is locked", 261); // SQLITE_BUSY_RECOVERY
      }
    };
    await using held = await hold(watched(driver, { before }));
    const { app, attached, copy } = held;
    copy.begin();
    failures = 1;
    await expect(attached.handOver(async () => void copy.catchUp())).rejects.toThrow("locked");
    const last = await app.commit();
    await attached.handOver(async () => void copy.catchUp());
    expect(copy.judge()).toEqual({ n: last });
  });
});

describe("sealedCheckpoint", () => {
  it("copies and checkpoints everything while writers are locked out, so that the next one restarts the log", async () => {
    const couldWrite: boolean[] = [];
    let path = "";
    const at = (label: string) => void (label === "checkpoint" && couldWrite.push(otherProcessCanWrite(path)));
    await using held = await hold(driver, { at });
    const { app, attached, copy } = held;
    path = held.path;
    copy.begin();
    await app.commit(3);
    copy.catchUp();
    const { frame } = inLog(attached.position);
    await app.commit(2);
    expect(attached.sealedCheckpoint(() => copy.catchUp() === "changes")).toBe(true);
    expect(couldWrite).toEqual([false]);
    expect(otherProcessCanWrite(path)).toBe(true);

    attached.advance({ position: inLog(attached.position), sealed: true });
    await app.commit();
    expect(attached.walState().frames).toBeLessThan(frame);
    expect(copy.catchUp()).toBe("changes");
    expect(copy.judge()).toEqual({ n: 6 });
  });

  it("does nothing where a writer keeps its lock", async () => {
    await using held = await hold(driver);
    const { app, attached, copy, path } = held;
    copy.begin();
    await app.commit(3);
    await app.exec("BEGIN IMMEDIATE; DELETE FROM chain");
    let copied = false;
    expect(attached.sealedCheckpoint(() => (copied = true))).toBeUndefined();
    expect(copied).toBe(false);
    expect(attached.walState().checkpointed).toBe(0);
    expect(holdsReadLock(path)).toBe(true);
    await app.exec("ROLLBACK");
    expect(attached.sealedCheckpoint(() => copy.catchUp() === "changes")).toBe(true);
  });

  it("checkpoints nothing that could not be copied", async () => {
    await using held = await hold(driver);
    const { app, attached, copy } = held;
    copy.begin();
    await app.commit(3);
    expect(attached.sealedCheckpoint(() => false)).toBeUndefined();
    expect(attached.walState().checkpointed).toBe(0);
    expect(copy.catchUp()).toBe("changes");
    expect(copy.judge()).toEqual({ n: 3 });
  });

  it("tells that the log is not sealed where another reader keeps a part of it", async () => {
    await using held = await hold(driver);
    const { app, attached, copy, path } = held;
    copy.begin();
    await using slow = await startApp(path);
    await slow.exec("BEGIN");
    await slow.all("SELECT count(*) FROM chain");
    await app.commit(3);
    expect(attached.sealedCheckpoint(() => copy.catchUp() === "changes")).toBe(false);
    const last = await app.commit(2);
    expect(copy.catchUp()).toBe("changes");
    expect(copy.judge()).toEqual({ n: last });
  });

  it("waits for the app's own checkpoint where that one is under way", async () => {
    let busyTries = 0;
    const before = (sql: string) => {
      if (busyTries === 0 || !sql.includes("PASSIVE")) return;
      busyTries -= 1;
      throw new SqliteError("database is locked", SQLITE_BUSY);
    };
    await using held = await hold(watched(driver, { before }));
    const { app, attached, copy } = held;
    copy.begin();
    await app.commit(3);
    busyTries = 10;
    expect(attached.sealedCheckpoint(() => copy.catchUp() === "changes")).toBe(true);
    expect(busyTries).toBe(0);
  });

  it("is the end of the process where our hold can't be taken up again after it", async () => {
    let isSealing = false;
    const before = (sql: string) => {
      if (isSealing && sql.includes("sqlite_schema")) throw new SqliteError("disk I/O error", 10);
    };
    const at = (label: string) => {
      isSealing = label === "checkpoint" || (isSealing && label !== "write lock released");
    };
    await using held = await hold(watched(driver, { before }), { at });
    const { app, attached, copy } = held;
    copy.begin();
    await app.commit(3);
    const seal = () => attached.sealedCheckpoint(() => copy.catchUp() === "changes");
    expect(seal).toThrow(AssertionError);
    expect(otherProcessCanWrite(held.path)).toBe(true);
  });

  it("leaves a reader behind, and no lock, where the checkpoint fails", async () => {
    let failing = false;
    const before = (sql: string) => {
      if (failing && sql.includes("PASSIVE")) throw new SqliteError("disk I/O error", 10);
    };
    await using held = await hold(watched(driver, { before }));
    const { app, attached, copy, path } = held;
    copy.begin();
    await app.commit(3);
    failing = true;
    expect(() => attached.sealedCheckpoint(() => copy.catchUp() === "changes")).toThrow("disk I/O error");
    failing = false;
    expect(holdsReadLock(path)).toBe(true);
    const last = await app.commit();
    await attached.handOver(async () => void copy.catchUp());
    expect(copy.judge()).toEqual({ n: last });
  });
});

describe("snapshot", () => {
  it.each([
    ["all in the log", async () => {}],
    [
      "some in the log, some in the database file",
      async (app: App) => {
        await app.checkpoint("PASSIVE");
        await app.commit(3);
      },
    ],
    ["all in the database file", async (app: App) => void (await app.checkpoint("PASSIVE"))],
    ["with an empty log", async (app: App) => void (await app.checkpoint("TRUNCATE"))],
  ])("is the database at one commit while others write and checkpoint: %s", async (_, arrange) => {
    await using held = await hold(driver, {
      prepare: async (app) => {
        await app.commit(40, { payloadBytes: 3000 });
        await arrange(app);
      },
    });
    const { app, attached, copy } = held;
    const [head] = await app.all("SELECT n FROM head");
    {
      using snapshot = attached.snapshot();
      // All pages of the database change while the view is open, and checkpoints of all kinds are tried.
      for (const mode of ["PASSIVE", "RESTART", "TRUNCATE", "PASSIVE"] as const) {
        await app.commit(20, { payloadBytes: 3000, keep: 5 });
        await app.checkpoint(mode);
      }
      await app.exec("VACUUM");
      await app.checkpoint("FULL");
      copy.takeAll(snapshot);
    }
    expect(copy.judge()).toEqual({ n: head?.["n"] });
    const last = await app.commit();
    expect(copy.catchUp()).toBe("changes"); // and it goes on from there
    expect(copy.judge()).toEqual({ n: last });
  });

  it("holds a place in the log only while it is open", async () => {
    await using held = await hold(driver);
    const { app, attached, copy } = held;
    await app.commit(2);
    copy.begin();
    {
      using _open = attached.snapshot();
      await app.commit(2);
      await attached.handOver(async () => void copy.catchUp());
      await app.checkpoint("PASSIVE");
      expect(attached.walState().checkpointed).toBeLessThan(attached.walState().frames);
    }
    await app.checkpoint("PASSIVE");
    expect(attached.walState().checkpointed).toBe(attached.walState().frames);
  });

  it("is of one commit, where others come right after its reader began", async () => {
    let commits = 0;
    let path = "";
    const after = (sql: string) => {
      if (!sql.startsWith("SELECT 1") || commits === 0) return;
      commits -= 1;
      commitMeanwhile(path, 3000);
    };
    await using held = await hold(watched(driver, { after }));
    const { app, copy } = held;
    path = held.path;
    await app.commit(3);
    commits = 3;
    copy.begin();
    expect(commits).toBe(0);
    expect(copy.judge()).toEqual({ n: 6 });
    await app.commit();
    copy.catchUp();
    expect(copy.judge()).toEqual({ n: 7 });
  });

  it("leaves no reader behind where it fails after it has begun", async () => {
    let failing = true;
    const at = (label: string) => {
      if (failing && label === "snapshot begun") throw new Error("out of memory");
    };
    await using held = await hold(driver, { at });
    const { app, attached, copy } = held;
    await app.commit(3);
    expect(() => attached.snapshot()).toThrow("out of memory");
    failing = false;
    await app.commit(3);
    copy.begin();
    await attached.handOver(async () => void copy.catchUp());
    await app.checkpoint("PASSIVE");
    expect(attached.walState().checkpointed).toBe(attached.walState().frames);
    expect(copy.judge()).toEqual({ n: 6 });
  });

  it("does not wait for a writer that holds the lock, and leaves nothing open", async () => {
    await using held = await hold(
      // Instead of the time that the lock is waited for, the answer at once.
      { ...driver, open: (path, options) => driver.open(path, { ...options, busyTimeoutMs: 1 }) },
    );
    const { app, attached, copy } = held;
    await app.commit(3);
    await app.exec("BEGIN IMMEDIATE");
    attached.snapshot()[Symbol.dispose]();
    await app.exec("COMMIT");
    await app.commit(3);
    copy.begin();
    await attached.handOver(async () => void copy.catchUp());
    await app.checkpoint("PASSIVE");
    expect(attached.walState().checkpointed).toBe(attached.walState().frames);
  });
});

describe("resume", () => {
  /** Lets go of a database whose copy reaches to transaction 3, lets something happen, and takes hold of it again. */
  async function resumeAfter(
    meanwhile: (held: { readonly app: App; readonly path: string }) => Promise<void>,
    { keepLog = true }: { readonly keepLog?: boolean } = {},
  ): Promise<{ readonly resumed: boolean; readonly found: ReturnType<typeof judge> | undefined }> {
    using directory = temporaryDirectory();
    const path = join(directory.path, "app.db");
    makeDatabase(path, { pageSize: 1024 });
    await using app = await startApp(path);
    await using holder = await startApp(path);
    if (keepLog) await holder.all("SELECT 1");
    const first = attach(path, { driver, at: () => {} });
    const copy = createCopy(first, join(directory.path, "copy.db"));
    await app.commit(2);
    copy.begin();
    await app.commit(1);
    copy.catchUp();
    const { position } = first;
    if (position === undefined) throw new Error("nothing was copied");
    first.close();
    if (!keepLog) await holder.close();
    await meanwhile({ app, path });

    const second = attach(path, { driver, at: () => {} });
    try {
      if (!second.resume(position)) return { resumed: false, found: undefined };
      const continued = createCopy(second, join(directory.path, "continued.db"), copy.bytes());
      expect(continued.catchUp()).not.toBe("broken");
      return { resumed: true, found: continued.judge() };
    } finally {
      second.close();
    }
  }

  it("goes on where nothing happened", async () => {
    expect(await resumeAfter(async () => {})).toEqual({ resumed: true, found: { n: 3 } });
  });

  it("goes on where the app committed more", async () => {
    const resumed = await resumeAfter(async ({ app }) => void (await app.commit(4)));
    expect(resumed).toEqual({ resumed: true, found: { n: 7 } });
  });

  it("goes on where the app committed more and checkpointed it, as long as the log was not begun anew", async () => {
    const resumed = await resumeAfter(async ({ app }) => {
      await app.commit(4);
      await app.checkpoint("PASSIVE");
    });
    expect(resumed).toEqual({ resumed: true, found: { n: 7 } });
  });

  it("refuses a log that was begun anew, by one checkpoint or by several", async () => {
    const restart = async ({ app }: { readonly app: App }) => {
      await app.checkpoint("PASSIVE");
      await app.commit(4);
    };
    expect((await resumeAfter(restart)).resumed).toBe(false);
    const twice = async (held: { readonly app: App }) => {
      await restart(held);
      await restart(held);
    };
    expect((await resumeAfter(twice)).resumed).toBe(false);
  });

  it("refuses an empty log", async () => {
    expect((await resumeAfter(async ({ app }) => void (await app.checkpoint("TRUNCATE")))).resumed).toBe(false);
  });

  it("refuses a log that is gone, as the last connection was closed", async () => {
    const resumed = await resumeAfter(async ({ app }) => void (await app.close()), { keepLog: false });
    expect(resumed.resumed).toBe(false);
  });

  it("refuses a database of which an older copy was put back", async () => {
    using aside = temporaryDirectory();
    const path = join(aside.path, "app.db");
    makeDatabase(path, { pageSize: 1024 });
    await using app = await startApp(path);
    const first = attach(path, { driver, at: () => {} });
    const copy = createCopy(first, join(aside.path, "copy.db"));
    copy.begin();
    await app.commit(3);
    copy.catchUp();
    await app.commit(3);
    const early = copyAside(path, aside.path, "early");
    copy.catchUp();
    const { position } = first;
    first.close();
    await app.kill();
    for (const suffix of ["", "-wal"]) {
      rmSync(`${path}${suffix}`, { force: true });
      if (existsSync(`${early}${suffix}`)) copyFileSync(`${early}${suffix}`, `${path}${suffix}`);
    }
    // The log of the older copy ends before the position.
    const cut = position?.kind === "log" ? 32 + (position.frame - 2) * (24 + 1024) : 0;
    writeFileSync(`${path}-wal`, readFileSync(`${early}-wal`).subarray(0, cut));
    rmSync(`${path}-shm`, { force: true });
    const second = attach(path, { driver, at: () => {} });
    try {
      expect(position && second.resume(position)).toBe(false);
    } finally {
      second.close();
    }
  });

  describe("from a file without a log, as a restore leaves it", () => {
    const stampOf = (path: string): Position => {
      const { size, mtimeMs } = statSync(path);
      return { kind: "file", sizeBytes: size, modifiedMs: mtimeMs };
    };
    async function resumeFile(change: (path: string) => Promise<void>): Promise<boolean> {
      using directory = temporaryDirectory();
      const path = join(directory.path, "app.db");
      makeDatabase(path, { pageSize: 1024 });
      const position = stampOf(path);
      await change(path);
      const attached = attach(path, { driver, at: () => {} });
      try {
        const resumed = attached.resume(position);
        if (resumed) expect(attached.capture().kind).toBe("nothing");
        return resumed;
      } finally {
        attached.close();
      }
    }

    it("goes on where the file is as it was", async () => {
      expect(await resumeFile(async () => {})).toBe(true);
    });

    it("refuses a file that was written to", async () => {
      const write = async (path: string) => {
        await using app = await startApp(path);
        await app.commit();
        await app.close();
      };
      expect(await resumeFile(write)).toBe(false);
    });

    it("refuses a file whose changes are still in the log", async () => {
      const write = async (path: string) => {
        await using app = await startApp(path);
        await app.commit();
        await app.kill();
      };
      expect(await resumeFile(write)).toBe(false);
    });

    it("refuses another file of the same size", async () => {
      const replace = async (path: string) => {
        copyFileSync(path, `${path}.other`);
        renameSync(`${path}.other`, path);
      };
      expect(await resumeFile(replace)).toBe(false);
    });

    it("captures what is committed afterwards", async () => {
      await using held = await hold(driver);
      const { app, attached, copy, path } = held;
      expect(attached.resume(stampOf(path))).toBe(true);
      copy.begin();
      expect(attached.position?.kind).toBe("file");
      const last = await app.commit(3);
      await app.checkpoint("TRUNCATE");
      expect(copy.catchUp()).toBe("changes");
      expect(copy.judge()).toEqual({ n: last });
    });
  });
});

/** A copy of the database and its log, made by another process: this one must not open and close the file. */
function copyAside(path: string, directory: string, name: string): string {
  const target = join(directory, name);
  execFileSync("cp", [path, target]);
  execFileSync("cp", [`${path}-wal`, `${target}-wal`]);
  return target;
}

describe("isStillThere", () => {
  it("is true while the path leads to the held file, and false when it was removed or replaced", async () => {
    await using held = await hold(driver);
    const { attached, path, app } = held;
    await app.commit();
    expect(attached.isStillThere()).toBe(true);
    renameSync(path, `${path}.old`);
    expect(attached.isStillThere()).toBe(false);
    execFileSync("cp", [`${path}.old`, path]);
    expect(attached.isStillThere()).toBe(false);
    rmSync(path);
    renameSync(`${path}.old`, path);
    expect(attached.isStillThere()).toBe(true);
  });
});

describe("close, of a database that was replaced", () => {
  it("gives the log to whoever uses it now, and does not delete it", async () => {
    await using held = await hold(driver);
    const { attached, path, app, copy, release } = held;
    await app.commit(3);
    copy.begin();
    await attached.handOver(async () => void copy.catchUp());
    expect(holdsReadLock(path)).toBe(true);
    await app.close();
    // As a restore by hand goes: the file is moved over the old one, and the side files stay.
    execFileSync("cp", [path, `${path}.new`]);
    renameSync(`${path}.new`, path);
    expect(attached.isStillThere()).toBe(false);
    await app.open();
    const last = await app.commit(3);
    release();
    expect(locksOn(path)).toEqual([]);

    expect(statSync(`${path}-wal`).size).toBeGreaterThan(0);
    expect(judge(path)).toEqual({ n: last }); // as another process sees it
    expect(await app.checkpoint("RESTART")).toMatchObject({ busy: 0 });
    expect(await app.commit()).toBe(last + 1);
    expect(judge(path)).toEqual({ n: last + 1 });
  });
});
