// One life of the keeper's process: from its start to its end, or to its sudden death. A dead process does nothing any
// more: what it waits for never comes, and what it calls throws.
//
// The keeper runs in the simulation's own process. At its death its connections are closed while the app keeps them
// from being the last, so that the kernel's locks go and nothing else happens, as when a process is killed.
//
// A halted process does nothing either, and goes on later: what it waited for meets it then.

import { AsyncLocalStorage } from "node:async_hooks";
import { closeSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import type { Clock } from "../../src/base/context.ts";
import type { Connection, Driver } from "../../src/sqlite/driver.ts";
import { type Clocks, createClocks } from "./clocks.ts";
import type { Kernel } from "./kernel/kernel.ts";
import type { Timeline } from "./timeline.ts";

/** Thrown into what still runs of a process that is dead. */
export class Dead extends Error {}

/** Whose code is running: what the kernel is asked for, it is asked for by a process. */
export const processes = new AsyncLocalStorage<Life>();

export type Life = {
  readonly isDead: boolean;
  readonly isHalted: boolean;
  readonly clock: Clock;
  /** The machine that it runs on; undefined where there is only one. */
  readonly kernel: Kernel | undefined;
  /** Throws where it is dead. */
  live(): void;
  /** Lets time pass; never comes back to a dead process. */
  pass(ms: number): Promise<void>;
  /** Runs as a part of this process. */
  run<Result>(work: () => Result): Result;
  /** Notes a file that the process has open. */
  opened(file: number): void;
  closed(file: number): void;
  /** Likewise of one that may be closed twice. */
  holds(file: FileHandle): void;
  /** The driver as this process has it. It waits for no lock: nobody else does anything meanwhile. */
  driver(driver: Driver): Driver;
  halt(): void;
  goOn(): void;
  /** Ends the process as the kernel does: its locks and files go, and nothing of it runs on. */
  die(): void;
};

/** A timer takes at least so long, in milliseconds: sums of fractions are not exact, and a shorter one takes no time. */
const SHORTEST_MS = 0.001;

/** One that is due within this time is due. */
const ROUNDING_MS = SHORTEST_MS / 1000;

export function beginLife({
  timeline,
  clocks = createClocks(timeline),
  kernel,
}: {
  readonly timeline: Timeline;
  readonly clocks?: Clocks;
  readonly kernel?: Kernel;
}): Life {
  let isDead = false;
  let isHalted = false;
  /** What came due while it was halted, in turn. */
  let missed: (() => void)[] = [];
  const connections = new Set<Connection>();
  const files = new Set<number>();
  const handles: FileHandle[] = [];

  function live(): void {
    if (isDead) throw new Dead("this process is dead");
  }

  /** Calls back after so long by its own clock, unless it is dead by then. */
  function after(ms: number, run: () => void): void {
    const dueMs = clocks.monotonic() + (ms > 0 ? Math.max(ms, SHORTEST_MS) : ms);
    const wait = () => timeline.after((dueMs - clocks.monotonic()) / clocks.rate, ring);
    const ring = () => {
      if (isDead) return;
      if (isHalted) missed.push(wait);
      else if (dueMs - clocks.monotonic() > ROUNDING_MS)
        wait(); // the clock stood still meanwhile
      else run();
    };
    wait();
  }

  const clock: Clock = {
    now: clocks.now,
    monotonic: clocks.monotonic,
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
    get isHalted(): boolean {
      return isHalted;
    },
    clock,
    kernel,
    live,
    pass: (ms) => new Promise((resolve) => after(ms, resolve)),
    run: (work) => processes.run(life, work),
    opened: (file) => void files.add(file),
    closed: (file) => void files.delete(file),
    holds: (file) => void handles.push(file),
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

    halt() {
      isHalted = true;
    },

    goOn() {
      isHalted = false;
      const due = missed;
      missed = [];
      for (const wait of due) wait();
    },

    die() {
      isDead = true;
      for (const connection of connections) connection.close();
      for (const file of files) closeSync(file);
      for (const file of handles) file.close();
    },
  };
  return life;
}
