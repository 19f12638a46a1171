// The real executable, run on this machine as any program is: for the commands that need no container.

import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { ROOT, until } from "./box.ts";

/** Carries the test app, whose database is /data/dev.db unless told otherwise. */
export const EXECUTABLE = join(ROOT, "dist/flysqlite");

export type Started = ReturnType<typeof startFlysqlite>;

/** Starts it. Disposing kills it, if it still runs. */
export function startFlysqlite(
  words: readonly string[],
  { environment = {}, directory = "/" }: { readonly environment?: NodeJS.ProcessEnv; readonly directory?: string } = {},
) {
  const child: ChildProcess = spawn(EXECUTABLE, words, {
    env: { PATH: "/usr/bin:/bin", ...environment },
    cwd: directory,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let standardOutput = "";
  child.stdout?.on("data", (text) => {
    output += text;
    standardOutput += text;
  });
  child.stderr?.on("data", (text) => {
    output += text;
  });
  let hasEnded = false;
  const ended = new Promise<number>((resolve) => {
    child.once("close", (code) => {
      hasEnded = true;
      resolve(code ?? 137);
    });
  });
  return {
    pid: child.pid ?? 0,
    /** The exit status. */
    ended,
    /** Of both streams, as it came. */
    output: () => output,
    standardOutput: () => standardOutput,
    /** Waits for a line of the output; fails with all of it where the process ends first. */
    line: (pattern: RegExp): Promise<void> =>
      until(() => pattern.test(output), {
        orElse: () => hasEnded && !pattern.test(output),
        what: () => `${pattern}\n${output}`,
      }),
    signal: (name: NodeJS.Signals): void => void child.kill(name),
    /** Stops it as a platform does, and gives the exit status. */
    async stop(): Promise<number> {
      child.kill("SIGTERM");
      return ended;
    },
    /** Ends it at once, as a crash does. */
    async kill(): Promise<void> {
      child.kill("SIGKILL");
      await ended;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Runs it to its end. */
export async function runFlysqlite(
  words: readonly string[],
  options: Parameters<typeof startFlysqlite>[1] = {},
): Promise<{ readonly exitStatus: number; readonly output: string; readonly standardOutput: string }> {
  const { ended, output, standardOutput } = startFlysqlite(words, options);
  const exitStatus = await ended;
  return { exitStatus, output: output(), standardOutput: standardOutput() };
}
