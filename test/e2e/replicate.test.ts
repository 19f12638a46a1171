// `flysqlite replicate`: the real executable beside an app that somebody else starts, stops and rewrites.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { type App, startApp } from "../support/app.ts";
import { until } from "../support/box.ts";
import { runFlysqlite, type Started, startFlysqlite } from "../support/flysqlite.ts";
import {
  canReadAsLitestream,
  findLitestream05,
  judgeByLitestream,
  restoreByLitestream,
} from "../support/litestream.ts";
import { BUCKET, KEY, type S3Server, startS3Server } from "../support/s3-server.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { judge, makeDatabase } from "../support/workload.ts";

/** A directory with a database's place, and a replica's. */
function world() {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const volume = join(directory.path, "volume");
  mkdirSync(volume);
  const path = join(volume, "app.db");
  const replica = join(directory.path, "replica");
  const which = ["--database", path, "--replica", replica];
  return {
    directory: directory.path,
    volume,
    path,
    replica,
    /** Starts it beside whatever runs. */
    start: (environment: NodeJS.ProcessEnv = {}) =>
      startFlysqlite(["replicate", ...which], { environment: { FLYSQLITE_LOG: "debug", ...environment } }),
    run: () => runFlysqlite(["replicate", ...which]),
    status: () => runFlysqlite(["status", ...which]),
    /** Waits until everything committed is in the replica. */
    async sync(): Promise<void> {
      const { exitStatus, output } = await runFlysqlite(["sync", ...which]);
      expect(output).toMatch(/^everything is in file:/);
      expect(exitStatus).toBe(0);
    },
    /** What a restore on another machine gives. */
    async restored(): Promise<ReturnType<typeof judge>> {
      const target = join(directory.path, "restored.db");
      const { exitStatus, output } = await runFlysqlite(["restore", "--replica", replica, "-o", target]);
      expect(exitStatus, output).toBe(0);
      const found = judge(target);
      rmSync(target);
      return found;
    },
  };
}

/** The app, once it has made its database. */
async function appOf(path: string): Promise<App> {
  if (!existsSync(path)) makeDatabase(path);
  return startApp(path);
}

const attached = (running: Started) => running.line(/replicate +to file:/);

