import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { stateDirectory, unbornMark } from "../../../src/steps/places.ts";
import { readUnfinished, writeUnfinished } from "../../../src/steps/unfinished.ts";
import { startApp } from "../../support/app.ts";
import { createWorld, type World, type WorldOptions } from "../../support/deployment.ts";
import { installedDriver } from "../../support/driver.ts";
import { fingerprint } from "../../support/fingerprint.ts";
import { ENVIRONMENT } from "../../support/migrator.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const driver = await installedDriver();

const INIT = { name: "1_init", sql: 'CREATE TABLE "Note" ("id" INTEGER PRIMARY KEY, "text" TEXT);' };
const LONG = {
  name: "2_long",
  sql: `DELETE FROM Note; CREATE TABLE n (i);
    INSERT INTO n WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 300000) SELECT i FROM c;
    INSERT INTO n SELECT i FROM n; INSERT INTO n SELECT i FROM n; INSERT INTO n SELECT i FROM n;`,
};

/** The same, which is killed before its end. */
const ENDLESS = {
  name: LONG.name,
  sql: `${LONG.sql} INSERT INTO n WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT i FROM c;`,
};

async function used(mode: "wal" | "delete", options: WorldOptions = {}): Promise<World> {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const world = createWorld(join(directory.path, "app.db"), driver, options);
  world.exec(`PRAGMA journal_mode = ${mode}`);
  await world.deploy([INIT], { names: ["1_init"] });
  const app = await startApp(world.path);
  // Leaves a log, where there is one, with pages that no migration touches.
  await app.exec("INSERT INTO Note (text) VALUES ('a'), ('b'); CREATE TABLE apart AS SELECT zeroblob(20000)");
  await app.kill();
  return world;
}

/** A keeper that deploys, up to where its child writes. */
async function startKeeper({ path }: World, migration = ENDLESS) {
  const program = join(import.meta.dirname, "../../support/deploy-process.ts");
  const env = { ...ENVIRONMENT, MIGRATIONS: JSON.stringify([INIT, migration]) };
  const keeper = fork(program, [path], { env, stdio: "inherit" });
  const ended = once(keeper, "exit");
  await once(keeper, "message"); // it has its restore point
  const sizeOf = () => statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  const enough = sizeOf() + 8_000_000; // longer than SQLite lets a log become without a checkpoint
  while (sizeOf() < enough) await delay(5);
  const migrator = childOf(keeper);
  return {
    async kill(...who: readonly ("keeper" | "migrator")[]): Promise<void> {
      if (who.includes("keeper")) keeper.kill("SIGKILL"); // first: it would put back what its child left
      if (who.includes("migrator")) process.kill(migrator, "SIGKILL");
      await ended;
      if (who.includes("migrator")) await this.migratorGone();
    },
    async migratorGone(): Promise<void> {
      while (isAlive(migrator)) await delay(5);
    },
  };
}

/** A process that nobody has waited for yet is gone too, but only with the last of its threads, which all hold its files. */
function isAlive(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).length > 1 || !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

function childOf({ pid }: ChildProcess): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0]);
}

describe.each(["wal", "delete"] as const)("a start after a kill inside a migration (journal mode %s)", (mode) => {
  it("puts the database back first, and then applies all", async () => {
    const world = await used(mode);
    const before = fingerprint(world.path);
    const keeper = await startKeeper(world);
    await keeper.kill("keeper", "migrator");
    expect(fingerprint(world.path)).not.toEqual(before);
    await world.recover();
    expect(fingerprint(world.path)).toEqual(before);
    expect(world.rows("PRAGMA journal_mode")).toEqual([{ journal_mode: mode }]);
    expect(world.told()).toContainEqual(expect.stringMatching(/^2_long was begun at .* and cut off$/));
    expect(await world.deploy([INIT, LONG])).toEqual(["2_long"]);
    expect(world.rows("SELECT count(*) AS n FROM n")).toEqual([{ n: 2_400_000 }]);
  });
});

