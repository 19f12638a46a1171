// The main job, on the real executable as PID 1 with the real app.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { type Box, createBox } from "../support/box.ts";

const count = async (box: { request(method: string, path: string): Promise<unknown> }) => {
  const { count } = (await box.request("GET", "/count")) as { count: number };
  return count;
};

const SEEDED = 2;

const add = (running: Awaited<ReturnType<Box["start"]>>, text: string) =>
  running.request("POST", "/entries", { author: "ann", text });

describe("a first start", () => {
  it("migrates, seeds and replicates a new database on the volume, and serves the app", async () => {
    using box = createBox();
    const running = await box.start();
    await running.listening();
    expect(await count(running)).toBe(SEEDED);
    expect(readdirSync(box.volume).sort()).toEqual([".dev.db-flysqlite", "dev.db", "dev.db-shm", "dev.db-wal"]);
    await running.line(/snapshot of transaction/);
    expect(readdirSync(join(box.replica, "db/ltx")).sort()).toEqual(["0", "9"]);
    expect(await running.stop()).toBe(0);
    using database = new DatabaseSync(join(box.volume, "dev.db"), { readOnly: true });
    const ledger = database
      .prepare("SELECT count(*) AS n, typeof(min(finished_at)) AS type FROM _prisma_migrations")
      .get();
    expect(ledger).toEqual({ n: 4, type: "integer" });
  });
});

describe("a dry run", () => {
  it("prints what a start would do with the database that is there, and changes nothing", async () => {
    using box = createBox();
    const first = await box.start();
    await first.listening();
    await first.stop();
    using database = new DatabaseSync(join(box.volume, "dev.db"));
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close(); // the last one to close removes the log and its index
    const before = readdirSync(box.volume, { recursive: true }).sort();
    const dry = await box.start({ words: ["run", "--dry"] });
    expect(await dry.ended).toBe(0);
    expect(dry.output()).toMatch(/migrate +nothing\n +because: all applied, 4 in the executable/);
    expect(readdirSync(box.volume, { recursive: true }).sort()).toEqual(before);
  });
});

describe("a second start", () => {
  it("applies nothing, seeds nothing, and replicates on from where it was", async () => {
    using box = createBox();
    const first = await box.start();
    await first.listening();
    await add(first, "before");
    await first.stop();
    const second = await box.start();
    await second.listening();
    expect(await count(second)).toBe(SEEDED + 1);
    expect(second.output()).not.toMatch(/ {2}(migrate|seed) /);
    await second.stop();
    const third = await box.start({ environment: { FLYSQLITE_LOG: "debug" } });
    await third.line(/on from transaction/);
    await third.listening();
    await add(third, "after");
    expect(await third.stop()).toBe(0);
    expect(third.output()).not.toContain("copied the whole database");
  });
});

describe("a start after the volume was lost", () => {
  it("restores every acknowledged row from the replica, and does not seed again", async () => {
    using box = createBox();
    const first = await box.start();
    await first.listening();
    for (let i = 0; i < 5; i += 1) await add(first, `row ${i}`);
    expect(await first.stop()).toBe(0);
    box.loseVolume();
    const second = await box.start();
    await second.listening();
    expect(await count(second)).toBe(SEEDED + 5);
    expect(second.output()).toMatch(/restore .* files, .* verified/);
    expect(second.output()).not.toMatch(/ {2}seed /);
    await add(second, "and on");
    expect(await second.stop()).toBe(0);
    box.loseVolume();
    const third = await box.start();
    await third.listening();
    expect(await count(third)).toBe(SEEDED + 6);
  });
});
