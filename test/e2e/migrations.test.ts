// Migrations and seeds that fail or are cut off, on the real executable as PID 1: what is left, what the next start does,
// and what the replica has.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { BARE, type Box, createBox, type Running, type Start, until } from "../support/box.ts";
import { INIT, prisma6, writeFiles } from "../support/project.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const SECOND = "20250201000000_second";
const file = (name: string) => `prisma/migrations/${name}/migration.sql`;
const app = prisma6('env("DATABASE_URL")');
const URL = { DATABASE_URL: "file:/data/app.db" };

/** Fails in its second statement, after a first one that loses rows. */
const BAD = 'DELETE FROM "Note";\nALTER TABLE "Notes" ADD COLUMN "by" TEXT;\n';
const GOOD = 'ALTER TABLE "Note" ADD COLUMN "by" TEXT;\n';
/** Takes long enough to be killed in the middle of. */
const LONG = `DELETE FROM "Note"; CREATE TABLE "Number" ("n" INTEGER);
INSERT INTO "Number" WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20000000) SELECT n FROM c;\n`;

function createApp(): Box {
  return createBox({ executable: BARE, app });
}

async function started(box: Box, { environment, ...start }: Start = {}): Promise<Running> {
  const running = await box.start({ ...start, environment: { ...URL, ...environment } });
  await running.listening();
  return running;
}

const run = (box: Box, { environment, ...start }: Start = {}) =>
  box.run({ ...start, environment: { ...URL, ...environment } });

/** How often the app has been started on this very database. */
async function starts(running: Running): Promise<number> {
  const { starts } = (await running.request("GET", "/count")) as { starts: number };
  return starts;
}

function rows(box: Box, sql: string): readonly unknown[] {
  using database = new DatabaseSync(join(box.volume, "app.db"), { readOnly: true });
  return database
    .prepare(sql)
    .all()
    .map((row) => ({ ...row }));
}

const applied = (box: Box) =>
  rows(box, "SELECT migration_name AS name FROM _prisma_migrations WHERE finished_at IS NOT NULL ORDER BY started_at");

describe("a migration that fails on a database with data", () => {
  it("is undone, told with all that is known, and the release before runs on; then the corrected one, without a loss", async () => {
    using box = createApp();
    const first = await started(box);
    expect(await first.stop()).toBe(0);

    writeFiles(box.app, { [file(SECOND)]: BAD });
    for (let start = 0; start < 2; start += 1) {
      const { exitStatus, output } = await run(box);
      expect(output).toMatch(/restore point: .* nothing copied/);
      expect(output).toContain(`E_MIGRATE: Cannot apply ${SECOND}: P3018 A migration failed to apply.`);
      expect(output).toContain("Database error: no such table: Notes");
      expect(output).toContain('Statement 2, line 2: ALTER TABLE "Notes" ADD COLUMN "by" TEXT;');
      expect(output).toContain('"/data/app.db" is as it was before');
      expect(output).toContain("transaction 0000000000000002 of file:///replica/db");
      expect(output).not.toContain("listening on");
      expect(exitStatus).toBe(70);
      expect(applied(box)).toEqual([{ name: INIT }]);
    }

    rmSync(join(box.app, "prisma/migrations", SECOND), { recursive: true });
    const before = await started(box); // the release before
    expect(await starts(before)).toBe(2);
    expect(await before.stop()).toBe(0);

    writeFiles(box.app, { [file(SECOND)]: GOOD });
    const corrected = await started(box);
    expect(await starts(corrected)).toBe(3);
    expect(await corrected.stop()).toBe(0);
    expect(applied(box)).toEqual([{ name: INIT }, { name: SECOND }]);
    // Neither the failures nor the migration made the replica begin anew.
    for (const { output } of [before, corrected]) expect(output()).not.toContain("copied the whole database");

    box.loseVolume();
    const restored = await started(box);
    expect(await starts(restored)).toBe(4);
    expect(await restored.stop()).toBe(0);
  });

  it("stays as Prisma leaves it where that is asked for; then `migrate resolve` is the way on", async () => {
    using box = createApp();
    expect(await (await started(box)).stop()).toBe(0);
    writeFiles(box.app, { [file(SECOND)]: BAD });
    const keep = { environment: { FLYSQLITE_ON_MIGRATION_FAILURE: "keep" } };
    const failed = await run(box, keep);
    expect(failed.exitStatus).toBe(70);
    expect(failed.output).not.toContain("restore point");
    expect(rows(box, 'SELECT * FROM "Note"')).toEqual([]);

    writeFiles(box.app, { [file(SECOND)]: GOOD });
    const refused = await run(box, keep);
    expect(refused.output).toMatch(/P3009 migrate found failed migrations/);
    expect(refused.output).toContain(`\`flysqlite migrate resolve --rolled-back ${SECOND}\``);
    const resolved = await run(box, { words: ["migrate", "resolve", "--rolled-back", SECOND, "--json"] });
    expect(JSON.parse(resolved.standardOutput)).toMatchObject({ ok: true, migration: SECOND, as: "rolled back" });
    const running = await started(box, keep);
    expect(await running.stop()).toBe(0);
    expect(applied(box)).toEqual([{ name: INIT }, { name: SECOND }]);
  });

  it("is undone without a replica too, and the journal mode is what it was", async () => {
    using box = createApp();
    const none = { environment: { FLYSQLITE_REPLICA: "none" } };
    expect(await (await started(box, none)).stop()).toBe(0);
    const mode = rows(box, "PRAGMA journal_mode");
    writeFiles(box.app, { [file(SECOND)]: BAD });
    expect((await run(box, none)).exitStatus).toBe(70);
    expect(rows(box, 'SELECT count(*) AS n FROM "Note"')).toEqual([{ n: 1 }]);
    expect(rows(box, "PRAGMA journal_mode")).toEqual(mode);
    expect(mode).toEqual([{ journal_mode: "delete" }]);
  });
});

