// Whether a store keeps to the conditions of a conditional write, found out by trying. Some services take such a write
// and pass over its condition: a lease there would be held by everybody.
//
// Once there is a lease, it was made so, and nobody need try again.

import type { Random } from "../../base/context.ts";
import { FlysqliteError } from "../../base/errors.ts";
import type { ObjectStore } from "../../storage/store.ts";

/** Undefined where conditions hold; else which one does not. */
export async function probeConditions(
  store: ObjectStore,
  { random, signal }: { readonly random: Random; readonly signal: AbortSignal },
): Promise<string | undefined> {
  // A key that no other machine has: one that tries at the same time must not be taken for a broken condition.
  const key = `flysqlite/probe-${random.uuid()}`;
  try {
    return await tryConditions(store, key, signal);
  } finally {
    await removeProbe(store, key, signal);
  }
}

async function tryConditions(store: ObjectStore, key: string, signal: AbortSignal): Promise<string | undefined> {
  const write = (text: string, version: string | undefined) =>
    store.replace(key, new TextEncoder().encode(text), { version, signal });
  // A first try whose answer got lost has the second one refused. Read, it tells its version all the same.
  const first = (await write("first", undefined)) ?? (await store.readVersioned(key, { signal }))?.version;
  if (first === undefined) return "a write that must find nothing is refused where nothing is";
  if ((await write("second", undefined)) !== undefined) return "a write that must find nothing replaces what is there";
  if ((await write("third", otherThan(first))) !== undefined) return "a write replaces another version than its own";
  if ((await write("fourth", first)) !== undefined) return undefined;
  const found = await store.readVersioned(key, { signal });
  if (new TextDecoder().decode(found?.bytes) === "fourth") return undefined;
  return "a write does not replace the version that it names";
}

/** A version as the store makes them, and not this one. */
function otherThan(version: string): string {
  return `${version.slice(0, -1)}${version.endsWith("0") ? "1" : "0"}`;
}

/** Keys without the right to delete are usual, and what stays behind is small. */
async function removeProbe(store: ObjectStore, key: string, signal: AbortSignal): Promise<void> {
  try {
    await store.delete(key, { signal });
  } catch (error) {
    if (!(error instanceof FlysqliteError)) throw error;
  }
}
