import { type FSWatcher, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Clock } from "../../../src/base/context.ts";
import { systemClock } from "../../../src/base/system.ts";
import { makeProbeDirectory } from "../../../src/doctor/probe-directory.ts";
import { withoutTraces } from "../../../src/doctor/traceless.ts";
import { judgeRoom, judgeSync, measureSync, probeNotices, probeWalMode, readRoom } from "../../../src/doctor/volume.ts";
import type { Connection, Driver } from "../../../src/sqlite/driver.ts";
import { createNodeSqliteDriver } from "../../../src/sqlite/node-sqlite.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const signal = new AbortController().signal;
const MB = 1_000_000;

function directory(): string {
  const made = temporaryDirectory();
  onTestFinished(() => made[Symbol.dispose]());
  return made.path;
}

describe("the room on a volume", () => {
  it.each([
    ["enough for a second copy and the log", 200 * MB, "ok"],
    ["too little for a second copy", 150 * MB, "warning"],
    ["too little for commits", 4 * MB, "failed"],
  ])("is %s", (_, freeBytes, result) => {
    const finding = judgeRoom({ freeBytes, totalBytes: 1000 * MB }, { databaseBytes: 100 * MB });
    expect(finding.result).toBe(result);
    expect(finding.text).toMatch(/^\d+(\.\d)? MB of 1\.0 GB are free/);
    expect(finding.wayOut === undefined).toBe(result === "ok");
  });

  it("is read from the system", async () => {
    const { freeBytes, totalBytes } = await readRoom(directory());
    expect(totalBytes).toBeGreaterThanOrEqual(freeBytes);
    expect(totalBytes).toBeGreaterThan(0);
  });
});

describe("the disk", () => {
  it("is judged by the usual write, and not by a slow one", () => {
    expect(judgeSync([1, 2, 900])).toMatchObject({
      result: "ok",
      text: "4 kB are durable after 2 ms, at worst 900 ms",
    });
    expect(judgeSync([90, 150, 200])).toMatchObject({ result: "warning", text: expect.stringContaining("150 ms") });
  });

  it("is measured by a clock that is handed in, a write at a time", async () => {
    let now = 0;
    const clock = { monotonic: () => now++ };
    const took = await measureSync(directory(), { clock });
    expect(new Set(took)).toEqual(new Set([1]));
    expect(took).toHaveLength(15);
  });
});

describe("notices of changes", () => {
  it("come on a local file system", async () => {
    expect(await probeNotices(directory(), { clock: systemClock, signal })).toMatchObject({ result: "ok" });
  });

  it("are missed where none comes", async () => {
    const clock: Pick<Clock, "sleep"> = { sleep: async () => {} };
    const elsewhere = directory();
    const { watch } = await import("node:fs");
    const watchDirectory = ((_path: string, listener: () => void): FSWatcher =>
      watch(elsewhere, listener)) as typeof watch;
    const finding = await probeNotices(directory(), { clock, signal, watchDirectory });
    expect(finding).toMatchObject({ result: "warning", text: expect.stringContaining("looking each second") });
  });

  it("are missed where the system has no more of them", async () => {
    const watchDirectory = (() => {
      throw new Error("ENOSPC: System limit for number of file watchers reached");
    }) as unknown as typeof import("node:fs").watch;
    const finding = await probeNotices(directory(), { clock: systemClock, signal, watchDirectory });
    expect(finding).toMatchObject({ result: "warning", wayOut: expect.stringContaining("max_user_watches") });
  });
});

describe("WAL mode", () => {
  const driver = createNodeSqliteDriver();

  it("works on a local file system", async () => {
    expect(await probeWalMode(directory(), driver)).toMatchObject({ result: "ok" });
  });

  it.each([
    [
      "stays another",
      (connection: Connection): Connection => ({ ...connection, all: () => [{ journal_mode: "delete" }] }),
    ],
    [
      "can't be had",
      (connection: Connection): Connection => ({
        ...connection,
        exec: () => {
          throw new Error("disk I/O error");
        },
      }),
    ],
  ])("fails where the mode %s", async (_, spoil) => {
    const spoilt: Driver = {
      ...driver,
      open(path, options) {
        const connection = driver.open(path, options);
        return spoil({
          exec: (sql) => connection.exec(sql),
          all: (sql) => connection.all(sql),
          close: () => connection.close(),
          [Symbol.dispose]: () => connection.close(),
        });
      },
    };
    const finding = await probeWalMode(directory(), spoilt);
    expect(finding).toMatchObject({
      result: "failed",
      code: "E_VOLUME",
      wayOut: expect.stringContaining("local file"),
    });
  });
});

describe("the directory of the probes", () => {
  it("is gone afterwards with all that is in it, also after a failure", async () => {
    const volume = directory();
    const driver = createNodeSqliteDriver();
    const fail = async () => {
      await using probes = await makeProbeDirectory(volume);
      await probeWalMode(probes.path, driver);
      expect(readdirSync(volume)).toEqual([expect.stringMatching(/^\.flysqlite-doctor-/)]);
      throw new Error("something else failed");
    };
    await expect(fail()).rejects.toThrow("something else failed");
    expect(readdirSync(volume)).toEqual([]);
  });

  it("is a failure of the volume where it can't be made", async () => {
    const making = makeProbeDirectory(join(directory(), "absent"));
    await expect(making).rejects.toMatchObject({ code: "E_VOLUME", hint: expect.stringMatching(/\S/) });
  });
});

describe("a replica in a directory", () => {
  it("has no directory more than before, also where the probe failed", async () => {
    const parent = directory();
    const root = join(parent, "app");
    const work = withoutTraces(root, async () => {
      mkdirSync(join(root, "flysqlite"), { recursive: true });
      throw new Error("it failed");
    });
    await expect(work).rejects.toThrow("it failed");
    expect(readdirSync(parent)).toEqual([]);
  });

  it("keeps what it had", async () => {
    const parent = directory();
    const root = join(parent, "app");
    mkdirSync(root);
    await withoutTraces(root, async () => mkdirSync(join(root, "flysqlite")));
    expect(readdirSync(root)).toEqual([]);
    await withoutTraces(root, async () => mkdirSync(join(root, "ltx")));
    expect(readdirSync(root)).toEqual(["ltx"]);
  });
});