describe("a migration that needs a copy for its restore point", () => {
  it("is refused where the volume has no room for one, and nothing is changed", () => {
    using directory = temporaryDirectory();
    const [volume, place] = [join(directory.path, "volume"), join(directory.path, "app")];
    mkdirSync(volume);
    writeFiles(place, app);
    const migrate = `cd ${place}; ${BARE} migrate`;
    const script = [
      `mount -t tmpfs -o size=24m tmpfs ${volume}; ${migrate}`,
      `${process.execPath} -e '${FILL}' ${volume}/app.db`,
      `mkdir prisma/migrations/${SECOND}; echo "PRAGMA journal_mode = DELETE;" > prisma/migrations/${SECOND}/migration.sql`,
      `sha256sum ${volume}/app.db > before; ${migrate}; echo "status $?"; sha256sum --check before; ls -A ${volume}/.*`,
    ].join("; ");
    const env = { PATH: process.env["PATH"], DATABASE_URL: `file:${volume}/app.db`, FLYSQLITE_VOLUME: volume };
    const told = { ...env, FLYSQLITE_REPLICA: "none" };
    const { stdout, stderr } = spawnSync("unshare", ["--mount", "sh", "-c", script], { env: told, encoding: "utf8" });
    expect(stderr).toMatch(
      /E_MIGRATE: Cannot make a restore point: it needs a copy of 8\.\d MB, and \d+\.\d MB are free/,
    );
    expect(stdout).toMatch(/^status 70$/m);
    expect(stdout).toMatch(/app\.db: OK/);
    expect(stdout).not.toMatch(/restore-point|unfinished/);
  });
});

/** Adds 8 MB of rows. */
const FILL = `const { DatabaseSync } = require("node:sqlite"); const d = new DatabaseSync(process.argv[1]);
d.exec("INSERT INTO Note (text) VALUES (zeroblob(8000000))");`;

describe("a machine that dies inside a migration", () => {
  it("finds the database as it was at the next start, and then migrates it", async () => {
    using box = createApp();
    expect(await (await started(box)).stop()).toBe(0);
    writeFiles(box.app, { [file(SECOND)]: LONG });
    const running = await box.start({ environment: URL });
    await running.line(/restore point: /);
    const log = join(box.volume, "app.db-wal");
    await until(() => sizeOf(log) > 1_000_000, { what: running.output });
    await running.kill();

    writeFiles(box.app, { [file(SECOND)]: GOOD });
    const dry = await run(box, { words: ["run", "--dry"] });
    expect(dry.output).toMatch(/restore +put \/data\/app\.db back to what it was before 20250201000000_second/);
    const second = await started(box);
    expect(second.output()).toMatch(/20250201000000_second was begun at .* and cut off/);
    expect(second.output()).toMatch(/\/data\/app\.db is put back to what it was before/);
    expect(await starts(second)).toBe(2);
    expect(await second.stop()).toBe(0);
    expect(applied(box)).toEqual([{ name: INIT }, { name: SECOND }]);
    expect(second.output()).not.toContain("copied the whole database");
  });
});

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

