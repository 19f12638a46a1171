import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { readUnfinished } from "../../../src/steps/unfinished.ts";
import { startApp } from "../../support/app.ts";
import { createWorld, type World, type WorldOptions } from "../../support/deployment.ts";
import { installedDriver } from "../../support/driver.ts";
import { fingerprint } from "../../support/fingerprint.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const driver = await installedDriver();

const INIT = { name: "1_init", sql: 'CREATE TABLE "Note" ("id" INTEGER PRIMARY KEY, "text" TEXT);' };
const MORE = { name: "2_more", sql: 'ALTER TABLE "Note" ADD COLUMN "by" TEXT;' };
const BAD = { name: "2_bad", sql: "DELETE FROM Note;\n-- oops\nDROP TABLE Nope;\n" };
const LAST = { name: "3_last", sql: "CREATE TABLE last (x);" };

function newPath(): string {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  return join(directory.path, "app.db");
}

/** A database with data, as the release before left it; `mode` is its journal's. */
async function used(mode: "wal" | "delete", options: WorldOptions = {}): Promise<World> {
  const world = createWorld(newPath(), driver, options);
  world.exec(`PRAGMA journal_mode = ${mode}`);
  await world.deploy([INIT], { names: ["1_init"] });
  const app = await startApp(world.path);
  await app.exec("INSERT INTO Note (text) VALUES ('a'), ('b')");
  await app.kill(); // leaves a log, where there is one
  return world;
}

const modeOf = (world: World) => world.rows("PRAGMA journal_mode");

describe.each(["wal", "delete"] as const)("migrations of a database with a journal mode of %s", (mode) => {
  it("are applied, and nothing is left to be put back", async () => {
    const world = await used(mode);
    expect(await world.deploy([INIT, MORE])).toEqual(["2_more"]);
    expect(world.rows('SELECT "text", "by" FROM Note')).toEqual([
      { text: "a", by: null },
      { text: "b", by: null },
    ]);
    expect(readUnfinished(world.path)).toBeUndefined();
    expect(modeOf(world)).toEqual([{ journal_mode: mode }]);
    expect(world.told()).toContainEqual(expect.stringMatching(/^restore point: .* nothing copied, in /));
  });

  it("that fail leave it as it was, and the release before finds nothing to do", async () => {
    const world = await used(mode);
    const before = fingerprint(world.path);
    await expect(world.deploy([INIT, BAD, LAST])).rejects.toMatchObject({
      code: "E_MIGRATE",
      message: expect.stringMatching(/^Cannot apply 2_bad: P3018 A migration failed to apply\. /),
      problems: [
        "Migration name: 2_bad",
        "Database error code: 1",
        "Database error: no such table: Nope",
        "Statement 2, line 3: DROP TABLE Nope;",
        `"${world.path}" is as it was before`,
      ],
    });
    expect(fingerprint(world.path)).toEqual(before);
    expect(modeOf(world)).toEqual([{ journal_mode: mode }]);
    expect(readUnfinished(world.path)).toBeUndefined();
    await world.recover(); // has nothing to do
    expect(fingerprint(world.path)).toEqual(before);
    expect(await world.deploy([INIT])).toEqual([]);
  });

  it("that fail each time are refused each time, the same way", async () => {
    const world = await used(mode);
    const before = fingerprint(world.path);
    const failures: unknown[] = [];
    for (let start = 0; start < 3; start += 1) {
      await world.recover();
      failures.push(await world.deploy([INIT, BAD]).catch((error: unknown) => error));
    }
    expect(failures[1]).toEqual(failures[0]);
    expect(failures[2]).toEqual(failures[0]);
    expect(fingerprint(world.path)).toEqual(before);
  });

  it("are left as Prisma leaves them where that is asked for", async () => {
    const world = await used(mode, { onMigrationFailure: "keep" });
    await expect(world.deploy([INIT, BAD, LAST])).rejects.toMatchObject({ code: "E_MIGRATE" });
    expect(world.rows("SELECT * FROM Note")).toEqual([]);
    await expect(world.deploy([INIT, BAD, LAST], { names: ["2_bad"] })).rejects.toMatchObject({
      message: expect.stringMatching(/P3009 migrate found failed migrations/),
    });
    expect(world.told()).not.toContainEqual(expect.stringContaining("restore point"));
  });

  it("that are cut off by a signal to stop leave it as it was", async () => {
    const world = await used(mode);
    const before = fingerprint(world.path);
    const deploying = world.deploy([INIT, ENDLESS], { at: (label) => label === "restore point" && stopSoon(world) });
    await expect(deploying).rejects.toThrow("stop");
    expect(fingerprint(world.path)).toEqual(before);
    expect(modeOf(world)).toEqual([{ journal_mode: mode }]);
    await world.recover();
    expect(fingerprint(world.path)).toEqual(before);
  });
});

