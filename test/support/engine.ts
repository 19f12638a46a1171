// A container engine, where there is one: docker or podman, by what both of their command lines have in common.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** How long a test waits for something that must happen, in milliseconds. */
const PATIENCE_MS = 60_000;

export type Engine = {
  readonly name: "docker" | "podman";
  /** Runs the engine with these words; gives its output, and throws where it fails. */
  readonly call: (words: readonly string[], options?: { readonly input?: string }) => string;
  /** The same, with the status in place of an exception. */
  readonly attempt: (words: readonly string[]) => { readonly status: number; readonly output: string };
  /** Removes what was written for it. */
  readonly [Symbol.dispose]: () => void;
};

/**
 * What podman needs in a container of containers: limits that may be set without the right to raise them, and a
 * runtime that takes control groups as they come. Source: containers.conf(5)
 */
const PODMAN_CONFIG = `[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`;

/** Finds an engine that answers. FLYSQLITE_TEST_ENGINE names the one to take. */
export function findEngine(environment: NodeJS.ProcessEnv = process.env): Engine | undefined {
  const named = environment["FLYSQLITE_TEST_ENGINE"];
  const names = (["docker", "podman"] as const).filter((name) => named === undefined || named === name);
  for (const name of names) {
    if (spawnSync(name, ["info"], { stdio: "ignore" }).status !== 0) continue;
    return createEngine(name, environment);
  }
  return undefined;
}

function createEngine(name: Engine["name"], environment: NodeJS.ProcessEnv): Engine {
  const env = { ...environment };
  const directory = mkdtempSync(join(tmpdir(), "flysqlite-engine-"));
  if (name === "podman" && spawnSync("runc", ["--version"], { stdio: "ignore" }).status === 0) {
    const config = join(directory, "containers.conf");
    writeFileSync(config, PODMAN_CONFIG);
    env["CONTAINERS_CONF"] ??= config;
  }
  return {
    name,
    call: (words, { input } = {}) =>
      execFileSync(name, [...words], {
        cwd: directory, // where conmon leaves a file when memory ran out
        env,
        encoding: "utf8",
        input,
        stdio: ["pipe", "pipe", "pipe"],
        maxBuffer: 1 << 26,
      }),
    attempt(words) {
      const { status, stdout, stderr } = spawnSync(name, [...words], { cwd: directory, env, encoding: "utf8" });
      return { status: status ?? 1, output: stdout + stderr };
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

export type Container = ReturnType<typeof runContainer>;

/** Runs the image in the background. Options and words as the engine's `run` has them. */
export function runContainer(
  engine: Engine,
  {
    image,
    options = [],
    words = [],
  }: { readonly image: string; readonly options?: readonly string[]; readonly words?: readonly string[] },
) {
  const id = engine.call(["run", "--detach", ...options, image, ...words]).trim();
  const output = () => engine.attempt(["logs", id]).output;
  const inspect = (field: string) => engine.call(["inspect", "--format", `{{.${field}}}`, id]).trim();
  return {
    id,
    output,
    /** Waits for a line; fails with all of the output where the container ends first. */
    async line(pattern: RegExp): Promise<void> {
      const deadline = performance.now() + PATIENCE_MS;
      while (!pattern.test(output())) {
        const ended = inspect("State.Running") === "false" && !pattern.test(output());
        if (ended || performance.now() > deadline) throw new Error(`waited in vain for ${pattern}\n${output()}`);
        await delay(50);
      }
    },
    /** Runs a program in the container, and gives what it prints. */
    exec: (...words: readonly string[]) => engine.call(["exec", id, ...words]),
    signal: (name: string) => void engine.call(["kill", "--signal", name, id]),
    /** Waits for its end, and gives its status. */
    async ended(): Promise<number> {
      const child = spawn(engine.name, ["wait", id], { stdio: ["ignore", "pipe", "ignore"] });
      let text = "";
      for await (const part of child.stdout) text += part;
      return Number(text.trim());
    },
    /** As a platform stops it, and gives its status. */
    stop(): number {
      engine.call(["stop", "--time", "10", id]);
      return Number(inspect("State.ExitCode"));
    },
    [Symbol.dispose](): void {
      engine.attempt(["rm", "--force", "--volumes", id]);
    },
  };
}
