import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { FAILURES } from "../../../src/base/errors.ts";
import type { Event } from "../../../src/base/events.ts";
import { LINE_DESCRIPTOR } from "../../../src/base/line.ts";
import type { FromKeeper, Launch } from "../../../src/base/messages.ts";
import { systemClock } from "../../../src/base/system.ts";
import { loadSystemCalls } from "../../../src/base/system-calls.ts";
import { holdSignals } from "../../../src/supervisor/held-signals.ts";
import { createReaper } from "../../../src/supervisor/reaper.ts";
import { supervise } from "../../../src/supervisor/supervisor.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

/** Says ready, notes what it is told, and ends when it is told to finish. Standing in for the keeper's process. */
const KEEPER = `
  import { appendFileSync, readFileSync } from "node:fs";
  import { Socket } from "node:net";
  import { createInterface } from "node:readline";
  const { ready, finishStatus } = JSON.parse(readFileSync("keeper.json", "utf8"));
  const line = new Socket({ fd: ${LINE_DESCRIPTOR} });
  createInterface({ input: line }).on("line", (message) => {
    const { kind } = JSON.parse(message);
    appendFileSync("told", kind + " ");
    if (kind === "finish" && finishStatus !== "never") process.exit(finishStatus);
  });
  process.on("SIGTERM", () => process.exit(0));
  line.on("close", () => process.exit(0));
  if (ready !== undefined) line.write(JSON.stringify(ready) + "\\n", () => { if (!ready.replicating) process.exit(0); });
`;

/** What the apps of these tests begin with: notes of what happens to them, in the order in which it happens. */
const APP = `
  import { spawn } from "node:child_process";
  import { appendFileSync, writeFileSync } from "node:fs";
  const note = (text) => appendFileSync("notes", text + "\\n");
  writeFileSync("app.pid", String(process.pid));
  const stay = setInterval(() => {}, 1000);
`;

type Told = Partial<Launch> & {
  /** The app's script, after \`APP\`. */
  readonly app?: string;
  readonly ready?: Partial<FromKeeper> | "never";
  /** Without an app at all. */
  readonly noApp?: boolean;
  readonly finishStatus?: number | "never";
  readonly hasTerminal?: boolean;
  readonly keeperProgram?: string;
};

function start({
  app = "",
  ready,
  noApp = false,
  finishStatus = 0,
  hasTerminal = false,
  keeperProgram,
  ...launch
}: Told) {
  const directory = temporaryDirectory();
  const inside = (name: string) => join(directory.path, name);
  const read = (name: string) => (existsSync(inside(name)) ? readFileSync(inside(name), "utf8") : "");
  writeFileSync(inside("keeper.mjs"), KEEPER);
  writeFileSync(inside("app.mjs"), `${APP}${app}\nnote("app up");\n`);
  const message: FromKeeper = {
    kind: "ready",
    launch: noApp
      ? undefined
      : {
          file: process.execPath,
          arguments: [inside("app.mjs")],
          directory: directory.path,
          environment: { PATH: process.env["PATH"] ?? "" },
          ...launch,
        },
    restart: "never",
    replicating: true,
    stopTimeoutMs: 20_000,
    databaseDirectory: directory.path,
    ...(ready === "never" ? {} : ready),
  };
  writeFileSync(
    inside("keeper.json"),
    JSON.stringify({ ready: ready === "never" ? undefined : message, finishStatus }),
  );
  const keepers: ChildProcess[] = [];
  const again: boolean[] = [];
  const events: Event[] = [];
  const signals = new EventEmitter();
  let suspended = 0;
  onTestFinished(() => {
    for (const keeper of keepers) keeper.kill("SIGKILL");
    killGroup(Number(read("app.pid")));
    directory[Symbol.dispose]();
  });
  const exitStatus = supervise({
    startKeeper: (options) => {
      again.push(options.again);
      const keeper = spawn(keeperProgram ?? process.execPath, [inside("keeper.mjs")], {
        cwd: directory.path,
        stdio: ["ignore", "inherit", "inherit", "pipe"],
      });
      keepers.push(keeper);
      return keeper;
    },
    signals: holdSignals(signals),
    hasTerminal,
    createReaper: async () => undefined,
    suspend: () => {
      suspended += 1;
    },
    clock: systemClock,
    log: (event) => events.push(event),
  });
  return {
    exitStatus,
    keepers,
    again,
    events,
    read,
    inside,
    signal: (name: NodeJS.Signals) => signals.emit(name, name),
    suspended: () => suspended,
    /** Waits until the app, or what it started, has noted this. */
    noted: (text: string) => vi.waitFor(() => expect(read("notes")).toContain(text), { timeout: 20_000 }),
    warnings: () => events.filter(({ level }) => level === "warn").map(({ text }) => text),
  };
}

