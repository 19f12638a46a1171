// From the start of the app to its end, whichever way it comes: statuses, signals, and what each leaves behind.

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { BARE, type Box, createBox, type Running, type Start } from "../support/box.ts";
import { INIT, prisma6, writeFiles } from "../support/project.ts";

const SEEDED = 2;

async function started(box: Box, start: Start = {}): Promise<Running> {
  const running = await box.start(start);
  await running.listening();
  return running;
}

const add = (running: Running, text: string) => running.request("POST", "/entries", { author: "ann", text });

async function texts(running: Running): Promise<readonly string[]> {
  const entries = (await running.request("GET", "/entries")) as readonly { readonly text: string }[];
  return entries.map(({ text }) => text);
}

/** The rows that a start on a new machine finds. */
async function textsAfterLoss(box: Box): Promise<readonly string[]> {
  box.loseVolume();
  const running = await started(box);
  const found = await texts(running);
  await running.stop();
  return found;
}

describe("an app that ends", () => {
  it.each([
    ["with 0", "code=0", 0],
    ["with 3", "code=3", 3],
    ["with 255", "code=255", 255],
    ["by SIGKILL", "signal=KILL", 137],
    ["by SIGSEGV", "signal=SEGV", 139],
  ])("%s gives its status, and its last commit is in the replica", async (_, how, exitStatus) => {
    using box = createBox();
    const running = await started(box);
    await add(running, "last words");
    await running.request("POST", `/crash?${how}`);
    expect(await running.ended, running.output()).toBe(exitStatus);
    expect(running.output()).toMatch(/stop +everything is in the replica/);
    expect(await textsAfterLoss(box)).toContain("last words");
  });
});

describe("SIGTERM", () => {
  it("reaches the app, and the last commit before it is in the replica", async () => {
    using box = createBox();
    const running = await started(box);
    const acknowledged: string[] = [];
    const writing = (async () => {
      for (;;) {
        const text = `row ${acknowledged.length}`;
        await add(running, text);
        acknowledged.push(text);
        if (acknowledged.length === 20) running.signal("SIGTERM");
      }
    })().catch(() => {}); // the app is gone
    expect(await running.ended, running.output()).toBe(0); // the app's own, which hears of it
    await writing;
    expect(running.output()).toMatch(/stop +SIGTERM: passed on to the app/);
    expect(await textsAfterLoss(box)).toEqual(expect.arrayContaining(acknowledged));
  });

  it("kills an app that ignores it, in time for the last sync", async () => {
    using box = createBox();
    const running = await started(box, { environment: { IGNORE_TERM: "1", FLYSQLITE_STOP_TIMEOUT: "3s" } });
    running.signal("SIGTERM");
    await running.line(/passed on to the app/);
    await add(running, "deaf");
    expect(await running.ended, running.output()).toBe(137);
    expect(running.output()).toMatch(/the app did not end in its share of the stop timeout and is killed/);
    expect(running.output()).toMatch(/stop +everything is in the replica/);
    expect(await textsAfterLoss(box)).toContain("deaf");
  });

  it("ends all at once when it comes a second time, and the volume has every commit", async () => {
    using box = createBox();
    // Without the second one, this would take longer than the test may.
    const running = await started(box, { environment: { IGNORE_TERM: "1", FLYSQLITE_STOP_TIMEOUT: "10m" } });
    await add(running, "on the volume");
    running.signal("SIGTERM");
    await running.line(/passed on to the app/);
    running.signal("SIGTERM");
    expect(await running.ended, running.output()).toBe(143);
    expect(running.output()).toMatch(/SIGTERM again: ending at once/);
    const second = await started(box);
    expect(await texts(second)).toContain("on the volume");
    expect(await second.stop()).toBe(0);
  });
});

describe("SIGTERM while the seed runs", () => {
  /** Adds a row, as a seed does half way, and then never ends. */
  const ENDLESS_SEED = `
import { openDatabase } from "./database.ts";
if (process.argv[2] === "deaf") process.on("SIGTERM", () => {});
const database = openDatabase();
await database.entry.create({ data: { text: "half a seed", author: { create: { name: "host" } } } });
console.log("seeding");
setInterval(() => {}, 1000);
`;

  it.each(["", " deaf"])(
    "ends with 143 within the budget, and the next start seeds a new database (seed:%s)",
    async (how) => {
      using box = createBox();
      writeFiles(box.app, { "endless.ts": ENDLESS_SEED });
      const running = await box.start({ words: ["--seed", `node endless.ts${how}`] });
      await running.line(/^seeding$/m);
      const toldMs = performance.now();
      running.signal("SIGTERM");
      expect(await running.ended, running.output()).toBe(143);
      expect(performance.now() - toldMs).toBeLessThan(5000); // Fly's kill_timeout
      expect(running.output()).not.toContain("listening on");

      const second = await started(box);
      expect(await texts(second)).toHaveLength(SEEDED);
      expect(await texts(second)).not.toContain("half a seed");
      expect(await second.stop()).toBe(0);
    },
  );
});

