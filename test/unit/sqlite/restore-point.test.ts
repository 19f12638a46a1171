import { fork } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { holdRestorePoint, type RestorePoint } from "../../../src/sqlite/restore-point.ts";
import { startApp } from "../../support/app.ts";
import { installedDriver } from "../../support/driver.ts";
import { fingerprint } from "../../support/fingerprint.ts";
import { ask } from "../../support/migrator.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { treeOf } from "../../support/tree.ts";
import { judge, makeDatabase } from "../../support/workload.ts";

const driver = await installedDriver();

/** How the app left the log: as it was written, checkpointed, in part, or not at all. */
const LOGS = ["unfinished", "checkpointed", "half checkpointed", "none"] as const;

/** A database that an app has used and left. */
async function database({
  log = "unfinished",
  pageSize = 4096,
}: {
  readonly log?: (typeof LOGS)[number];
  readonly pageSize?: number;
} = {}) {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const path = join(directory.path, "app.db");
  makeDatabase(path, { pageSize });
  const app = await startApp(path);
  await app.commit(5);
  if (log === "checkpointed" || log === "half checkpointed") await app.checkpoint("PASSIVE");
  if (log === "half checkpointed") {
    const reader = await startApp(path);
    await reader.exec("BEGIN; SELECT * FROM chain");
    await app.commit(3);
    await app.checkpoint("PASSIVE");
    await reader.kill();
  }
  if (log === "none") await app.close();
  await app.kill();
  return { path, directory: directory.path };
}

/** What a migration may do, and more: megabytes, another schema, each kind of checkpoint, a proper close. */
async function changeMuch(path: string): Promise<void> {
  const app = await startApp(path);
  await app.exec("PRAGMA wal_autocheckpoint = 10");
  await app.exec("ALTER TABLE chain ADD COLUMN more TEXT; CREATE TABLE other AS SELECT * FROM chain; DROP TABLE head");
  await app.exec(
    "INSERT INTO other (n, hash, payload) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 500) SELECT i + 100, 'h', zeroblob(2000) FROM c",
  );
  for (const mode of ["PASSIVE", "FULL", "TRUNCATE"] as const) await app.checkpoint(mode);
  await app.exec("VACUUM");
  await app.close();
  await app.kill();
}

async function putBack(path: string, point: RestorePoint, held: boolean) {
  return ask({ kind: "put back", path, point, held });
}

describe("a restore point that is held", () => {
  it.each(LOGS.flatMap((log) => [512, 4096, 65536].map((pageSize) => ({ log, pageSize }))))(
    "brings back all, whatever another process did (log: $log, pages of $pageSize bytes)",
    async ({ log, pageSize }) => {
      const { path } = await database({ log, pageSize });
      const before = fingerprint(path);
      const held = holdRestorePoint(path, driver);
      // When all processes are gone, nobody knows how far a log was checkpointed.
      expect(held.point.kind).toBe(log === "none" ? "file" : "log");
      await changeMuch(path);
      held[Symbol.dispose]();
      expect(fingerprint(path)).not.toEqual(before);
      expect(await putBack(path, held.point, true)).toEqual({ kind: "done" });
      expect(fingerprint(path)).toEqual(before);
      expect(judge(path)).toEqual({ n: log === "half checkpointed" ? 8 : 5 });
    },
  );

  it("is the database file alone where the log is checkpointed to its end", async () => {
    const { path } = await database();
    const app = await startApp(path);
    await app.checkpoint("PASSIVE");
    const before = fingerprint(path);
    const file = readFileSync(path);
    const held = holdRestorePoint(path, driver);
    await app.kill();
    expect(held.point.kind).toBe("file");
    await changeMuch(path);
    expect(readFileSync(path)).toEqual(file);
    held[Symbol.dispose]();
    expect(await putBack(path, held.point, true)).toEqual({ kind: "done" });
    expect(existsSync(`${path}-wal`)).toBe(false);
    expect(fingerprint(path)).toEqual(before);
  });

  it("copies nothing: no other file is made", async () => {
    const { path, directory } = await database();
    const held = holdRestorePoint(path, driver);
    expect(Object.keys(treeOf(directory))).toEqual(["app.db", "app.db-shm", "app.db-wal"]);
    held[Symbol.dispose]();
  });

  it("leaves the log alone when it is let go last, so that replication finds its place again", async () => {
    const { path } = await database();
    const log = readFileSync(`${path}-wal`);
    holdRestorePoint(path, driver)[Symbol.dispose]();
    expect(readFileSync(`${path}-wal`)).toEqual(log);
  });

  it("is a defect of ours where the database has a rollback journal", async () => {
    const { path } = await database({ log: "none" });
    using other = new DatabaseSync(path);
    other.exec("PRAGMA journal_mode = DELETE");
    expect(() => holdRestorePoint(path, driver)).toThrow(expect.objectContaining({ code: "E_INTERNAL" }));
  });
});