function killGroup(pid: number): void {
  if (!(pid > 1)) return;
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, "SIGKILL");
    } catch {
      // gone already
    }
  }
}

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe("supervise", () => {
  it.each([0, 3, 255])("launches the app when the keeper is ready, and ends with its status %i", async (status) => {
    const { exitStatus, read, again } = start({ app: `process.exitCode = ${status}; clearInterval(stay);` });
    expect(await exitStatus).toBe(status);
    expect(read("notes")).toBe("app up\n");
    expect(read("told")).toBe("finish ");
    expect(again).toEqual([false]);
  });

  it("ends with 128 + n where signal n ended the app", async () => {
    const { exitStatus } = start({ app: `process.kill(process.pid, "SIGKILL");` });
    expect(await exitStatus).toBe(137);
  });

  it("hands the app its directory, its environment and its arguments, and nothing of ours", async () => {
    const { exitStatus, inside, read } = start({
      app: `note(JSON.stringify([process.cwd(), process.env, process.argv.slice(2)])); clearInterval(stay);`,
      environment: { DATABASE_URL: "file:/data/app.db" },
    });
    expect(await exitStatus).toBe(0);
    const directory = inside("").replace(/\/$/, "");
    expect(read("notes")).toContain(`["${directory}",{"DATABASE_URL":"file:/data/app.db"},[]]`);
  });

  it("runs an app whose keeper has nothing to replicate, and is gone", async () => {
    const { exitStatus, noted, signal, keepers } = start({
      app: `process.on("SIGTERM", () => process.exit(4));`,
      ready: { replicating: false },
    });
    await noted("app up");
    await vi.waitFor(() => expect(keepers[0]?.exitCode).toBe(0));
    signal("SIGTERM");
    expect(await exitStatus).toBe(4);
    expect(keepers).toHaveLength(1);
  });

  it("passes the keeper's status on where it failed, and launches nothing", async () => {
    const { exitStatus, keepers, read } = start({ ready: "never" });
    keepers[0]?.kill("SIGKILL");
    expect(await exitStatus).toBe(137);
    expect(read("notes")).toBe("");
  });

  it("stops a keeper that is not ready yet", async () => {
    const { exitStatus, signal, read } = start({ ready: "never" });
    signal("SIGTERM");
    expect(await exitStatus).toBe(143);
    expect(read("notes")).toBe("");
  });

  it("says why where the keeper can't be started", async () => {
    const { exitStatus, warnings } = start({ keeperProgram: "/flysqlite-test-nowhere" });
    expect(await exitStatus).toBe(127);
    expect(warnings()).toEqual([expect.stringContaining("cannot start the keeper: ")]);
  });

  it("says why where no descriptors are left for the keeper's streams", async () => {
    const texts: string[] = [];
    const exitStatus = await supervise({
      startKeeper() {
        // As Node gives it then: without streams.
        const child = Object.assign(new EventEmitter(), { pid: undefined }) as unknown as ChildProcess;
        process.nextTick(() => child.emit("error", new Error("spawn EMFILE")));
        return child;
      },
      signals: holdSignals(new EventEmitter()),
      hasTerminal: false,
      createReaper: async () => undefined,
      suspend: () => {},
      clock: systemClock,
      log: ({ text }) => void texts.push(text),
    });
    expect(exitStatus).toBe(127);
    expect(texts).toEqual(["cannot start the keeper: spawn EMFILE"]);
  });

  it("ends with E_FINAL_SYNC's status where the app ended with 0 and the last sync failed", async () => {
    const { exitStatus } = start({ app: "clearInterval(stay);", finishStatus: 75 });
    expect(await exitStatus).toBe(FAILURES.E_FINAL_SYNC.exitStatus);
    const failing = start({ app: "process.exit(3);", finishStatus: 75 });
    expect(await failing.exitStatus).toBe(3);
  });

  it("gives up a last sync that hangs", async () => {
    const { exitStatus, keepers, warnings } = start({
      app: "clearInterval(stay);",
      finishStatus: "never",
      ready: { stopTimeoutMs: 300 },
    });
    expect(await exitStatus).toBe(FAILURES.E_FINAL_SYNC.exitStatus);
    expect(warnings()).toEqual([expect.stringContaining("the last sync did not end in time")]);
    await vi.waitFor(() => expect(keepers[0]?.signalCode).toBe("SIGKILL"));
  });
});

