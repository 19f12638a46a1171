// What else PID 1 has to do: orphans, streams, a terminal, and to be not PID 1.

import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BARE, type BoxOptions, createBox, ROOT, type Running, until } from "../support/box.ts";
import { prisma6 } from "../support/project.ts";

const PROBE = { "probe.mjs": readFileSync(join(ROOT, "test/support/probe.mjs"), "utf8") };
const app = prisma6('env("DATABASE_URL")', PROBE);
const environment = { DATABASE_URL: "file:./dev.db" };
const boxOf = (options: BoxOptions = {}) => createBox({ executable: BARE, app, ...options });
const probe = (...words: readonly string[]) => ({ words: ["node", "probe.mjs", ...words], environment });

/** The app's process. flysqlite's own have its words too, behind other ones. */
const isProbe = (line: string) => line.includes("/node probe.mjs");

const ORPHANS = 1000;

async function left(running: Running): Promise<void> {
  await running.line(/probe left orphans/);
  await until(() => !running.processes().some((line) => line.startsWith("sleep")), { what: () => "the orphans' end" });
}

describe("1,000 orphans", () => {
  it("leave no zombie as children of PID 1", async () => {
    using box = boxOf();
    const running = await box.start(probe(`orphans=${ORPHANS}`));
    await left(running);
    await until(() => running.zombies() === 0, { what: () => `${running.zombies()} zombies to be gone` });
    expect(await running.stop(), running.output()).toBe(7);
  });

  it("leave no zombie where another init is above us: they come to us all the same", async () => {
    using box = boxOf();
    const running = await box.start({ ...probe(`orphans=${ORPHANS}`), init: true });
    await left(running);
    await until(() => running.zombies() === 0, { what: () => `${running.zombies()} zombies to be gone` });
    expect(await running.stop(), running.output()).toBe(7);
  });

  it("would be seen here: where nothing can be loaded to reap them they stay, and that is told once", async () => {
    using box = boxOf({ noexecEverywhere: true });
    const running = await box.start(probe(`orphans=${ORPHANS}`));
    await left(running);
    expect(running.zombies()).toBeGreaterThanOrEqual(ORPHANS);
    expect(running.output().match(/orphans are not reaped/g)).toHaveLength(1);
    expect(await running.stop(), running.output()).toBe(7);
    expect(running.output()).toMatch(/everything is in the replica/);
  });
});

describe("the standard streams", () => {
  it("may be closed", async () => {
    using box = boxOf();
    const running = await box.start({ ...probe(), stdin: "closed", stdout: "closed" });
    await running.line(/copied the whole database/);
    await until(() => running.processes().some(isProbe), { what: () => "the app" });
    running.signal("SIGHUP");
    await running.ended;
    expect(running.output()).toMatch(/everything is in the replica/);
  });

  it("may lose their reader: flysqlite and the keeper live on", async () => {
    using box = boxOf();
    const running = await box.start({ ...probe("deaf"), stdout: "gone", stderr: "gone" });
    await until(() => running.processes().some(isProbe), { what: () => "the app" });
    const keepers = () => running.processes().filter((line) => line.includes("@keeper"));
    expect(keepers()).toHaveLength(1);
    running.signal("SIGTERM"); // which is told, to nobody
    running.signal("SIGINT");
    expect([130, 143]).toContain(await running.ended); // the system may deliver the second one first
  });

  it("may have a reader that stalls: no signal, no sync and no end waits for it", async () => {
    using box = boxOf();
    const fill = `
      const { openSync, writeSync, constants } = require("node:fs");
      const stream = openSync("/proc/self/fd/2", constants.O_WRONLY | constants.O_NONBLOCK);
      try { for (;;) writeSync(stream, "x".repeat(4096)); } catch {}
      try { for (;;) writeSync(stream, "x"); } catch {}
      process.on("SIGUSR2", () => console.log("got SIGUSR2"));
      process.on("SIGTERM", () => process.exit(7));
      setInterval(() => {}, 1000);
      console.log("full");`;
    const running = await box.start({ words: ["node", "-e", fill], environment, stderr: "stalled" });
    await running.line(/^full$/m);
    running.signal("SIGUSR2");
    await running.line(/^got SIGUSR2$/m);
    running.signal("SIGTERM");
    expect(await running.ended).toBe(7);
  });

  it("hold no colour where they are no terminal", async () => {
    using box = boxOf();
    const running = await box.start(probe("exit=3"));
    expect(await running.ended).toBe(3);
    expect(running.output()).not.toContain("\u001b");
  });
});