describe("a keeper that dies", () => {
  it("leaves the app serving; replication goes on by a new one, and nothing is lost", async () => {
    using box = createBox();
    const running = await started(box, { environment: { FLYSQLITE_LOG: "debug" } });
    await running.line(/copied the whole database/);
    await add(running, "before");
    await running.line(/transaction 0{15}2 is in the replica/);
    running.killOnly(/@keeper/);
    await running.line(/the keeper ended with status 137; the app runs on/);
    await add(running, "meanwhile");
    await running.line(/on from transaction 0{15}2$/m);
    await add(running, "after");
    expect(await running.stop(), running.output()).toBe(0);
    expect(await textsAfterLoss(box)).toEqual(expect.arrayContaining(["before", "meanwhile", "after"]));
  });
});

describe("a failing migration", () => {
  const SECOND = "prisma/migrations/20250201000000_second/migration.sql";
  const app = prisma6('"file:./dev.db"');

  it("is told with its name and SQLite's error; corrected, the project starts on a new database", async () => {
    using box = createBox({ executable: BARE, app });
    writeFiles(box.app, { [SECOND]: 'ALTER TABLE "Notes" ADD COLUMN "by" TEXT;\n' });
    const { exitStatus, output } = await box.run();
    expect(output).toMatch(/E_MIGRATE: .*P3018/);
    expect(output).toContain("20250201000000_second");
    expect(output).toContain("no such table: Notes");
    expect(output).not.toContain("listening on");
    expect(exitStatus).toBe(70);

    writeFiles(box.app, { [SECOND]: 'ALTER TABLE "Note" ADD COLUMN "by" TEXT;\n' });
    const second = await started(box);
    expect(second.output()).toMatch(/applied 20250101000000_init, 20250201000000_second/);
    expect(await second.request("GET", "/count")).toEqual({ starts: 1, seeds: 0 });
    expect(await second.stop()).toBe(0);
    using database = new DatabaseSync(join(box.volume, "dev.db"), { readOnly: true });
    const ledger = database.prepare("SELECT migration_name AS name, rolled_back_at AS undone FROM _prisma_migrations");
    expect(ledger.all().map((row) => ({ ...row }))).toEqual([
      { name: INIT, undone: null },
      { name: "20250201000000_second", undone: null },
    ]);
  });

  it("leaves the rows of a database that was there, and the app is not started on it", async () => {
    using box = createBox({ executable: BARE, app });
    const first = await started(box);
    await first.stop();
    writeFiles(box.app, { [SECOND]: 'ALTER TABLE "Notes" ADD COLUMN "by" TEXT;\n' });
    const { exitStatus, output } = await box.run();
    expect(output).toMatch(/E_MIGRATE[\s\S]*20250201000000_second[\s\S]*no such table: Notes/);
    expect(output).not.toContain("listening on");
    expect(exitStatus).toBe(70);
    using database = new DatabaseSync(join(box.volume, "dev.db"), { readOnly: true });
    expect(database.prepare('SELECT count(*) AS n FROM "Note"').get()).toEqual({ n: 1 });
  });
});

describe("a failing seed", () => {
  it("is told, the app is not started on it, and the next start seeds exactly once, anew", async () => {
    using box = createBox();
    const { exitStatus, output } = await box.run({ environment: { SEED_FAIL: "1" } });
    expect(output).toMatch(/E_SEED: .*"node prisma\/seed\.ts" ended with status 1/);
    expect(output).not.toContain("listening on");
    expect(exitStatus).toBe(70);
    for (let start = 0; start < 2; start += 1) {
      const running = await started(box);
      expect(await texts(running)).toHaveLength(SEEDED);
      expect(await running.stop()).toBe(0);
    }
    expect(await textsAfterLoss(box)).toHaveLength(SEEDED);
  });
});

describe("two flysqlite on one volume", () => {
  it("are one too many: the second is refused, and the first goes on", async () => {
    using box = createBox();
    const first = await started(box);
    const { exitStatus, output } = await box.run();
    expect(output).toMatch(/E_VOLUME: .*"\/data\/dev\.db": another flysqlite on this machine has it/);
    expect(output).not.toContain("listening on");
    expect(exitStatus).toBe(72);
    await add(first, "still here");
    expect(await first.stop(), first.output()).toBe(0);
    expect(await textsAfterLoss(box)).toContain("still here");
  });

  it("may meet for a moment, as at a restart: the second goes on from where the first ended", async () => {
    using box = createBox();
    const first = await started(box);
    await first.line(/copied the whole database/);
    const second = await box.start({ environment: { FLYSQLITE_LOG: "debug" } });
    await second.line(/ of better-sqlite3/); // it has what it takes to wait for the first one's lock
    await add(first, "late");
    expect(await first.stop(), first.output()).toBe(0);
    await second.listening();
    await add(second, "later");
    expect(await second.stop(), second.output()).toBe(0);
    expect(second.output()).not.toMatch(/warning|copied the whole database/);
    expect(await textsAfterLoss(box)).toEqual(expect.arrayContaining(["late", "later"]));
  });

  it("may both find an empty volume: it is seeded once", async () => {
    using box = createBox();
    const first = await box.start();
    const second = await box.start();
    await Promise.race([first.line(/listening on/), second.line(/listening on/)]);
    const [winner, loser] = /listening on/.test(first.output()) ? [first, second] : [second, first];
    expect(await winner.stop(), winner.output()).toBe(0);
    await loser.listening();
    expect(await texts(loser)).toHaveLength(SEEDED);
    expect(await loser.stop(), loser.output()).toBe(0);
    expect(await textsAfterLoss(box)).toHaveLength(SEEDED);
  });
});