describe("supervise, with each way in which an app can end", () => {
  /** A keeper that needs no Node: says ready, and waits for its first word. Its line is one of JSON. */
  const SHELL_KEEPER = `printf "%s\\n" "$1" >&${LINE_DESCRIPTOR}; read -r told <&${LINE_DESCRIPTOR}`;

  function end(script: string): Promise<number> {
    const ready: FromKeeper = {
      kind: "ready",
      launch: { file: "/bin/sh", arguments: ["-c", script], directory: "/", environment: {} },
      restart: "never",
      replicating: true,
      stopTimeoutMs: 20_000,
      databaseDirectory: "/",
    };
    return supervise({
      startKeeper: () =>
        spawn("/bin/bash", ["-c", SHELL_KEEPER, "keeper", JSON.stringify(ready)], {
          stdio: ["ignore", "inherit", "inherit", "pipe"],
        }),
      signals: holdSignals(new EventEmitter()),
      hasTerminal: false,
      createReaper: async () => undefined,
      suspend: () => {},
      clock: systemClock,
      log: () => {},
    });
  }

  async function inTurn<Value>(values: readonly Value[], one: (value: Value) => Promise<number>): Promise<number[]> {
    const found: number[] = [];
    for (const value of values) found.push(await one(value));
    return found;
  }

  it("passes each status from 0 to 255 on", async () => {
    const statuses = Array.from({ length: 256 }, (_, status) => status);
    expect(await inTurn(statuses, (status) => end(`exit ${status}`))).toEqual(statuses);
  }, 120_000);

  it("ends with 128 + n for each signal n that ends a process", async () => {
    const deadly = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 24, 25, 26, 27, 29, 30, 31];
    const found = await inTurn(deadly, (number) => end(`kill -${number} $$; sleep 10`));
    expect(found).toEqual(deadly.map((number) => 128 + number));
  }, 120_000);
});

