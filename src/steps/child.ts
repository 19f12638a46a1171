// A child that runs to its end: the seed, or this program in another role.

import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";

/** How long a child that was told to end may take before it is killed, in milliseconds. */
const KILL_AFTER_MS = 2000;

export type ChildEnd = { readonly exitStatus: number; readonly signal: NodeJS.Signals | undefined };

/**
 * Waits for the child's end. When the signal is aborted the child's process group is told to end, then killed, and
 * the signal's reason is thrown once it is gone.
 */
export async function waitForEnd(child: ChildProcess, { signal }: { readonly signal: AbortSignal }): Promise<ChildEnd> {
  let killer: NodeJS.Timeout | undefined;
  const stop = () => {
    signalGroup(child, "SIGTERM");
    killer = setTimeout(() => signalGroup(child, "SIGKILL"), KILL_AFTER_MS);
  };
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  try {
    const end = await new Promise<ChildEnd>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, name) => {
        resolve({ exitStatus: code ?? 128 + constants.signals[name ?? "SIGKILL"], signal: name ?? undefined });
      });
    });
    signal.throwIfAborted();
    return end;
  } finally {
    clearTimeout(killer);
    signal.removeEventListener("abort", stop);
  }
}

/** Signals a child that leads its own process group, with all that belongs to it. */
export function signalGroup(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, name);
  } catch {
    // gone already
  }
}