/** A point whose holder was killed, and whoever changed the database too: a power cut, but for the disk. */
async function afterCrash(log: (typeof LOGS)[number]) {
  const { path, directory } = await database({ log });
  const before = fingerprint(path);
  const holder = fork(join(import.meta.dirname, "../../support/holder-process.ts"), [path]);
  const ended = once(holder, "exit");
  const [point] = (await once(holder, "message")) as [RestorePoint];
  const app = await startApp(path); // like the migrating child it makes no checkpoints by itself
  await app.exec("ALTER TABLE chain ADD COLUMN more TEXT; CREATE TABLE other AS SELECT * FROM chain; DROP TABLE head");
  holder.kill("SIGKILL");
  await ended;
  await app.exec("UPDATE other SET payload = zeroblob(9000)");
  await app.kill();
  return { path, directory, before, point };
}

describe("a restore point whose holder died", () => {
  it.each(LOGS)("brings back all, also when it is used twice (log: %s)", async (log) => {
    const { path, before, point } = await afterCrash(log);
    expect(fingerprint(path)).not.toEqual(before);
    for (let time = 0; time < 2; time += 1) {
      expect(await putBack(path, point, false)).toEqual({ kind: "done" });
      expect(fingerprint(path)).toEqual(before);
    }
  });

  it("is still good where somebody only looked at the database", async () => {
    const { path, before, point } = await afterCrash("unfinished");
    using look = new DatabaseSync(path, { readOnly: true });
    expect(look.prepare("SELECT count(*) AS n FROM other").get()).toEqual({ n: 5 });
    look.close();
    expect(await putBack(path, point, false)).toEqual({ kind: "done" });
    expect(fingerprint(path)).toEqual(before);
  });

  it("survives a log that was torn behind it", async () => {
    const { path, before, point } = await afterCrash("unfinished");
    truncateSync(`${path}-wal`, statSync(`${path}-wal`).size - 100);
    appendFileSync(`${path}-wal`, Buffer.alloc(5000, 7));
    expect(await putBack(path, point, false)).toEqual({ kind: "done" });
    expect(fingerprint(path)).toEqual(before);
  });

  const MEDDLERS: readonly (readonly [string, (path: string) => Promise<void>])[] = [
    [
      "opened and closed it",
      async (path) => {
        using database = new DatabaseSync(path);
        database.exec("SELECT * FROM sqlite_schema");
      },
    ],
    [
      "checkpointed its log and crashed",
      async (path) => {
        const app = await startApp(path);
        await app.checkpoint("PASSIVE");
        await app.kill();
      },
    ],
    [
      "began its log anew and crashed",
      async (path) => {
        const app = await startApp(path);
        await app.checkpoint("RESTART");
        await app.exec("CREATE TABLE meddled (x)");
        await app.kill();
      },
    ],
    [
      "put another file in its place",
      async (path) => {
        copyFileSync(path, `${path}.copy`);
        copyFileSync(`${path}.copy`, path);
      },
    ],
    ["touched it", async (path) => utimesSync(path, new Date(), new Date())],
  ];

  it.each(LOGS.flatMap((log) => MEDDLERS.map(([what, meddle]) => ({ log, what, meddle }))))(
    "is lost where something $what since (log: $log), and nothing is cut",
    async ({ log, meddle }) => {
      const { path, point } = await afterCrash(log);
      await meddle(path);
      const before = fingerprint(path);
      expect(await putBack(path, point, false)).toEqual({
        kind: "lost",
        reason: expect.stringMatching(/^something has /),
      });
      expect(fingerprint(path)).toEqual(before);
    },
  );

  it("is lost where the database is gone", async () => {
    const { path, point } = await afterCrash("none");
    rmSync(path);
    expect(await putBack(path, point, false)).toEqual({ kind: "lost", reason: "the database is gone" });
    expect(existsSync(path)).toBe(false);
  });
});

describe("putting back", () => {
  it("waits for nobody for ever: while another process has the database open it does nothing", async () => {
    const { path, directory } = await database();
    const held = holdRestorePoint(path, driver);
    const app = await startApp(path);
    await app.exec("CREATE TABLE other (x)");
    held[Symbol.dispose]();
    const before = treeOf(directory);
    expect(await putBack(path, held.point, true)).toEqual({ kind: "busy" });
    expect(treeOf(directory)["app.db-wal"]).toEqual(before["app.db-wal"]);
    await app.kill();
    expect(await putBack(path, held.point, true)).toEqual({ kind: "done" });
  });

  it("removes the log's index, which still counts what was cut", async () => {
    const { path } = await database();
    const held = holdRestorePoint(path, driver);
    await changeMuch(path);
    held[Symbol.dispose]();
    await putBack(path, held.point, true);
    expect(existsSync(`${path}-shm`)).toBe(false);
  });
});