describe("supervise, at a signal", () => {
  const GRANDCHILD = `
    import { appendFileSync } from "node:fs";
    const note = (text) => appendFileSync("notes", text + "\\n");
    for (const name of ["SIGTERM", "SIGUSR2"]) process.on(name, () => { note("grandchild got " + name); if (name === "SIGTERM") process.exit(); });
    setInterval(() => {}, 1000);
    note("grandchild up");
  `;
  const startGrandchild = `
    writeFileSync("grandchild.mjs", ${JSON.stringify(GRANDCHILD)});
    const grandchild = spawn(process.execPath, ["grandchild.mjs"], { stdio: "inherit" });
  `;

  it("passes it on to the app and all that the app has started", async () => {
    const { exitStatus, noted, signal, read } = start({
      app: `${startGrandchild}
        let told = false;
        process.on("SIGTERM", () => { note("app told"); told = true; });
        grandchild.on("exit", () => process.exit(told ? 5 : 6));`,
    });
    await noted("grandchild up");
    await noted("app up");
    signal("SIGTERM");
    expect(await exitStatus).toBe(5);
    expect(read("notes")).toContain("grandchild got SIGTERM");
    expect(read("notes")).toContain("app told");
    expect(read("told")).toBe("sync finish ");
  });

  it("ends what an app has left behind", async () => {
    const { exitStatus, noted, signal } = start({
      app: `${startGrandchild}
        process.on("SIGUSR2", () => process.exit(0));`,
    });
    await noted("grandchild up");
    await noted("app up");
    signal("SIGUSR2");
    expect(await exitStatus).toBe(0);
    await noted("grandchild got SIGTERM");
  });

  it.each(["SIGHUP", "SIGINT", "SIGQUIT"] as const)("takes %s for a wish to end, as SIGTERM", async (name) => {
    const { exitStatus, noted, signal } = start({ app: `process.on("${name}", () => process.exit(9));` });
    await noted("app up");
    signal(name);
    expect(await exitStatus).toBe(9);
  });

  it.each(["SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCONT", "SIGALRM"] as const)(
    "passes %s on, and goes on",
    async (name) => {
      const { exitStatus, noted, signal } = start({
        app: `process.on("${name}", () => note("got ${name}"));
          process.on("SIGTERM", () => process.exit(0));`,
      });
      await noted("app up");
      signal(name);
      await noted(`got ${name}`);
      expect(await Promise.race([exitStatus, "running"])).toBe("running");
      signal("SIGTERM");
      expect(await exitStatus).toBe(0);
    },
  );

  it("kills an app that ignores it", async () => {
    const { exitStatus, noted, signal, warnings, read } = start({
      app: `process.on("SIGTERM", () => {});`,
      ready: { stopTimeoutMs: 2000 },
    });
    await noted("app up");
    signal("SIGTERM");
    expect(await exitStatus).toBe(137);
    expect(warnings()).toEqual(["the app did not end in its share of the stop timeout and is killed"]);
    expect(read("told")).toBe("sync finish ");
  });

  it("ends at once at a second one, and takes the app along", async () => {
    const { exitStatus, noted, signal, read } = start({ app: `process.on("SIGTERM", () => note("told"));` });
    await noted("app up");
    signal("SIGTERM");
    await noted("told");
    signal("SIGTERM");
    expect(await exitStatus).toBe(143);
    await vi.waitFor(() => expect(isAlive(Number(read("app.pid")))).toBe(false));
  });

  it("leaves to the terminal what the terminal sends, and keeps the app in its foreground", async () => {
    const { exitStatus, noted, signal, read } = start({
      app: `for (const name of ["SIGWINCH", "SIGUSR1"]) process.on(name, () => note(name));
        process.on("SIGTERM", () => process.exit(0));`,
      hasTerminal: true,
    });
    await noted("app up");
    signal("SIGWINCH");
    signal("SIGUSR1");
    await noted("SIGUSR1");
    expect(read("notes")).not.toContain("SIGWINCH");
    const group = (pid: number) =>
      readFileSync(`/proc/${pid}/stat`, "utf8")
        .replace(/^.*\) /, "")
        .split(" ")[2];
    expect(group(Number(read("app.pid")))).toBe(group(process.pid));
    signal("SIGTERM");
    expect(await exitStatus).toBe(0);
  });
});

describe("supervise, at a signal that stops a terminal's job", () => {
  it.each(["SIGTSTP", "SIGTTIN", "SIGTTOU"] as const)(
    "stops the app's group and itself at %s, until SIGCONT",
    async (name) => {
      const { exitStatus, noted, signal, read, suspended } = start({
        app: `process.on("SIGCONT", () => note("continued")); process.on("SIGTERM", () => process.exit(0));`,
      });
      await noted("app up");
      signal(name);
      const state = () =>
        readFileSync(`/proc/${read("app.pid")}/stat`, "utf8")
          .replace(/^.*\) /, "")
          .slice(0, 1);
      await vi.waitFor(() => expect(state()).toBe("T"));
      expect(suspended()).toBe(1);
      signal("SIGCONT");
      await noted("continued");
      signal("SIGTERM");
      expect(await exitStatus).toBe(0);
    },
  );
});

describe("supervise, with what the app leaves behind", () => {
  const LEFT_BEHIND = (deaf: boolean) => `
    import { appendFileSync } from "node:fs";
    const note = (text) => appendFileSync("notes", text + "\\n");
    process.on("SIGUSR2", () => {});
    process.on("SIGTERM", () => { note("told"); ${deaf ? "" : 'setTimeout(() => { note("written last"); process.exit(); }, 200);'} });
    setInterval(() => {}, 1000);
    note("left behind up");
  `;
  const leaveBehind = (deaf: boolean) => `
    writeFileSync("left.mjs", ${JSON.stringify(LEFT_BEHIND(deaf))});
    spawn(process.execPath, ["left.mjs"], { stdio: "inherit" });
    process.on("SIGUSR2", () => process.exit(0));`;

  it("makes the last sync only when it has ended too", async () => {
    const { exitStatus, noted, signal, read } = start({ app: leaveBehind(false) });
    await noted("left behind up");
    await noted("app up");
    signal("SIGUSR2");
    await noted("told");
    expect(read("told")).toBe("");
    expect(await exitStatus).toBe(0);
    expect(read("notes")).toContain("written last");
    expect(read("told")).toBe("finish ");
  });

  it("kills it where it does not end, and makes the last sync then", async () => {
    const { exitStatus, noted, signal, read, warnings } = start({
      app: leaveBehind(true),
      ready: { stopTimeoutMs: 3000 },
    });
    await noted("left behind up");
    await noted("app up");
    signal("SIGUSR2");
    expect(await exitStatus).toBe(0);
    expect(warnings()).toEqual(["what the app has left behind did not end in time and is killed"]);
    expect(read("told")).toBe("finish ");
  });
});

