// One life of the keeper's process: from its start to its end, or to its sudden death. A dead process does nothing any
// more: what it waits for never comes, and what it calls throws.
//
// The keeper runs in the simulation's own process. At its death its connections are closed while the app keeps them
// from being the last, so that the kernel's locks go and nothing else happens, as when a process is killed.

import { AsyncLocalStorage } from "node:async_hooks";
import { closeSync } from "node:fs";
import type { Clock } from "../../src/base/context.ts";
import type { Connection, Driver } from "../../src/sqlite/driver.ts";
import type { Timeline } from "./timeline.ts";

/** Thrown into what still runs of a process that is dead. */
export class Dead extends Error {}

/** Whose code is running: what the kernel is asked for, it is asked for by a process. */
export const processes = new AsyncLocalStorage<Life>();

export type Life = {
  readonly isDead: boolean;
  readonly clock: Clock;
  /** Throws where it is dead. */
  live(): void;
  /** Lets time pass; never comes back to a dead process. */
  pass(ms: number): Promise<void>;
  /** Runs as a part of this process. */
  run<Result>(work: () => Result): Result;
  /** Notes a file that the process has open. */
  opened(file: number): void;
  closed(file: number): void;
  /** The driver as this process has it. It waits for no lock: nobody else does anything meanwhile. */
  driver(driver: Driver): Driver;
  /** Ends the process as the kernel does: its locks and files go, and nothing of it runs on. */
  die(): void;
};

export function beginLife({
  timeline,
  wallOffsetMs,
}: {
  readonly timeline: Timeline;
  readonly wallOffsetMs: () => number;
}): Life {
  let isDead = false;
  const connections = new Set<Connection>();
  const files = new Set<number>();

  function live(): void {
    if (isDead) throw new Dead("this process is dead");
  }

  /** Calls back after so long, unless it is dead by then. */
  function after(ms: number, run: () => void): void {
    timeline.after(ms, () => {
      if (!isDead) run();
    });
  }

  const clock: Clock = {
    now: () => Math.round(1.7e12 + timeline.nowMs + wallOffsetMs()),
    monotonic: () => timeline.nowMs,
    sleep: (ms, { signal }) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const abort = () => !isDead && reject(signal.reason);
        signal.addEventListener("abort", abort, { once: true });
        after(ms, () => {
          signal.removeEventListener("abort", abort);
          resolve();
        });
      }),
  };

  const life: Life = {
    get isDead(): boolean {
      return isDead;
    },
    clock,
    live,
    pass: (ms) => new Promise((resolve) => after(ms, resolve)),
    run: (work) => processes.run(life, work),
    opened: (file) => void files.add(file),
    closed: (file) => void files.delete(file),
    driver: (driver) => ({
      ...driver,
      open(path, options) {
        live();
        const connection = driver.open(path, { ...options, busyTimeoutMs: 0 });
        connections.add(connection);
        const close = () => {
          live();
          connections.delete(connection);
          connection.close();
        };
        return {
          exec(sql) {
            live();
            connection.exec(sql);
          },
          all(sql, ...parameters) {
            live();
            return connection.all(sql, ...parameters);
          },
          close,
          [Symbol.dispose]: close,
        };
      },
    }),

    die() {
      isDead = true;
      for (const connection of connections) connection.close();
      for (const file of files) closeSync(file);
    },
  };
  return life;
}
