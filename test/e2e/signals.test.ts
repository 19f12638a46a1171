// All 31 signals, whatever flysqlite is doing when they come: as tini and dumb-init answer them, and better.

import { readdirSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { BARE, type Box, type BoxOptions, createBox, ROOT, type Running, until } from "../support/box.ts";
import { prisma6 } from "../support/project.ts";
import { BUCKET, KEY, startS3Server } from "../support/s3-server.ts";

const PROBE = { "probe.mjs": readFileSync(join(ROOT, "test/support/probe.mjs"), "utf8") };

/** A project without a seed; its app is the probe. */
const app = prisma6('env("DATABASE_URL")', PROBE);
const environment = { DATABASE_URL: "file:./dev.db", FLYSQLITE_STOP_TIMEOUT: "20s" };
const boxOf = (options: BoxOptions = {}) => createBox({ executable: BARE, app, ...options });

const STOP = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"] as const;
/** These stop the app's group, as a terminal's job: SIGCONT sets it going again. */
const SUSPEND = ["SIGTSTP", "SIGTTIN", "SIGTTOU"] as const;
/** They end PID 1, or stop it, whatever it wants. */
const NOT_TO_CATCH = ["SIGKILL", "SIGSTOP"] as const;
/** Passed over: a fault's own, what children do, and what our own writing may cause. */
const NOT_PASSED_ON = ["SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGCHLD", "SIGPIPE"] as const;

const nameOf = (number: number) =>
  Object.entries(constants.signals).find(
    ([name, value]) => value === number && !["SIGIOT", "SIGPOLL", "SIGUNUSED"].includes(name),
  )?.[0] as NodeJS.Signals;
const ALL = Array.from({ length: 31 }, (_, at) => nameOf(at + 1));
const among = (list: readonly string[]) => (name: string) => list.includes(name);
const PASSED_ON = ALL.filter((name) => ![STOP, SUSPEND, NOT_TO_CATCH, NOT_PASSED_ON].some((list) => among(list)(name)));

async function running(box: Box, words: readonly string[] = []): Promise<Running> {
  const started = await box.start({ words: ["node", "probe.mjs", ...words], environment });
  await started.line(/probe up/);
  return started;
}

describe("the signals", () => {
  it("are 31, each with its place here", () => {
    expect(ALL.filter((name) => name === undefined)).toEqual([]);
    expect(PASSED_ON).toHaveLength(31 - STOP.length - SUSPEND.length - NOT_TO_CATCH.length - NOT_PASSED_ON.length);
    expect(PASSED_ON).toEqual(expect.arrayContaining(["SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCONT", "SIGALRM"]));
  });
});

describe("while the app runs", () => {
  it("all reach it that are for it; none of them ends it, and none opens a debugger", async () => {
    using box = boxOf();
    const probe = await running(box);
    for (const name of PASSED_ON) {
      probe.signal(name);
      await probe.line(new RegExp(`got ${name}\\n`));
    }
    for (const name of NOT_PASSED_ON) probe.signal(name);
    for (const name of SUSPEND) {
      const before = probe.output().split("got SIGCONT").length;
      probe.signal(name);
      probe.signal("SIGCONT");
      await until(() => probe.output().split("got SIGCONT").length > before, { what: () => `SIGCONT after ${name}` });
    }
    // PID 1 itself can be stopped from outside, and goes on where it was.
    probe.signal("SIGSTOP");
    probe.signal("SIGCONT");
    probe.signal("SIGUSR2");
    await until(() => probe.output().split("got SIGUSR2").length > 2, { what: () => probe.output() });
    for (const name of NOT_PASSED_ON) expect(probe.output(), name).not.toContain(`got ${name}`);
    expect(probe.output()).not.toMatch(/debugger|inspector/i);
    expect(listeners(probe.pid())).toEqual([]);
    probe.signal("SIGTERM");
    expect(await probe.ended, probe.output()).toBe(7);
  });

  it.each(STOP)("%s ends it, with its own status", async (name) => {
    using box = boxOf();
    const probe = await running(box);
    probe.signal(name);
    expect(await probe.ended, probe.output()).toBe(7);
    expect(probe.output()).toContain(`got ${name}`);
  });

  it("SIGKILL ends all", async () => {
    using box = boxOf();
    const probe = await running(box);
    await probe.kill();
    expect(await probe.ended).not.toBe(0);
  });
});

describe("while the app is stopping, deaf to what it is told", () => {
  it.each(STOP)("all others still reach it, and %s as the second one ends all at once", async (name) => {
    using box = boxOf();
    const probe = await running(box, ["deaf"]);
    probe.signal("SIGTERM");
    await probe.line(/got SIGTERM/);
    for (const passed of PASSED_ON) {
      probe.signal(passed);
      await probe.line(new RegExp(`got ${passed}\\n`));
    }
    for (const passedOver of NOT_PASSED_ON) probe.signal(passedOver);
    probe.signal(name);
    expect(await probe.ended, probe.output()).toBe(128 + constants.signals[name]);
    expect(probe.output()).toMatch(new RegExp(`stop +warning: ${name} again: ending at once`));
  });
});

/** Sends all but the stop signals and those that no one can catch; then one to stop, and gives the status. */
async function stormThenStop(started: Running, name: NodeJS.Signals, isStillThere: () => boolean): Promise<number> {
  for (const other of [...PASSED_ON, ...NOT_PASSED_ON, ...SUSPEND]) started.signal(other);
  started.signal("SIGCONT");
  await delay(50); // nothing is to happen
  expect(isStillThere(), started.output()).toBe(true);
  started.signal(name);
  return started.ended;
}

describe("while a migration runs", () => {
  const endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n;\n";
  const slow = { ...app, "prisma/migrations/20250102000000_slow/migration.sql": endless };

  it.each(STOP)("all others are passed over, and %s ends it with 128 + n; the app was never started", async (name) => {
    using box = boxOf({ app: slow });
    const started = await box.start({ words: ["node", "probe.mjs"], environment });
    const migrates = () => started.processes().some((line) => line.includes("@migrate"));
    await until(migrates, { what: () => `a migration\n${started.output()}` });
    const status = await stormThenStop(started, name, migrates);
    expect(status, started.output()).toBe(128 + constants.signals[name]);
    expect(started.output()).not.toContain("probe");
  });
});

describe("while a database is restored", () => {
  it.each(STOP)("all others are passed over, and %s ends it with 128 + n, with nothing half done", async (name) => {
    await using server = await startS3Server();
    const bucket = {
      ...environment,
      FLYSQLITE_REPLICA: undefined,
      BUCKET_NAME: BUCKET,
      AWS_ENDPOINT_URL_S3: server.origin,
      AWS_REGION: server.region,
      AWS_ACCESS_KEY_ID: KEY.accessKeyId,
      AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
    };
    using box = boxOf();
    const first = await box.start({ words: ["node", "probe.mjs"], environment: bucket });
    await first.line(/copied the whole database/);
    await first.line(/probe up/);
    expect(await first.stop(), first.output()).toBe(7);
    box.loseVolume();
    server.fail("Get", { kind: "hang", when: "mid-body" }, Number.POSITIVE_INFINITY);
    const asked = server.requests.length;
    const started = await box.start({ words: ["node", "probe.mjs"], environment: bucket });
    const restores = () => server.requests.slice(asked).some(({ operation }) => operation === "Get");
    await until(restores, { what: () => `a restore\n${started.output()}` });
    const status = await stormThenStop(started, name, () => started.processes().length > 0);
    expect(status, started.output()).toBe(128 + constants.signals[name]);
    expect(started.output()).not.toContain("probe");
    expect(readdirSync(box.volume)).not.toContain("dev.db");
  });
});

/** What listens in the container, which has the host's network: sockets of its processes, by /proc/net/tcp. */
function listeners(pid: number): readonly string[] {
  const text = readFileSync(`/proc/${pid}/net/tcp`, "utf8");
  const listening = text.split("\n").filter((line) => /^\s*\d+: \S+ \S+ 0A/.test(line));
  const INSPECTOR = ":23DD"; // 9229
  return listening.filter((line) => line.includes(INSPECTOR));
}