describe("supervise, with --restart on-failure", () => {
  it("starts the app again, and makes the last sync once, at its end", async () => {
    const { exitStatus, read, warnings, again } = start({
      app: `import { existsSync } from "node:fs";
        clearInterval(stay);
        process.exitCode = existsSync("second") ? 0 : 3;
        writeFileSync("second", "");`,
      ready: { restart: "on-failure" },
    });
    expect(await exitStatus).toBe(0);
    expect(read("notes")).toBe("app up\napp up\n");
    expect(warnings()).toEqual(["the app ended with status 3; it is started again in 1 s"]);
    expect(read("told")).toBe("finish ");
    expect(again).toEqual([false]);
  });
});

describe("supervise, without an app", () => {
  it("replicates until it is told to stop, and ends with 0 when the last sync is made", async () => {
    const { exitStatus, signal, read, events } = start({ noApp: true });
    await vi.waitFor(() => expect(events).toContainEqual(expect.objectContaining({ text: "ready" })));
    signal("SIGTERM");
    expect(await exitStatus).toBe(0);
    expect(read("told")).toBe("finish ");
    expect(read("notes")).toBe("");
  });
});

describe("signals that come before anyone listens", () => {
  it("are answered when someone does, in their order", async () => {
    const source = new EventEmitter();
    const held = holdSignals(source);
    source.emit("SIGUSR1", "SIGUSR1");
    source.emit("SIGTERM", "SIGTERM");
    const heard: string[] = [];
    held.listen((name) => heard.push(name));
    source.emit("SIGINT", "SIGINT");
    expect(heard).toEqual(["SIGUSR1", "SIGTERM", "SIGINT"]);
  });

  it("are given back to Node with what has come, where no supervisor is needed", () => {
    const source = new EventEmitter();
    const held = holdSignals(source);
    source.emit("SIGINT", "SIGINT");
    expect(held.release()).toEqual(["SIGINT"]);
    expect(source.eventNames()).toEqual([]);
  });
});

describe("the reaper", () => {
  /** A program that is a sub-reaper, leaves orphans, starts children of its own meanwhile, and tells what is left. */
  const PROGRAM = `
    import { spawn } from "node:child_process";
    import { readFileSync } from "node:fs";
    const [base, reaper, reap] = [process.env.BASE, process.env.REAPER, process.env.REAP === "1"];
    const { loadSystemCalls } = await import(base);
    const { createReaper } = await import(reaper);
    const ours = new Set();
    const loaded = loadSystemCalls({ assets: { read: () => undefined }, directories: [] });
    const later = (call) => void setImmediate(call);
    const made = createReaper({ loaded, isFirst: false, isOurs: (pid) => ours.has(pid), log: () => {}, later });
    const tryReap = () => { if (reap) made.reap(); };
    process.on("SIGCHLD", tryReap);
    const start = (status) => new Promise((resolve) => {
      const child = spawn("sh", ["-c", "for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.05 &) ; done; exit " + status]);
      ours.add(child.pid);
      child.on("exit", (code) => { ours.delete(child.pid); resolve(code); tryReap(); });
    });
    const statuses = [];
    for (let round = 0; round < 20; round++) statuses.push(...await Promise.all([1, 2, 3, 4, 5].map(start)));
    const children = () => readFileSync("/proc/self/task/" + process.pid + "/children", "utf8").trim().split(" ").filter(Boolean);
    const zombies = () => children().filter((pid) => /\\) Z/.test(readFileSync("/proc/" + pid + "/stat", "utf8"))).length;
    for (let tries = 0; tries < 500 && children().length > zombies(); tries++) await new Promise((r) => setTimeout(r, 10));
    for (let tries = 0; tries < 100 && reap && zombies() > 0; tries++) await new Promise((r) => setTimeout(r, 10));
    process.stdout.write(JSON.stringify({ zombies: zombies(), right: statuses.filter((s, i) => s === (i % 5) + 1).length }));
  `.replaceAll("\\\\", "\\");

  async function run(reap: boolean): Promise<unknown> {
    const source = (path: string) => join(import.meta.dirname, "../../../src", path);
    const child = spawn(process.execPath, ["--input-type=module", "--eval", PROGRAM], {
      env: {
        ...process.env,
        BASE: source("base/system-calls.ts"),
        REAPER: source("supervisor/reaper.ts"),
        REAP: reap ? "1" : "0",
      },
      stdio: ["ignore", "pipe", "inherit"],
      timeout: 20_000, // a status that was taken away is waited for in vain
      killSignal: "SIGKILL",
    });
    let output = "";
    for await (const text of child.stdout) output += text;
    return JSON.parse(output);
  }

  it("leaves no zombie of 1,000 orphans, and takes no status away from Node's own children", async () => {
    expect(await run(true)).toEqual({ zombies: 0, right: 100 });
  });

  it("is what does it: without it there are 1,000", async () => {
    expect(await run(false)).toEqual({ zombies: 1000, right: 100 });
  });

  it("is done without, with one warning, where koffi can't be loaded", () => {
    const events: Event[] = [];
    const assets = { read: () => new Uint8Array([1, 2, 3]) };
    const loaded = loadSystemCalls({ assets, directories: ["/flysqlite-test-nowhere", "/proc"] });
    const rest = { isOurs: () => false, later: () => {}, log: (event: Event) => void events.push(event) };
    expect(createReaper({ loaded, isFirst: true, ...rest })).toBeUndefined();
    expect(events).toEqual([
      expect.objectContaining({
        level: "warn",
        text: expect.stringMatching(/orphans are not reaped.*"\/flysqlite-test-nowhere".*"\/proc"/),
      }),
    ]);
  });
});

