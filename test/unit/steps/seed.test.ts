import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { FlysqliteError } from "../../../src/base/errors.ts";
import type { Facts } from "../../../src/plan/facts.ts";
import type { Plan } from "../../../src/plan/plan.ts";
import { unbornMark } from "../../../src/steps/places.ts";
import { postponeSeed, seed, seedByHand } from "../../../src/steps/seed.ts";
import { readUnfinished } from "../../../src/steps/unfinished.ts";
import { createWorld } from "../../support/deployment.ts";
import { installedDriver } from "../../support/driver.ts";
import { fingerprint } from "../../support/fingerprint.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { firstStart, settings } from "../plan/facts.ts";

const driver = await installedDriver();

/** Adds two rows, the second after a moment, and then does what it is told: see below. */
const SEED = `
const { DatabaseSync } = require("node:sqlite");
const database = new DatabaseSync(process.env.DATABASE_URL.slice("file:".length));
database.exec("PRAGMA journal_mode = WAL; INSERT INTO Note (text) VALUES ('first')");
const end = () => database.exec("INSERT INTO Note (text) VALUES ('second')");
const how = process.argv[2];
if (how === "fails") process.exit(3);
if (how === "crashes") process.kill(process.pid, "SIGKILL");
if (how === "hangs") setInterval(() => {}, 1000);
else if (how === "forks") {
  const child = require("node:child_process").spawn("sleep", ["1000"], { stdio: "ignore" });
  require("node:fs").writeFileSync("child", String(child.pid));
  child.unref();
  end();
} else end();
`;

/** A database that was just made and migrated, and an app's directory with a seed. */
function app(how = "works", { timeoutMs = 60_000, unborn = true } = {}) {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const world = createWorld(join(directory.path, "app.db"), driver);
  const { path } = world;
  writeFileSync(join(directory.path, "seed.cjs"), SEED);
  world.exec('CREATE TABLE "Note" ("id" INTEGER PRIMARY KEY, "text" TEXT)');
  if (unborn) writeFileSync(unbornMark(path), "");
  const context = {
    ...world.context,
    settings: {
      ...settings,
      appDirectory: directory.path,
      seedTimeoutMs: { value: timeoutMs, source: "" },
    },
  };
  const planned = (command: string | undefined, facts: Partial<Facts> = {}): Plan => ({
    facts: { ...firstStart, database: { ...firstStart.database, path }, ...facts },
    placement: { kind: "variable", name: "DATABASE_URL", url: `file:${path}` },
    copy: unborn ? { kind: "create", why: "" } : { kind: "keep", why: "", position: undefined },
    seed: command,
    lines: [],
  });
  const command = `node seed.cjs ${how}`;
  return {
    ...world,
    command,
    planned,
    run: (told: string | undefined = command) => seed(planned(told), context),
    runAgain: () => seed(planned("node seed.cjs works"), context),
    postpone: () => postponeSeed(planned(command), context),
    byHand: () => seedByHand(command, planned(undefined), context),
    finish: () => seed(planned(undefined, { unfinished: { what: "seed", names: [], isNew: true } }), context),
    texts: () => world.rows("SELECT text FROM Note").map((row) => (row as { text: string }).text),
    isUnborn: () => existsSync(unbornMark(path)),
  };
}

