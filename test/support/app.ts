// Another process that has a database open, as the app has it: locks belong to processes, so a connection in the
// test's own process would prove nothing.

import { fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Answer, Request } from "./app-process.ts";

export type App = Awaited<ReturnType<typeof startApp>>;

/** Starts a process with a connection to the database at `path`. Its own checkpoints are off until it is told. */
export async function startApp(path: string, { timeoutMs = 0 }: { readonly timeoutMs?: number } = {}) {
  const child = fork(join(import.meta.dirname, "app-process.ts"), { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const ended = once(child, "exit");

  async function ask(request: Request): Promise<unknown> {
    const answered = Promise.race([
      once(child, "message"),
      ended.then(() => {
        throw new Error(`the app ended while it was asked to ${request.kind}`);
      }),
    ]);
    child.send(request);
    const [answer] = (await answered) as [Answer];
    if ("error" in answer) throw new Error(answer.error);
    return answer.value;
  }

  const app = {
    /** Runs statements. Fails with SQLite's message. */
    exec: (sql: string) => ask({ kind: "exec", sql }),

    /** Runs one statement, and gives its rows. */
    all: async (sql: string) => (await ask({ kind: "all", sql, parameters: [] })) as Record<string, unknown>[],

    /** Commits so many transactions of the workload, and gives the number of the last. */
    commit: async (times = 1, { payloadBytes = 300, keep = 50 } = {}) =>
      Number(await ask({ kind: "commit", times, payloadBytes, keep })),

    /** Asks for a checkpoint; gives SQLite's answer. */
    async checkpoint(mode: "PASSIVE" | "FULL" | "RESTART" | "TRUNCATE") {
      const [row] = await app.all(`PRAGMA wal_checkpoint(${mode})`);
      return { busy: Number(row?.["busy"]), log: Number(row?.["log"]), checkpointed: Number(row?.["checkpointed"]) };
    },

    open: (file = path) => ask({ kind: "open", path: file, timeoutMs }),
    close: () => ask({ kind: "close" }),

    /** Ends the process at once, as a crash does: SQLite closes nothing. */
    async kill(): Promise<void> {
      child.kill("SIGKILL");
      await ended;
    },
    [Symbol.asyncDispose]: () => app.kill(),
  };
  await app.open();
  return app;
}

/** Commits from another process, and comes back when it is done: for what must happen in the middle of a step. */
export function commitMeanwhile(path: string, payloadBytes = 300): void {
  const script = `
    import { DatabaseSync } from "node:sqlite";
    const { commitNext } = await import(process.env.WORKLOAD);
    commitNext(new DatabaseSync(process.env.DATABASE), { payloadBytes: Number(process.env.PAYLOAD), keep: 50 });
    process.kill(process.pid, "SIGKILL"); // closes nothing, and so checkpoints nothing
  `;
  const workload = pathToFileURL(join(import.meta.dirname, "workload.ts")).href;
  const env = { ...process.env, WORKLOAD: workload, DATABASE: path, PAYLOAD: String(payloadBytes) };
  const { signal, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", script], {
    env,
    encoding: "utf8",
  });
  if (signal !== "SIGKILL") throw new Error(`the commit failed: ${stderr}`);
}