describe("flysqlite restore --before-migration", () => {
  it("gives the last state before it, from the replica alone", async () => {
    using box = createApp();
    expect(await (await started(box)).stop()).toBe(0);
    expect(await (await started(box)).stop()).toBe(0);
    writeFiles(box.app, { [file(SECOND)]: `${GOOD}DELETE FROM "Note";` });
    const third = await started(box);
    expect(await starts(third)).toBe(1);
    expect(await third.stop()).toBe(0);
    box.loseVolume();
    const words = ["restore", "-o", "/data/before.db", "--before-migration", SECOND];
    const { exitStatus, output } = await run(box, { words });
    expect(exitStatus, output).toBe(0);
    using database = new DatabaseSync(join(box.volume, "before.db"), { readOnly: true });
    expect({ ...database.prepare('SELECT count(*) AS n FROM "Note"').get() }).toEqual({ n: 2 });
    const unknown = await run(box, { words: [...words.slice(0, -1), "20990101000000_none"] });
    expect(unknown.output).toContain('notes no point before the migration "20990101000000_none"');
    expect(unknown.exitStatus).toBe(65);
  });
});

describe("flysqlite migrate --dry", () => {
  it("tells what is applied and pending, changes nothing, and fails where deploying would", async () => {
    using box = createApp();
    const words = ["migrate", "--dry", "--json"];
    const status = async () => JSON.parse((await run(box, { words })).standardOutput);
    const none = { ok: true, database: "/data/app.db", applied: [], unknown: [], edited: [] };
    expect(await status()).toEqual({ ...none, state: "absent", pending: [INIT] });
    expect(await (await started(box)).stop()).toBe(0);
    writeFiles(box.app, { [file(SECOND)]: GOOD });
    const files = () =>
      ["app.db", "app.db-wal"].map((name) =>
        createHash("sha256")
          .update(readFileSync(join(box.volume, name)))
          .digest("hex"),
      );
    const before = files();
    expect(await status()).toEqual({ ...none, state: "present", applied: [INIT], pending: [SECOND] });
    const { standardOutput } = await run(box, { words: ["migrate", "--dry"] });
    expect(standardOutput).toBe(`/data/app.db: 1 of 2 migrations are applied\n  pending   ${SECOND}\n`);
    const keep = { environment: { FLYSQLITE_ON_MIGRATION_FAILURE: "keep" } };
    expect(files()).toEqual(before);
    writeFiles(box.app, { [file(SECOND)]: BAD });
    expect((await run(box, { words: ["migrate"], ...keep })).exitStatus).toBe(70);
    const refused = await run(box, { words });
    expect(JSON.parse(refused.standardOutput)).toMatchObject({ ok: false, problems: [{ code: "E_MIGRATE" }] });
    expect(refused.exitStatus).toBe(70);
  });
});

describe("a release that is older than its database", () => {
  it("runs, with a warning", async () => {
    using box = createApp();
    writeFiles(box.app, { [file(SECOND)]: GOOD });
    expect(await (await started(box)).stop()).toBe(0);
    rmSync(join(box.app, "prisma/migrations", SECOND), { recursive: true });
    const older = await started(box);
    expect(older.output()).toMatch(
      /warning: the database is ahead of this release, which does not have 20250201000000_second/,
    );
    expect(await starts(older)).toBe(2);
    expect(await older.stop()).toBe(0);
  });
});

describe("a database that only Litestream has touched", () => {
  it("is refused as Prisma refuses it, with a way out that works", async () => {
    using box = createApp();
    {
      using database = new DatabaseSync(join(box.volume, "app.db"));
      database.exec("CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)");
      database.exec("CREATE TABLE _litestream_lock (id INTEGER)");
    }
    const { exitStatus, output } = await run(box);
    expect(output).toMatch(/E_MIGRATE: .*P3005 The database schema is not empty/);
    expect(output).toContain("`flysqlite migrate --drop-litestream-tables`");
    expect(exitStatus).toBe(70);
    const migrated = await run(box, { words: ["migrate", "--drop-litestream-tables", "--json"] });
    expect(JSON.parse(migrated.standardOutput)).toEqual({ ok: true, database: "/data/app.db", applied: [INIT] });
    expect(await (await started(box)).stop()).toBe(0);
  });
});