describe("seed", () => {
  it("seeds a new database, which then counts as made", async () => {
    const { run, texts, isUnborn, path } = app();
    await run();
    expect(texts()).toEqual(["first", "second"]);
    expect(isUnborn()).toBe(false);
    expect(readUnfinished(path)).toBeUndefined();
  });

  it("lets a new database count as made where there is no seed", async () => {
    const { planned, context, isUnborn, texts } = app();
    await seed(planned(undefined), context);
    expect(isUnborn()).toBe(false);
    expect(texts()).toEqual([]);
  });

  it.each([
    ["fails", { message: expect.stringMatching(/ended with status 3$/) }],
    ["crashes", { message: expect.stringMatching(/ended with status 137$/) }],
    ["hangs", { message: expect.stringMatching(/it took longer than 1.5 s$/) }],
  ])("puts a database back that a seed leaves half seeded (it %s), and runs it again", async (how, failure) => {
    const { run, runAgain, texts, recover, path, isUnborn } = app(how, { timeoutMs: 1500 });
    const before = fingerprint(path);
    await expect(run()).rejects.toMatchObject({
      code: "E_SEED",
      ...failure,
      problems: [`"${path}" is as it was before`],
    });
    expect(fingerprint(path)).toEqual(before);
    expect(isUnborn()).toBe(false); // it is migrated, and needs no more than its seed
    expect(readUnfinished(path)).toMatchObject({ phase: "seed", isNew: true });
    for (let start = 0; start < 2; start += 1) await recover();
    expect(fingerprint(path)).toEqual(before);
    await runAgain();
    expect(texts()).toEqual(["first", "second"]);
    expect(readUnfinished(path)).toBeUndefined();
  });

  it("is E_SEED where its program is not there", async () => {
    const { run } = app();
    await expect(run("no-such-seed")).rejects.toBeInstanceOf(FlysqliteError);
    await expect(run("no-such-seed")).rejects.toMatchObject({
      code: "E_SEED",
      message: expect.stringMatching(/ENOENT/),
    });
  });

  it("leaves no process behind that would go on", async () => {
    const { run, texts, directory } = app("forks");
    await run();
    expect(texts()).toEqual(["first", "second"]);
    const child = readFileSync(join(directory, "child"), "utf8");
    await expect.poll(() => isRunning(child)).toBe(false);
  });

  it("is cut off by a signal to stop, and the database is put back", async () => {
    const world = app("hangs");
    const before = fingerprint(world.path);
    const running = world.run();
    await expect.poll(() => world.texts().length, { timeout: 20_000 }).toBe(1);
    world.stop.abort(new Error("stopped by SIGTERM"));
    await expect(running).rejects.toThrow("stopped by SIGTERM");
    expect(fingerprint(world.path)).toEqual(before);
  });
});

describe("a seed that is postponed", () => {
  it("leaves a database that counts as made, and that the next start seeds", async () => {
    const { postpone, isUnborn, path, recover, runAgain, texts } = app();
    await postpone();
    expect(isUnborn()).toBe(false);
    expect(readUnfinished(path)).toMatchObject({ phase: "seed", isNew: true });
    await recover();
    await runAgain();
    expect(texts()).toEqual(["first", "second"]);
  });

  it("is forgotten by a release that has no seed", async () => {
    const { postpone, finish, path, recover, exec, texts } = app();
    await postpone();
    await finish();
    expect(readUnfinished(path)).toBeUndefined();
    exec("INSERT INTO Note (text) VALUES ('by the app')");
    await recover();
    expect(texts()).toEqual(["by the app"]);
  });
});

describe("a start after a seed that was cut off", () => {
  it("puts the database back, and knows that it has yet to be seeded", async () => {
    const { postpone, exec, recover, path, texts, runAgain } = app();
    await postpone(); // what is written down before a seed begins, too
    const before = fingerprint(path);
    exec("PRAGMA journal_mode = WAL; INSERT INTO Note (text) VALUES ('half')");
    await recover();
    expect(fingerprint(path)).toEqual(before);
    expect(readUnfinished(path)).toMatchObject({ phase: "seed", isNew: true });
    await runAgain();
    expect(texts()).toEqual(["first", "second"]);
  });
});

describe("a seed by hand", () => {
  it("is put back where it fails, whatever the journal mode, and not run again", async () => {
    for (const mode of ["wal", "delete"]) {
      const { byHand, exec, path } = app("fails", { unborn: false });
      exec(`PRAGMA journal_mode = ${mode}; INSERT INTO Note (text) VALUES ('data')`);
      const before = fingerprint(path);
      await expect(byHand()).rejects.toMatchObject({ code: "E_SEED" });
      expect(fingerprint(path)).toEqual(before);
      expect(readUnfinished(path)).toBeUndefined();
    }
  });

  it("seeds", async () => {
    const { byHand, texts } = app("works", { unborn: false });
    await byHand();
    expect(texts()).toEqual(["first", "second"]);
  });
});

function isRunning(pid: string): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}
