import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Event } from "../../../src/base/events.ts";
import { systemClock } from "../../../src/base/system.ts";
import type { Facts } from "../../../src/plan/facts.ts";
import type { Placement } from "../../../src/plan/placement.ts";
import type { Plan } from "../../../src/plan/plan.ts";
import { link } from "../../../src/steps/link.ts";
import { unbornMark } from "../../../src/steps/places.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { firstStart } from "../plan/facts.ts";

type Before = Extract<Placement, { kind: "link" }>["before"];

function place() {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const from = join(directory.path, "app/prisma/app.db");
  const to = join(directory.path, "volume/app.db");
  mkdirSync(dirname(from), { recursive: true });
  mkdirSync(dirname(to));
  const events: Event[] = [];
  const perform = (placement: Placement, facts: Partial<Facts> = {}) => {
    const orphans = ["-wal", "-shm", "-journal"].map((suffix) => `${to}${suffix}`).filter((path) => existsSync(path));
    const database = { ...firstStart.database, path: to, orphans };
    const plan: Plan = {
      facts: { ...firstStart, database, ...facts },
      placement,
      copy: { kind: "keep", why: "", position: undefined },
      seed: undefined,
      lines: [],
    };
    return link(plan, { clock: systemClock, log: (event) => void events.push(event) });
  };
  const linkAfter = (before: Before, facts?: Partial<Facts>) => perform({ kind: "link", from, to, before }, facts);
  const contents = (path: string) =>
    Object.fromEntries(
      readdirSync(path)
        .sort()
        .filter((name) => lstatSync(join(path, name)).isFile())
        .map((name) => [name, readFileSync(join(path, name), "utf8")]),
    );
  return { from, to, app: dirname(from), volume: dirname(to), events, perform, linkAfter, contents };
}

describe("link", () => {
  it("does nothing where the url leads to the volume, and only tells where the app is told", async () => {
    const { app, volume, perform, events } = place();
    await perform({ kind: "direct" });
    expect(events).toEqual([]);
    await perform({ kind: "variable", name: "DATABASE_URL", url: "file:/data/app.db" });
    expect(events.map(({ text }) => text)).toEqual(["the app is told DATABASE_URL=file:/data/app.db"]);
    expect([readdirSync(app), readdirSync(volume)]).toEqual([[], []]);
  });

  it("puts a link where nothing stands, and makes the directory for it", async () => {
    const { from, to, perform } = place();
    const deeper = join(dirname(from), "not/there/app.db");
    await perform({ kind: "link", from: deeper, to, before: "nothing" });
    expect(readlinkSync(deeper)).toBe(to);
    expect(existsSync(to)).toBe(false);
  });

  it("leaves its own link alone", async () => {
    const { from, to, linkAfter } = place();
    symlinkSync(to, from);
    const before = lstatSync(from).ino;
    await linkAfter("already linked");
    expect(lstatSync(from).ino).toBe(before);
  });

  it.each(["replace an empty file", "replace a copy"] as const)("can %s, and its side files", async (before) => {
    const { from, to, app, volume, linkAfter, contents } = place();
    for (const suffix of ["", "-wal", "-shm", "-journal"]) writeFileSync(`${from}${suffix}`, "");
    writeFileSync(to, "database");
    await linkAfter(before);
    expect(readdirSync(app)).toEqual(["app.db"]);
    expect(readlinkSync(from)).toBe(to);
    expect(contents(volume)).toEqual({ "app.db": "database" });
  });

  it("moves a database to the volume with its log and its journal, which are a part of it", async () => {
    const { from, to, app, volume, linkAfter, contents } = place();
    for (const [suffix, text] of [
      ["", "database"],
      ["-wal", "log"],
      ["-shm", "index"],
      ["-journal", "journal"],
    ]) {
      writeFileSync(`${from}${suffix}`, `${text}`);
    }
    await linkAfter("move the file to the volume");
    expect(contents(volume)).toEqual({ "app.db": "database", "app.db-journal": "journal", "app.db-wal": "log" });
    expect(readdirSync(app)).toEqual(["app.db"]);
    expect(readlinkSync(from)).toBe(to);
    expect(readFileSync(from, "utf8")).toBe("database");
  });

  it("moves aside the log of a lost database, which SQLite would replay into the moved one", async () => {
    const { from, to, volume, linkAfter, contents, events } = place();
    writeFileSync(from, "database");
    writeFileSync(`${to}-wal`, "stale log");
    writeFileSync(`${to}-journal`, "stale journal");
    await linkAfter("move the file to the volume");
    const found = contents(volume);
    expect(found["app.db"]).toBe("database");
    expect(found).not.toHaveProperty("app.db-wal");
    expect(found).not.toHaveProperty("app.db-journal");
    expect(Object.values(found).sort()).toEqual(["database", "stale journal", "stale log"]);
    expect(Object.keys(found)).toContainEqual(expect.stringMatching(/^app\.db-wal\.orphan-\d{8}T\d{6}Z$/));
    expect(events.map(({ text }) => text)).toContainEqual(expect.stringContaining("aside"));
  });

  it("lets a moved database no longer count as one that was never finished", async () => {
    const { from, to, linkAfter } = place();
    writeFileSync(from, "database");
    mkdirSync(dirname(unbornMark(to)));
    writeFileSync(unbornMark(to), "");
    await linkAfter("move the file to the volume", { unborn: true });
    expect(existsSync(unbornMark(to))).toBe(false);
  });

  it("moves an empty log", async () => {
    const { from, volume, linkAfter, contents } = place();
    writeFileSync(from, "database");
    writeFileSync(`${from}-wal`, "");
    await linkAfter("move the file to the volume");
    expect(contents(volume)).toEqual({ "app.db": "database", "app.db-wal": "" });
  });
});

describe("link, run again after it was broken off", () => {
  it.each([
    ["with a link half made", "nothing", (from: string) => symlinkSync("/elsewhere", `${from}.flysqlite-link`)],
    [
      "with a copy half made",
      "move the file to the volume",
      (_: string, to: string) => writeFileSync(`${to}.moving`, "ha"),
    ],
    [
      "after the log was moved",
      "move the file to the volume",
      (from: string, to: string) => writeFileSync(`${to}-wal`, readFileSync(`${from}-wal`)),
    ],
    [
      "after the database was moved too",
      "replace a copy",
      (from: string, to: string) => {
        for (const suffix of ["", "-wal"]) writeFileSync(`${to}${suffix}`, readFileSync(`${from}${suffix}`));
      },
    ],
  ] as const)("comes to the same end %s", async (_, before, breakOff) => {
    const { from, to, app, volume, linkAfter, contents } = place();
    if (before !== "nothing") {
      writeFileSync(from, "database");
      writeFileSync(`${from}-wal`, "log");
    }
    breakOff(from, to);
    await linkAfter(before);
    expect(readlinkSync(from)).toBe(to);
    expect(readdirSync(app)).toEqual(["app.db"]);
    if (before === "nothing") return;
    expect(contents(volume)).toMatchObject({ "app.db": "database", "app.db-wal": "log" });
    expect(existsSync(`${to}.moving`)).toBe(false);
  });
});
