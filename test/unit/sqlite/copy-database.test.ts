import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { copyDatabase } from "../../../src/sqlite/copy-database.ts";
import { startApp } from "../../support/app.ts";
import { fingerprint } from "../../support/fingerprint.ts";
import { ask } from "../../support/migrator.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { makeDatabase } from "../../support/workload.ts";

async function database() {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const path = join(directory.path, "app.db");
  const place = join(directory.path, "state");
  mkdirSync(place);
  makeDatabase(path);
  const app = await startApp(path);
  await app.commit(5);
  await app.kill();
  return { path, place, copy: join(place, "copy.db") };
}

describe("copyDatabase", () => {
  it("makes the same bytes, in place of what was there, and leaves nothing else behind", async () => {
    const { path, place, copy } = await database();
    writeFileSync(copy, "of an earlier start");
    writeFileSync(path, Buffer.alloc(3_000_001, "x"));
    expect(await copyDatabase(path, copy)).toMatchObject({ sizeBytes: 3_000_001 });
    expect(readFileSync(copy).equals(readFileSync(path))).toBe(true);
    expect(readdirSync(place)).toEqual(["copy.db"]);
  });

  it("is as private as the directory is", async () => {
    const { path, copy } = await database();
    const { shared } = await copyDatabase(path, copy);
    if (!shared) expect(statSync(copy).mode & 0o777).toBe(0o600);
  });
});

describe("a restore point by a copy", () => {
  it("holds what the log has too, and is put back whole, in whatever journal mode", async () => {
    const { path, copy } = await database();
    const before = fingerprint(path);
    expect(await ask({ kind: "copy", path, to: copy })).toMatchObject({ kind: "copied" });
    const app = await startApp(path);
    await app.exec("DROP TABLE chain; PRAGMA journal_mode = DELETE; BEGIN; CREATE TABLE other (x)");
    await app.kill(); // leaves a hot journal
    copyFileSync(path, `${path}-wal`); // which SQLite would take for a log
    const point = { kind: "copy", path: copy } as const;
    expect(await ask({ kind: "put back", path, point, held: false })).toEqual({ kind: "done" });
    expect(fingerprint(path)).toEqual(before);
    expect(["-wal", "-journal", "-shm"].filter((suffix) => existsSync(`${path}${suffix}`))).toEqual([]);
    // The copy has taken the database's place: what a crash right after that leaves is put back already.
    expect(existsSync(copy)).toBe(false);
    expect(await ask({ kind: "put back", path, point, held: false })).toEqual({ kind: "done" });
    expect(fingerprint(path)).toEqual(before);
  });

  it("is not made of a database that another process uses", async () => {
    const { path, copy } = await database();
    const app = await startApp(path);
    await app.exec("SELECT * FROM chain");
    expect(await ask({ kind: "copy", path, to: copy })).toMatchObject({
      kind: "failed",
      message: "SQLite database error\ndatabase is locked",
    });
    await app.kill();
  });
});
