// What the product's modules find in place of the system, in a simulation: loader.ts leads some of their imports here.
// There is one simulation at a time in a process, of one machine or of several.

import { processes } from "../life.ts";
import type { Volume } from "../volume.ts";

export type Kernel = {
  /** Everything below is kept in memory; files elsewhere are real. */
  readonly stateDirectory: string;
  readonly volume: Volume;
  readonly freeBytes: () => number;
  /** A process begins a call for a file; may let it die instead. Gives how long the call takes, in milliseconds. */
  readonly fileCall: () => number;
  /** Why a write fails, if it does: a disk may be full, or broken. */
  readonly writeFailure: () => Error | undefined;
  /** A log was made durable as it is. */
  readonly logSynced: () => void;
  /** The file name of the log. */
  readonly logName: string;
  /** Whom to tell when the log changes. */
  readonly watchers: Set<() => void>;
};

let present: Kernel | undefined;

/** Boots the machine, or the one of several that answers whoever is no process of any. */
export function boot(kernel: Kernel): void {
  present = kernel;
}

/** That of the machine on which the running code's process is. */
export function kernel(): Kernel {
  const found = processes.getStore()?.kernel ?? present;
  if (found === undefined) throw new Error("no simulation runs");
  return found;
}

/** The kernel, for a process that lives; it takes its time. Whoever is no process of the simulation is served at once. */
export async function called(): Promise<Kernel> {
  const process = processes.getStore();
  if (process !== undefined) {
    if (process.isDead) return new Promise(() => {});
    const ms = kernel().fileCall();
    await process.pass(ms);
  }
  return kernel();
}

export function isSimulated(path: string): boolean {
  const { stateDirectory } = kernel();
  return path === stateDirectory || path.startsWith(`${stateDirectory}/`);
}