describe("two starts at once on a database with pending migrations", () => {
  it("migrate once: one waits for the other, or gives up", async () => {
    using box = createApp();
    expect(await (await started(box)).stop()).toBe(0);
    writeFiles(box.app, { [file(SECOND)]: GOOD });
    const both = await Promise.all([box.start({ environment: URL }), box.start({ environment: URL })]);
    await Promise.race(both.map((one) => one.listening()));
    const [winner, loser] = /listening on/.test(both[0].output()) ? both : [both[1], both[0]];
    expect(await winner.stop(), winner.output()).toBe(0);
    await Promise.race([loser.listening(), loser.ended]);
    if (loser.output().includes("listening on")) expect(await loser.stop(), loser.output()).toBe(0);
    else expect(await loser.ended, loser.output()).toBe(72);
    expect(applied(box)).toEqual([{ name: INIT }, { name: SECOND }]);
    expect([winner, loser].filter((one) => /applied 20250201000000_second/.test(one.output()))).toHaveLength(1);
  });
});

describe("hooks", () => {
  it("run in order at each start, with the database's url, and their output is passed through", async () => {
    using box = createApp();
    const environment = {
      FLYSQLITE_BEFORE_MIGRATE: 'echo "before $DATABASE_URL"',
      FLYSQLITE_AFTER_MIGRATE: "echo after",
      FLYSQLITE_BEFORE_LAUNCH: "echo launch",
    };
    for (let start = 0; start < 2; start += 1) {
      const running = await started(box, { environment });
      const order = ["before file:/data/app.db", "after", "launch", "listening on"];
      const places = order.map((line) => running.output().search(new RegExp(`^${line}`, "m")));
      expect(places, running.output()).toEqual([...places].sort((a, b) => a - b));
      expect(places[0]).toBeGreaterThanOrEqual(0);
      expect(await running.stop()).toBe(0);
    }
  });

  it.each(["BEFORE_MIGRATE", "AFTER_MIGRATE", "BEFORE_LAUNCH"])("stop the start where one fails: %s", async (hook) => {
    using box = createApp();
    const { exitStatus, output } = await run(box, { environment: { [`FLYSQLITE_${hook}`]: "sh -c 'exit 7'" } });
    expect(output).toMatch(/E_HOOK: .* ended with status 7/);
    expect(output).not.toContain("listening on");
    expect(exitStatus).toBe(70);
    const next = await started(box);
    expect(await starts(next)).toBe(1);
    expect(await next.stop()).toBe(0);
  });
});

describe("a machine that dies while it seeds", () => {
  it("seeds once in the end, and nothing was replicated before", async () => {
    using box = createApp();
    writeFiles(box.app, { "slow.mts": SLOW_SEED });
    const seed = { environment: { FLYSQLITE_SEED: "node slow.mts" } };
    const running = await box.start({ environment: { ...URL, ...seed.environment, SLOW: "1" } });
    await running.line(/^half seeded$/m);
    await running.kill();
    const second = await started(box, seed);
    expect(second.output()).not.toContain(`applied ${INIT}`);
    expect(await second.request("GET", "/count")).toEqual({ starts: 1, seeds: 2 });
    expect(await second.stop()).toBe(0);
    box.loseVolume();
    const restored = await started(box, seed);
    expect(await restored.request("GET", "/count")).toEqual({ starts: 2, seeds: 2 });
    expect(await restored.stop()).toBe(0);
  });
});

describe("a database that was made and not seeded yet", () => {
  it("is made anew by a release with other migrations, also where that has no seed", async () => {
    using box = createApp();
    writeFiles(box.app, { "slow.mts": SLOW_SEED });
    const running = await box.start({ environment: { ...URL, FLYSQLITE_SEED: "node slow.mts", SLOW: "1" } });
    await running.line(/^half seeded$/m);
    await running.kill();
    writeFiles(box.app, { [file(SECOND)]: GOOD });
    for (let start = 1; start <= 2; start += 1) {
      const next = await started(box);
      expect(await next.request("GET", "/count")).toEqual({ starts: start, seeds: 0 });
      expect(await next.stop(), next.output()).toBe(0);
    }
    expect(applied(box)).toEqual([{ name: INIT }, { name: SECOND }]);
  });
});

const SLOW_SEED = `
import { DatabaseSync } from "node:sqlite";
const database = new DatabaseSync(process.env["DATABASE_URL"].replace("file:", ""));
const add = () => database.exec(\`INSERT INTO "Note" ("text") VALUES ('seed')\`);
add();
console.log("half seeded");
if (process.env["SLOW"] === "1") setInterval(() => {}, 1000);
else add();
`;