describe("flysqlite replicate", () => {
  it("ships what the app commits, ends with 0 at SIGTERM, and the last commit is in the replica", async () => {
    const { path, start, restored } = world();
    await using app = await appOf(path);
    await app.commit(3);
    await using running = start();
    await attached(running);
    const last = await app.commit(20);
    expect(await running.stop(), running.output()).toBe(0);
    expect(running.output()).toMatch(/stop +SIGTERM: making the last sync[\s\S]*stop +everything is in the replica/);
    expect(await restored()).toEqual({ n: last });
  });

  it("ends so at SIGINT too, as Ctrl-C and Fly send it", async () => {
    const { path, start, restored } = world();
    await using app = await appOf(path);
    await using running = start();
    await attached(running);
    const last = await app.commit(2);
    running.signal("SIGINT");
    expect(await running.ended, running.output()).toBe(0);
    expect(await restored()).toEqual({ n: last });
  });

  it.skipIf(!canReadAsLitestream)("writes what Litestream reads and restores", async () => {
    const { directory, path, replica, start, sync } = world();
    await using app = await appOf(path);
    await using running = start();
    await attached(running);
    for (let round = 0; round < 5; round += 1) {
      await app.commit(8, { payloadBytes: 6000, keep: 20 });
      if (round === 2) await app.exec("VACUUM");
      await sync();
    }
    const last = await app.commit();
    await sync();
    expect(await judgeByLitestream(replica)).toEqual({ n: last });
    if (findLitestream05() === undefined) return;
    const theirs = join(directory, "theirs.db");
    await restoreByLitestream(replica, theirs);
    expect(judge(theirs)).toEqual({ n: last });
  });

  it("goes on from where it ended, without a second copy of the database", async () => {
    const { path, start, restored } = world();
    await using app = await appOf(path);
    const first = start();
    await attached(first);
    await first.line(/snapshot of transaction/);
    await app.commit();
    await first.line(/transaction 0{15}2 is in the replica/);
    expect(await first.stop()).toBe(0);
    const last = await app.commit(4);
    await using second = start();
    await second.line(/on from transaction 0{15}2$/m);
    expect(await second.stop()).toBe(0);
    expect(second.output()).not.toMatch(/copied the whole database|warning/);
    expect(await restored()).toEqual({ n: last });
  });

  it("goes on after kill -9, and nothing is lost", async () => {
    const { path, start, sync, restored } = world();
    await using app = await appOf(path);
    const first = start();
    await attached(first);
    await app.commit(5);
    await sync();
    await first.kill();
    const last = await app.commit(5);
    await using second = start();
    await attached(second);
    await sync(); // over the socket that the first one left
    expect(second.output()).toMatch(/on from transaction/);
    expect(await restored()).toEqual({ n: last });
    expect(await second.stop()).toBe(0);
  });

  it("takes the database and the replica from litestream.yml", async () => {
    const { directory, path, replica, restored } = world();
    await using app = await appOf(path);
    const last = await app.commit(2);
    const yml = join(directory, "litestream.yml");
    writeFileSync(yml, `dbs:\n  - path: ${path}\n    replica:\n      url: ${pathToFileURL(replica).href}\n`);
    await using running = startFlysqlite(["replicate", "--config", yml]);
    await attached(running);
    expect(await running.stop(), running.output()).toBe(0);
    expect(await restored()).toEqual({ n: last });
  });

  it("leaves the app's own checkpoints and transactions alone", async () => {
    const { path, start, sync, restored } = world();
    await using app = await appOf(path);
    await using running = start();
    await attached(running);
    for (const mode of ["PASSIVE", "FULL", "RESTART", "TRUNCATE"] as const) {
      await app.commit(3);
      await app.checkpoint(mode);
      await sync();
    }
    await app.exec("BEGIN IMMEDIATE");
    await sync(); // also while the app has the write lock
    await app.exec("ROLLBACK");
    const last = await app.commit();
    await sync();
    expect(await restored()).toEqual({ n: last });
    expect(await running.stop()).toBe(0);
  });
});

describe("a database that is not there yet", () => {
  it("is waited for, and replicated from its first commit on", async () => {
    const { path, volume, start, sync, restored } = world();
    await using running = start();
    await running.line(/waiting for "\S+app\.db": there is no database yet/);
    expect(readdirSync(volume)).toEqual([]);
    await using app = await appOf(path);
    const last = await app.commit(3);
    await attached(running);
    await sync();
    expect(await restored()).toEqual({ n: last });
    expect(await running.stop()).toBe(0);
  });

  it("is waited for until SIGTERM, which leaves no trace", async () => {
    const { volume, start } = world();
    await using running = start();
    await running.line(/waiting for/);
    expect(await running.stop(), running.output()).toBe(0);
    expect(readdirSync(volume)).toEqual([]);
  });

  it("may have its whole directory made later", async () => {
    const { path, volume, start, sync, restored } = world();
    rmSync(volume, { recursive: true });
    await using running = start();
    await running.line(/waiting for/);
    mkdirSync(volume);
    await using app = await appOf(path);
    const last = await app.commit();
    await attached(running);
    await sync();
    expect(await restored()).toEqual({ n: last });
  });

  it("is no database to start with where the replica holds its history", async () => {
    const { path, volume, start, run } = world();
    const app = await appOf(path);
    await app.commit();
    const first = start();
    await attached(first);
    await app.kill();
    expect(await first.stop()).toBe(0);
    rmSync(volume, { recursive: true });
    mkdirSync(volume);
    const { exitStatus, output } = await run();
    expect(output).toMatch(
      /E_DIVERGED: Cannot replicate "\S+app\.db": it is not there, and "file:\S+" holds its history/,
    );
    expect(output).toContain(`flysqlite restore -o ${path}`);
    expect(exitStatus).toBe(65);
    expect(readdirSync(volume)).toEqual([]);

    const back = await runFlysqlite([
      "restore",
      "--replica",
      first.output().match(/to (file:\S+)/)?.[1] ?? "",
      "-o",
      path,
    ]);
    expect(back.exitStatus, back.output).toBe(0);
  });
});