describe("a start after a kill of the keeper alone", () => {
  it("waits for the migrating process to end, which spoils nothing", async () => {
    const world = await used("wal");
    const before = fingerprint(world.path);
    const keeper = await startKeeper(world, LONG);
    await keeper.kill("keeper");
    await world.recover().catch(() => {}); // on a slow machine the other one may take longer than is waited
    await keeper.migratorGone();
    await world.recover();
    expect(fingerprint(world.path)).toEqual(before);
  });
});

describe("a start that can't put the database back", () => {
  it("refuses, names what is known, and touches nothing; --on-migration-failure=keep is the way on", async () => {
    const world = await used("wal");
    const keeper = await startKeeper(world);
    await keeper.kill("keeper", "migrator");
    world.exec("SELECT 1 FROM sqlite_schema"); // somebody opens it, and by closing it checkpoints
    const left = fingerprint(world.path);
    for (let start = 0; start < 2; start += 1) {
      await expect(world.recover()).rejects.toMatchObject({
        code: "E_MIGRATE",
        message: expect.stringMatching(
          / before 2_long, which was cut off: something has written to the database since$/,
        ),
        problems: expect.arrayContaining([
          expect.stringContaining("`flysqlite restore --before-migration 2_long --force`"),
        ]),
        hint: expect.stringContaining("--on-migration-failure=keep"),
      });
    }
    expect(fingerprint(world.path)).toEqual(left);
    const keeping = createWorld(world.path, driver, { onMigrationFailure: "keep" });
    await keeping.recover();
    expect(fingerprint(world.path)).toEqual(left);
    expect(readUnfinished(world.path)).toBeUndefined();
  });

  it("refuses where what is written down is damaged", async () => {
    const world = await used("wal");
    await writeUnfinished(world.path, { phase: "leave WAL" });
    appendFileSync(join(stateDirectory(world.path), "unfinished.json"), " ");
    await expect(world.recover()).rejects.toMatchObject({
      code: "E_MIGRATE",
      message: expect.stringMatching(/damaged/),
    });
  });

  it("says so where another process has it open", async () => {
    const world = await used("wal");
    const keeper = await startKeeper(world);
    await keeper.kill("keeper", "migrator");
    const app = await startApp(world.path);
    await app.exec("SELECT * FROM sqlite_schema");
    await expect(world.recover()).rejects.toMatchObject({
      message: expect.stringMatching(/another process has it open$/),
    });
    await app.kill();
    await world.recover();
    expect(world.rows("SELECT text FROM Note")).toEqual([{ text: "a" }, { text: "b" }]);
  });
});

describe("recover", () => {
  const copy = { kind: "copy", path: "/nowhere" } as const;
  const change = { names: ["x"], digest: "", point: copy, startedMs: 0, wasWal: true, isNew: true } as const;

  it("has nothing to do after a start that came to its end, and clears away a copy that no one needs", async () => {
    const world = await used("delete");
    const unused = join(stateDirectory(world.path), "restore-point.db");
    writeFileSync(unused, "");
    const before = fingerprint(world.path);
    await world.recover();
    expect(fingerprint(world.path)).toEqual(before);
    expect(existsSync(unused)).toBe(false);
    expect(world.told().slice(-1)[0]).not.toMatch(/put back/);
  });

  it("forgets what a database was to be put back to that is made anew, or that somebody removed", async () => {
    const world = await used("delete");
    await writeUnfinished(world.path, { ...change, phase: "migrate" });
    writeFileSync(unbornMark(world.path), "");
    await world.recover();
    expect(readUnfinished(world.path)).toBeUndefined();
    rmSync(unbornMark(world.path));
    await writeUnfinished(world.path, { ...change, phase: "migrate", isNew: false });
    rmSync(world.path);
    await world.recover();
    expect(readUnfinished(world.path)).toBeUndefined();
  });

  it("sets the rollback journal again where only that is left to do", async () => {
    const world = await used("wal");
    await writeUnfinished(world.path, { phase: "leave WAL" });
    await world.recover();
    expect(world.rows("PRAGMA journal_mode")).toEqual([{ journal_mode: "delete" }]);
    expect(readUnfinished(world.path)).toBeUndefined();
  });
});