describe("a terminal", () => {
  it("is the app's: Ctrl-C reaches it once, and its size changes do; and our warnings have colour", async () => {
    using box = boxOf();
    const running = await box.start({
      ...probe(),
      environment: { ...environment, FLYSQLITE_USER: undefined, TERM: "xterm" },
      terminal: true,
    });
    await running.line(/probe up/);
    expect(running.output()).toContain("launch     \u001b[33mwarning\u001b[39m: the app runs as root");
    const terminal = readlinkSync(`/proc/${running.pid()}/fd/0`);
    execFileSync("stty", ["--file", terminal, "columns", "99"]);
    await running.line(/probe got SIGWINCH/);
    running.signal("SIGUSR1");
    await running.line(/probe got SIGUSR1/);
    running.type("\u0003");
    await running.ended; // with a status of the test's own unshare, which has the same terminal
    expect(running.output().match(/probe got SIGINT/g)).toHaveLength(1);
    expect(running.output()).toMatch(/everything is in the replica/);
  });
});

describe("under another init", () => {
  it.each(["SIGTERM", "SIGINT"] as const)("%s reaches the app, and its status gets out", async (name) => {
    using box = boxOf();
    const running = await box.start({ ...probe(), init: true });
    await running.line(/probe up/);
    running.signal(name);
    expect(await running.ended, running.output()).toBe(7);
    expect(running.output()).toContain(`probe got ${name}`);
  });
});

describe("a keeper that does nothing any more", () => {
  it("keeps no signal from the app, and the container from its end no longer than the budget", async () => {
    using box = boxOf();
    const running = await box.start({
      ...probe(),
      environment: { ...environment, FLYSQLITE_STOP_TIMEOUT: "2s" },
    });
    await running.line(/probe up/);
    running.signalOnly(/@keeper/, "SIGSTOP");
    running.signal("SIGUSR2");
    await running.line(/probe got SIGUSR2/);
    running.signal("SIGTERM");
    expect(await running.ended, running.output()).toBe(7);
    expect(running.output()).toMatch(/the last sync did not end in time.*E_FINAL_SYNC/);
  });
});

describe("a signal to every process of the container, as some service managers send it", () => {
  it("does not end the keeper before the app: the last sync is made all the same", async () => {
    using box = boxOf();
    const running = await box.start(probe("deaf"));
    await running.line(/probe up/);
    running.signalOnly(/@keeper/, "SIGTERM");
    running.signalOnly(/\/node probe\.mjs/, "SIGTERM");
    await running.line(/probe got SIGTERM/);
    running.signalOnly(/\/node probe\.mjs/, "SIGKILL");
    expect(await running.ended, running.output()).toBe(137);
    expect(running.output()).not.toMatch(/the keeper ended/);
    expect(running.output()).toMatch(/everything is in the replica/);
  });
});

describe("--swap", () => {
  it("that the host does not allow is told with the reason, and the app runs all the same", async () => {
    using box = boxOf(); // whose root is in memory: nothing to swap to
    const running = await box.start({ ...probe("exit=3"), environment: { ...environment, FLYSQLITE_SWAP: "8MB" } });
    expect(await running.ended, running.output()).toBe(3);
    expect(running.output()).toMatch(/launch +warning: no swap: swapon "\/swapfile": EINVAL/);
  });

  it("of no size is refused", async () => {
    using box = boxOf();
    const { exitStatus, output } = await box.run({
      ...probe(),
      environment: { ...environment, FLYSQLITE_SWAP: "much" },
    });
    expect(output).toMatch(/E_CONFIG: Cannot make swap: "much" is no size such as 512MB/);
    expect(exitStatus).toBe(78);
  });
});