describe("a database that the app keeps locked", () => {
  it("is attached to as soon as the app lets go", async () => {
    const { path, start, sync, restored } = world();
    makeDatabase(path);
    await using app = await startApp(path);
    await app.exec("PRAGMA journal_mode=DELETE");
    await app.exec("BEGIN EXCLUSIVE");
    await using running = start();
    await running.line(/"\S+app\.db" is kept locked: waiting to attach to it/);
    await app.exec("ROLLBACK");
    await attached(running);
    const last = await app.commit(3);
    await sync();
    expect(await restored()).toEqual({ n: last });
    expect(await app.all("PRAGMA journal_mode")).toEqual([{ journal_mode: "wal" }]);
  });

  it("does not keep SIGTERM from ending it", async () => {
    const { path, start } = world();
    makeDatabase(path);
    await using app = await startApp(path);
    await app.exec("PRAGMA journal_mode=DELETE");
    await app.exec("BEGIN EXCLUSIVE");
    await using running = start();
    await running.line(/is kept locked/);
    expect(await running.stop(), running.output()).toBe(143);
  });
});

describe("a database that was waited for, and is kept locked", () => {
  it("is not said to be replicated when a stop comes first", async () => {
    const { directory, path, start } = world();
    await using running = start();
    await running.line(/waiting for/);
    const other = join(directory, "other.db");
    makeDatabase(other);
    await using app = await startApp(other);
    await app.exec("PRAGMA journal_mode=DELETE");
    await app.exec("BEGIN EXCLUSIVE");
    renameSync(other, path);
    await running.line(/is kept locked/);
    expect(await running.stop()).toBe(75);
    expect(running.output()).toMatch(/E_FINAL_SYNC: .* lacks those of "\S+app\.db", which is kept locked/);
  });
});

