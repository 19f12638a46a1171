import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Event } from "../../../src/base/events.ts";
import type { Plan } from "../../../src/plan/plan.ts";
import { runHook } from "../../../src/steps/hooks.ts";
import { stepContext } from "../../support/step-context.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { firstStart, settings } from "../plan/facts.ts";

/** An app's directory, in which `command` is the hook before a migration. What hooks say they write to "said". */
function app(command: string | undefined, { timeoutMs = 60_000 } = {}) {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const events: Event[] = [];
  const stop = new AbortController();
  const context = stepContext({
    settings: {
      ...settings,
      appDirectory: directory.path,
      hooks: {
        ...settings.hooks,
        "before-migrate": command === undefined ? undefined : { value: command, source: "" },
      },
      hookTimeoutMs: { value: timeoutMs, source: "" },
    },
    environment: { PATH: process.env["PATH"], SECRET: "s" },
    log: (event) => void events.push(event),
    signal: stop.signal,
  });
  const placement = { kind: "variable", name: "DATABASE_URL", url: "file:/data/app.db" } as const;
  const copy = { kind: "create", why: "" } as const;
  const plan: Plan = { facts: firstStart, placement, copy, seed: undefined, lines: [] };
  return {
    directory: directory.path,
    stop,
    run: () => runHook("before-migrate", plan, context),
    said: () => readFileSync(join(directory.path, "said"), "utf8"),
    told: () => events.map(({ text }) => text),
  };
}

describe("a hook", () => {
  it("runs in the app's directory, with its database's url, and is told with its time", async () => {
    const { run, said, told, directory } = app('echo "$DATABASE_URL $PWD" > said');
    await run();
    expect(said()).toBe(`file:/data/app.db ${directory}\n`);
    expect(told()).toEqual([expect.stringMatching(/^before-migrate: echo .*: done in \d+ ms$/)]);
  });

  it("finds the app's own tools, also without a shell", async () => {
    const { run, said, directory } = app("greet the world");
    mkdirSync(join(directory, "node_modules/.bin"), { recursive: true });
    writeFileSync(join(directory, "node_modules/.bin/greet"), '#!/bin/sh\necho "hello $#" > said\n', { mode: 0o755 });
    await run();
    expect(said()).toBe("hello 2\n");
  });

  it("is no matter where there is none", async () => {
    const { run, told } = app(undefined);
    await run();
    expect(told()).toEqual([]);
  });

  it.each([
    ["exit 3", /^Cannot get past before-migrate: "exit 3" can't be run: /],
    ["sh -c 'exit 3'", /^Cannot get past before-migrate: "sh -c 'exit 3'" ended with status 3$/],
    ["kill -9 $$", /ended with status 137$/],
    ["no-such-program", /can't be run: .*"no-such-program" is in none of /],
  ])("stops the start where it fails: %s", async (command, message) => {
    const { run } = app(command);
    await expect(run()).rejects.toMatchObject({ code: "E_HOOK", message: expect.stringMatching(message) });
  });

  it("stops the start where it takes too long, and is ended with all that it started", async () => {
    const { run, directory } = app("sleep 1000 & echo $! > said; wait", { timeoutMs: 300 });
    await expect(run()).rejects.toMatchObject({
      code: "E_HOOK",
      message: expect.stringMatching(/longer than 300 ms$/),
    });
    const sleeper = Number(readFileSync(join(directory, "said"), "utf8"));
    await expect.poll(() => isRunning(sleeper)).toBe(false);
  });

  it("gets a signal to stop, which is no failure of its own", async () => {
    const { run, stop, directory } = app("trap 'echo stopped >> said; exit 0' TERM; echo up > said; sleep 1000 & wait");
    const running = run();
    await expect.poll(() => read(join(directory, "said"))).toBe("up\n");
    stop.abort(new Error("stopped by SIGTERM"));
    await expect(running).rejects.toThrow("stopped by SIGTERM");
    expect(read(join(directory, "said"))).toBe("up\nstopped\n");
  });
});

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function isRunning(pid: number): boolean {
  const stat = read(`/proc/${pid}/stat`);
  return stat !== "" && !stat.includes(") Z ");
}
