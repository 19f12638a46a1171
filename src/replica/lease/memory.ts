// What a volume remembers of its taking of a lease, beside its database. With it a restart on this volume need not
// wait for a lease that is its own. It follows what the replica has, and so lags behind it at most.

import { join } from "node:path";
import { readIfPresent, writeDurably } from "../../base/durable-file.ts";
import type { LeaseMemory } from "./rules.ts";

const FILE_NAME = "lease.json";

/** Which replica's lease it was, and the last of it that is known to be stored. */
export type StoredMemory = LeaseMemory & { readonly replica: string };

/** Undefined where there is none, or none that can be read: then this volume waits as any other. */
export function readLeaseMemory(stateDirectory: string): StoredMemory | undefined {
  const text = readIfPresent(join(stateDirectory, FILE_NAME));
  return text === undefined ? undefined : parseMemory(text);
}

export async function writeLeaseMemory(stateDirectory: string, memory: StoredMemory): Promise<void> {
  const { replica, epoch, owner, taking, renewal } = memory;
  await writeDurably(
    join(stateDirectory, FILE_NAME),
    `${JSON.stringify({ replica, epoch, owner, taking, renewal })}\n`,
  );
}

function parseMemory(text: string): StoredMemory | undefined {
  try {
    const stored: Partial<Record<string, unknown>> = { ...JSON.parse(text) };
    const { replica, epoch, owner, taking, renewal } = stored;
    if (!Number.isSafeInteger(epoch) || !Number.isSafeInteger(renewal)) return undefined;
    if (typeof replica !== "string" || typeof owner !== "string" || typeof taking !== "string") return undefined;
    return { replica, epoch: Number(epoch), owner, taking, renewal: Number(renewal) };
  } catch {
    return undefined;
  }
}