describe("supervise, when the keeper dies", () => {
  it("starts it again, and the app does not notice", async () => {
    const { exitStatus, noted, signal, keepers, again, warnings, read } = start({
      app: `process.on("SIGTERM", () => process.exit(0));`,
    });
    await noted("app up");
    const app = Number(read("app.pid"));
    keepers[0]?.kill("SIGKILL");
    await vi.waitFor(() => expect(again).toEqual([false, true]), { timeout: 10_000 });
    expect(isAlive(app)).toBe(true);
    expect(read("notes")).toBe("app up\n");
    expect(warnings()).toEqual(["the keeper ended with status 137; the app runs on, and replication again in 100 ms"]);
    signal("SIGTERM");
    expect(await exitStatus).toBe(0);
    expect(read("told")).toContain("finish ");
  });

  it("starts it once more for the last sync of an app that ends meanwhile", async () => {
    const { exitStatus, noted, keepers, again, events, signal, read } = start({
      app: `process.on("SIGUSR2", () => process.exit(0));`,
    });
    await noted("app up");
    keepers[0]?.kill("SIGKILL");
    await vi.waitFor(() => expect(events.some(({ step, level }) => step === "keeper" && level === "warn")).toBe(true));
    signal("SIGUSR2");
    expect(await exitStatus).toBe(0);
    expect(again).toEqual([false, true]);
    expect(read("told")).toBe("finish ");
  });
});

describe("supervise, where the app can't be launched", () => {
  it.each([
    ["is not there", "/flysqlite-test-nowhere", 127],
    ["is not executable", "/etc/passwd", 126],
    ["is a directory", "/etc", 126],
    ["lies below a file", "/etc/passwd/app", 126],
  ])("ends as a shell does where it %s", async (_, file, status) => {
    const { exitStatus, warnings } = start({ file, arguments: [] });
    expect(await exitStatus).toBe(status);
    expect(warnings()).toEqual([expect.stringContaining("cannot launch")]);
  });

  it.each([
    ["an argument is too long for the system", { arguments: ["x".repeat(200_000)] }],
    ["an argument has a zero byte", { arguments: ["a\0b"] }],
  ])("lives on to make the last sync where %s", async (_, launch) => {
    const { exitStatus, warnings, read } = start(launch);
    expect(await exitStatus).toBe(126);
    expect(warnings()).toEqual([expect.stringContaining("cannot launch")]);
    expect(read("told")).toBe("finish ");
  });

  it("ends where the app's directory is gone", async () => {
    const { exitStatus } = start({ directory: "/flysqlite-test-nowhere" });
    expect(await exitStatus).toBe(127);
  });
});