describe("an app that replaces its database", () => {
  it("by moving another over it, has that one replicated", async () => {
    const { directory, path, start, sync, restored } = world();
    await using app = await appOf(path);
    await app.commit(30);
    await using running = start();
    await attached(running);
    await sync();
    const other = join(directory, "other.db");
    makeDatabase(other);
    {
      await using writer = await startApp(other);
      await writer.commit(7);
      await writer.checkpoint("TRUNCATE");
      await writer.close();
    }
    await app.close();
    for (const suffix of ["-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
    renameSync(other, path);
    await app.open();
    const last = await app.commit(3);
    expect(last).toBe(10);
    await running.line(/warning: "\S+app\.db" was replaced by another file, or removed: attaching to what is there/);
    await sync();
    expect(await restored()).toEqual({ n: last });
    expect(running.output().match(/copied the whole database/g)).toHaveLength(2);

    // It holds the new one as it held the old one: nothing of it is missed, and its log does not grow for ever.
    const more = await app.commit(200, { payloadBytes: 20_000, keep: 10 });
    await sync();
    await app.commit();
    await sync();
    expect(await restored()).toEqual({ n: more + 1 });
    expect(statSync(`${path}-wal`).size).toBeLessThan(64 * 1024 * 1024);
    expect(await running.stop(), running.output()).toBe(0);
  });

  it("by removing it, and making a new one after a while, has that one replicated", async () => {
    const { path, start, sync, status, restored } = world();
    const old = await appOf(path);
    await old.commit(9);
    await using running = start();
    await attached(running);
    await sync();
    await old.kill();
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`);
    await running.line(/was replaced by another file, or removed/);
    const meanwhile = await status();
    expect(meanwhile.output).toMatch(/E_SYNC: Cannot tell of "\S+app\.db": it is not there/);
    expect(meanwhile.exitStatus).toBe(75);
    await using app = await appOf(path);
    const last = await app.commit(2);
    await sync();
    expect(await restored()).toEqual({ n: last });
    expect(await running.stop(), running.output()).toBe(0);
  });

  it("and never makes a new one still has what it committed before in the replica", async () => {
    const { path, start, restored } = world();
    const app = await appOf(path);
    await using running = start();
    await running.line(/copied the whole database/);
    const last = await app.commit(3);
    await running.line(/transaction 0{15}[2-9] is staged/);
    await app.kill();
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`);
    await running.line(/was replaced by another file, or removed/);
    expect(await running.stop(), running.output()).toBe(0);
    expect(await restored()).toEqual({ n: last });
  });

  it("many times over is followed, without a log that is deleted under it", async () => {
    const { directory, path, start, sync, restored } = world();
    let app = await appOf(path);
    await using running = start();
    await attached(running);
    for (let times = 1; times <= 5; times += 1) {
      const other = join(directory, `other-${times}.db`);
      makeDatabase(other);
      await app.kill();
      for (const suffix of ["-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
      renameSync(other, path);
      app = await startApp(path);
      const last = await app.commit(times);
      await sync();
      expect(await restored()).toEqual({ n: last });
      expect(existsSync(`${path}-wal`)).toBe(true);
    }
    await app.kill();
    expect(await running.stop(), running.output()).toBe(0);
  });
});

describe("a sidecar that can't be", () => {
  it.each([
    [
      "without a replica",
      ["--database", "/tmp/none.db"],
      78,
      /E_CONFIG: Cannot replicate "\/tmp\/none\.db": no replica/,
    ],
    ["with another kind of database", ["--database", "postgres://u:secret@h/d", "--replica", "/tmp/r"], 78, /E_CONFIG/],
    ["with words of an app", ["node", "server.js"], 64, /E_USAGE/],
  ])("%s says so", async (_, words, status, text) => {
    const { exitStatus, output } = await runFlysqlite(["replicate", ...words]);
    expect(output).toMatch(text);
    expect(output).not.toContain("secret");
    expect(exitStatus).toBe(status);
  });

  it("beside another one on the same database is refused, and the first goes on", async () => {
    const { path, start, run, sync, restored } = world();
    await using app = await appOf(path);
    await using first = start();
    await attached(first);
    const { exitStatus, output } = await run();
    expect(output).toMatch(/E_VOLUME: Cannot use "\S+app\.db": another flysqlite on this machine has it/);
    expect(exitStatus).toBe(72);
    const last = await app.commit();
    await sync();
    expect(await restored()).toEqual({ n: last });
  });

  it("on a file that is no database leaves it as it is", async () => {
    const { path, volume, run } = world();
    writeFileSync(path, "no database at all, but longer than a header of one hundred bytes".repeat(10));
    const { exitStatus, output } = await run();
    expect(output).toContain("E_DB_INVALID");
    expect(exitStatus).toBe(65);
    expect(readdirSync(volume)).toEqual(["app.db"]);
  });
});

describe("a stop while the bucket is away", () => {
  const bucket = ({ origin, region }: S3Server): NodeJS.ProcessEnv => ({
    BUCKET_NAME: BUCKET,
    AWS_ENDPOINT_URL_S3: origin,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: KEY.accessKeyId,
    AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
    FLYSQLITE_LOG: "debug",
  });

  async function started(server: S3Server, environment: NodeJS.ProcessEnv = {}) {
    const { path, volume } = world();
    const app = await appOf(path);
    onTestFinished(() => app.kill());
    const running = startFlysqlite(["replicate", "--database", path], {
      environment: { ...bucket(server), ...environment },
    });
    onTestFinished(() => running.kill());
    await running.line(/snapshot of transaction/);
    return { path, volume, app, running };
  }

  it("ends with 75 within its time, and says how much the replica lacks and why", async () => {
    await using server = await startS3Server();
    const { app, path, volume, running } = await started(server, { FLYSQLITE_STOP_TIMEOUT: "2s" });
    server.fail("Put", { kind: "reset", when: "before" }, 10_000);
    const last = await app.commit(3);
    await running.line(/not replicated, next try/);
    expect(await running.stop()).toBe(75);
    expect(running.output()).toMatch(
      /E_FINAL_SYNC: Cannot replicate the last commits: "s3:\S+" lacks \d transactions? \(\d+ k?B\), the oldest commit .* old: /,
    );
    expect(running.output()).not.toContain(KEY.secretAccessKey);

    // Nothing is lost: the next one ships it.
    server.heal();
    await using next = startFlysqlite(["replicate", "--database", path], { environment: bucket(server) });
    await next.line(/replicate +to s3:/);
    expect(await next.stop(), next.output()).toBe(0);
    const target = join(volume, "restored.db");
    const restored = await runFlysqlite(["restore", "--database", path, "-o", target], { environment: bucket(server) });
    expect(restored.exitStatus, restored.output).toBe(0);
    expect(judge(target)).toEqual({ n: last });
  });

  it("breaks off an upload that hangs", async () => {
    await using server = await startS3Server();
    const { app, running } = await started(server, { FLYSQLITE_STOP_TIMEOUT: "2s" });
    server.fail("Put", { kind: "hang", when: "before" }, 10_000);
    await app.commit();
    await until(() => server.requests.some(({ operation, status }) => operation === "Put" && status === 0), {
      what: running.output,
    });
    expect(await running.stop()).toBe(75);
    expect(running.output()).toMatch(/lacks 1 transaction .*: the time for the stop was over/);
  });

  it("waits for a bucket that comes back in time", async () => {
    await using server = await startS3Server();
    const { app, running } = await started(server, { FLYSQLITE_STOP_TIMEOUT: "10m" });
    server.fail("Put", { kind: "reset", when: "before" }, 10_000);
    await app.commit(3);
    running.signal("SIGTERM");
    await running.line(/making the last sync/);
    const tries = server.requests.length;
    await until(() => server.requests.length > tries + 3, { what: running.output });
    server.heal();
    expect(await running.ended, running.output()).toBe(0);
    expect(running.output()).toMatch(/everything is in the replica/);
  });

  it("ends at once at a second signal, and the volume has every commit", async () => {
    await using server = await startS3Server();
    const { app, path, running } = await started(server, { FLYSQLITE_STOP_TIMEOUT: "10m" });
    server.fail("Put", { kind: "hang", when: "before" }, 10_000);
    const last = await app.commit(2);
    running.signal("SIGTERM");
    await running.line(/making the last sync/);
    running.signal("SIGTERM");
    expect(await running.ended).toBe(75);
    expect(running.output()).toMatch(/SIGTERM again: ending at once; what is not replicated yet stays on the volume/);
    await app.kill();
    expect(judge(path)).toEqual({ n: last });
  });
});

describe("its control socket", () => {
  it("is gone after a clean end, and mode 0600 in a directory of mode 0700 before", async () => {
    const { path, volume, start } = world();
    await using _app = await appOf(path);
    await using running = start();
    const state = join(volume, ".app.db-flysqlite");
    await attached(running);
    await running.line(/control socket at/);
    expect(statSync(join(state, "control.sock")).mode & 0o777).toBe(0o600);
    expect(statSync(state).mode & 0o777).toBe(0o700);
    expect(await running.stop()).toBe(0);
    expect(existsSync(join(state, "control.sock"))).toBe(false);
  });

  it("is reached by curl, as a barrier for an app in any language", async () => {
    const { path, volume, start, restored } = world();
    await using app = await appOf(path);
    await using running = start();
    await running.line(/control socket at/);
    const socket = join(volume, ".app.db-flysqlite/control.sock");
    const last = await app.commit(3);
    const args = ["-sS", "--fail", "--unix-socket", socket, "-X", "POST", "http://flysqlite/sync?timeout=20s"];
    const answer = JSON.parse(execFileSync("curl", args, { encoding: "utf8" }));
    expect(answer).toEqual({
      replica: expect.stringMatching(/^file:/) as string,
      replicated: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
      tookMs: expect.any(Number) as number,
    });
    expect(await restored()).toEqual({ n: last });
  });

  it("works where the database's path is longer than a socket's may be", async () => {
    const { directory, replica } = world();
    const deep = join(directory, "a-directory-with-a-long-name/".repeat(5));
    mkdirSync(deep, { recursive: true });
    const path = join(deep, "app.db");
    await using app = await appOf(path);
    const which = ["--database", path, "--replica", replica];
    await using running = startFlysqlite(["replicate", ...which]);
    await attached(running);
    await app.commit();
    const { exitStatus, output } = await runFlysqlite(["sync", ...which]);
    expect(output).toMatch(/^everything is in/);
    expect(exitStatus).toBe(0);
    expect(await running.stop()).toBe(0);
  });
});