/** Writes for ever, and would fill the disk. */
const ENDLESS = {
  name: "2_endless",
  sql: "CREATE TABLE n (i); INSERT INTO n WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT i FROM c;",
};

/** Stops the start once the child has begun to write. */
function stopSoon({ stop, path }: World): void {
  onceWritten(path, () => stop.abort(new Error("stop")));
}

/** Calls back once the log has grown by more than a statement's worth. */
function onceWritten(path: string, then: () => void): void {
  const sizeOf = () => statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  const enough = sizeOf() + 100_000;
  const wait = () => (sizeOf() > enough ? then() : void setTimeout(wait, 5));
  wait();
}

describe("a database that another process has open", () => {
  it("is refused in Prisma's words, and nothing of it is changed", async () => {
    const world = await used("wal");
    const app = await startApp(world.path);
    await app.exec("SELECT * FROM Note");
    const before = fingerprint(world.path);
    await expect(world.deploy([INIT, MORE])).rejects.toMatchObject({
      code: "E_MIGRATE",
      message: "Cannot migrate: SQLite database error",
      problems: ["database is locked"],
      hint: expect.stringMatching(/^End what else has the database open/),
    });
    expect(fingerprint(world.path)).toEqual(before);
    await app.kill();
    expect(await world.deploy([INIT, MORE])).toEqual(["2_more"]);
  });

  it("is migrated all the same where Prisma's lock is disabled, and put back once it is closed", async () => {
    const world = await used("wal");
    const before = fingerprint(world.path);
    const app = await startApp(world.path);
    await app.exec("SELECT * FROM Note");
    const environment = { ...world.context.environment, PRISMA_SCHEMA_DISABLE_ADVISORY_LOCK: "1" };
    await expect(world.deploy([INIT, BAD], { environment })).rejects.toMatchObject({
      problems: expect.arrayContaining([expect.stringMatching(/can't be put back now: another process has it open/)]),
    });
    await app.kill();
    await world.recover();
    expect(fingerprint(world.path)).toEqual(before);
    expect(await world.deploy([INIT, MORE], { environment })).toEqual(["2_more"]);
  });
});

describe("migrations that need the database for themselves", () => {
  const OFF = { name: "2_off", sql: "PRAGMA journal_mode=DELETE; CREATE TABLE off (x);" };

  it("have a copy for a restore point, and end as Prisma has it", async () => {
    const world = await used("wal");
    expect(await world.deploy([INIT, OFF])).toEqual(["2_off"]);
    expect(modeOf(world)).toEqual([{ journal_mode: "delete" }]);
    expect(world.told()).toContainEqual(
      expect.stringMatching(/^restore point: .*copied and compared in .*, as 2_off sets journal_mode$|shared block by/),
    );
  });

  it("are put back from it", async () => {
    const world = await used("wal");
    const before = fingerprint(world.path);
    const bad = { ...OFF, sql: `${OFF.sql} DROP TABLE Nope;` };
    await expect(world.deploy([INIT, bad])).rejects.toMatchObject({
      problems: expect.arrayContaining([`"${world.path}" is as it was before`]),
    });
    expect(fingerprint(world.path)).toEqual(before);
    expect(modeOf(world)).toEqual([{ journal_mode: "wal" }]);
  });
});

describe("a migrating process that dies", () => {
  /** Ends the child from within, as memory that runs out would. */
  const kills = (world: World) => ({
    at: (label: string) => label === "restore point" && killSoon(world),
  });

  it("leaves the database as it was; the third start refuses, and says how to try again", async () => {
    const world = await used("wal");
    const before = fingerprint(world.path);
    for (let start = 0; start < 2; start += 1) {
      await expect(world.deploy([INIT, ENDLESS], kills(world))).rejects.toMatchObject({
        message: "Cannot apply 2_endless: the migrating process was ended by SIGKILL",
        problems: [`"${world.path}" is as it was before`],
      });
      expect(fingerprint(world.path)).toEqual(before);
    }
    await expect(world.deploy([INIT, ENDLESS])).rejects.toMatchObject({
      message: expect.stringContaining("2_endless was begun 2 times and cut off each time"),
      hint: expect.stringContaining("`flysqlite migrate`"),
    });
    await expect(world.deploy([INIT, ENDLESS], { ...kills(world), attended: true })).rejects.toMatchObject({
      message: expect.stringContaining("was ended by SIGKILL"),
    });
    const corrected = { ...ENDLESS, sql: "CREATE TABLE n (i);" };
    expect(await world.deploy([INIT, corrected])).toEqual(["2_endless"]); // another script has another count
  });
});

/** Kills the child once it has begun to write. */
function killSoon({ path }: World): void {
  onceWritten(path, () => process.kill(migratorOf(), "SIGKILL"));
}

/** The migrating child of this process. */
function migratorOf(): number {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8").trim().split(" ");
  const found = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("@migrate"));
  return Number(found);
}
