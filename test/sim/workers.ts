// Processes that do one task after the other, several at a time, as they are told to over IPC.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** No task takes so long, in milliseconds of real time, but for one that spins. */
const LIMIT_MS = 60_000;

/** So many share a process: an app's, which answers without ever going idle, keeps what each of them had in memory. */
const TASKS_OF_PROCESS = 500;

export type Done<Task, Result> = { readonly task: Task; readonly result: Result };

export type Pool<Task, Result> = Disposable & {
  /** Gives the results as they come. */
  run(tasks: Iterable<Task>): AsyncGenerator<Done<Task, Result>, void, undefined>;
};

export function createPool<Task extends object, Result>({
  script,
  jobs,
  broken,
}: {
  /** File name of a module beside this one, which answers each message, a task, by another one, its result. */
  readonly script: string;
  readonly jobs: number;
  /** The result of a task whose process broke down, or did not come to an end. */
  readonly broken: (task: Task, why: string) => Result;
}): Pool<Task, Result> {
  const workers = Array.from({ length: jobs }, () => createWorker(script, broken));
  return {
    async *run(tasks) {
      const left = tasks[Symbol.iterator]();
      const running = new Map<Worker<Task, Result>, Promise<Done<Task, Result> & { worker: Worker<Task, Result> }>>();
      const start = (worker: Worker<Task, Result>) => {
        running.delete(worker);
        const next = left.next();
        if (next.done) return;
        const task = next.value;
        running.set(
          worker,
          worker.run(task).then((result) => ({ worker, task, result })),
        );
      };
      for (const worker of workers) start(worker);
      while (running.size > 0) {
        const { worker, task, result } = await Promise.race(running.values());
        start(worker);
        yield { task, result };
      }
    },
    [Symbol.dispose]() {
      for (const worker of workers) worker.end();
    },
  };
}

type Worker<Task, Result> = { run(task: Task): Promise<Result>; end(): void };

/** A process that is started when it is first needed, and anew after one that broke down or has done its share. */
function createWorker<Task extends object, Result>(
  script: string,
  broken: (task: Task, why: string) => Result,
): Worker<Task, Result> {
  let child: ChildProcess | undefined;
  let tasks = 0;
  return {
    async run(task) {
      if (tasks++ % TASKS_OF_PROCESS === 0) {
        child?.disconnect();
        child = undefined;
      }
      child ??= fork(join(import.meta.dirname, script), {
        execArgv: ["--import", join(import.meta.dirname, "loader.ts")],
      });
      child.send(task);
      const end = new AbortController();
      const { signal } = end;
      const outcome = await Promise.race([
        once(child, "message", { signal }).then(([result]) => ({ result: result as Result })),
        once(child, "exit", { signal }).then(() => "it broke down"),
        delay(LIMIT_MS, "it does not come to an end", { signal }),
      ]);
      end.abort();
      if (typeof outcome !== "string") return outcome.result;
      child.kill("SIGKILL");
      child = undefined;
      return broken(task, outcome);
    },
    end: () => child?.disconnect(),
  };
}
