import { describe, expect, it } from "vitest";
import { FlysqliteError } from "../../../../src/base/errors.ts";
import { systemRandom } from "../../../../src/base/system.ts";
import { probeConditions } from "../../../../src/replica/lease/probe.ts";
import type { ObjectStore } from "../../../../src/storage/store.ts";
import { createMemoryStore, type MemoryStore } from "../../../support/memory-store.ts";
import { signal } from "./support.ts";

const probe = (store: ObjectStore) => probeConditions(store, { random: systemRandom, signal });

/** A service that has its own idea of conditional writes. */
function withReplace(
  replace: (store: MemoryStore, ...call: Parameters<ObjectStore["replace"]>) => Promise<string | undefined>,
): MemoryStore {
  const store = createMemoryStore();
  return { ...store, replace: (...call) => replace(store, ...call) };
}

/** Stores whatever the condition is. */
async function regardless(store: MemoryStore, key: string, bytes: Uint8Array) {
  await store.put(key, [bytes], { signal });
  return (await store.readVersioned(key, { signal }))?.version;
}

describe("probing a store for its conditions", () => {
  it("finds that they hold, and leaves nothing behind", async () => {
    const store = createMemoryStore([["ltx/0/x", { bytes: new Uint8Array(1), modifiedMs: 0 }]]);
    expect(await probe(store)).toBeUndefined();
    expect([...store.objects.keys()]).toEqual(["ltx/0/x"]);
  });

  it.each<[string, string, MemoryStore]>([
    [
      "passes over all of them",
      "a write that must find nothing",
      withReplace((store, key, bytes) => regardless(store, key, bytes)),
    ],
    [
      "knows only that an object must be absent",
      "a write replaces another version than its own",
      withReplace((store, key, bytes, options) =>
        options.version === undefined ? store.replace(key, bytes, options) : regardless(store, key, bytes),
      ),
    ],
    [
      "takes no version for the one that is there",
      "a write does not replace the version that it names",
      withReplace(async (store, key, bytes, options) =>
        options.version === undefined ? store.replace(key, bytes, options) : undefined,
      ),
    ],
    ["takes nothing for absent", "is refused where nothing is", withReplace(async () => undefined)],
  ])("finds a service that %s", async (_, text, store) => {
    expect(await probe(store)).toContain(text);
    expect([...store.objects.keys()]).toEqual([]);
  });

  it("is not misled by answers that get lost while the client tries again", async () => {
    const store = withReplace(async (store, ...call) => {
      await store.replace(...call);
      return store.replace(...call);
    });
    expect(await probe(store)).toBeUndefined();
  });

  it("is not misled by another machine that probes at the same time", async () => {
    const store = createMemoryStore();
    expect(await Promise.all(Array.from({ length: 8 }, () => probe(store)))).toEqual(Array(8).fill(undefined));
    expect([...store.objects.keys()]).toEqual([]);
  });

  it("does not need the right to delete", async () => {
    const store = createMemoryStore();
    const denied: ObjectStore = {
      ...store,
      async delete() {
        throw new FlysqliteError("E_REPLICA_DENIED", "403 AccessDenied");
      },
    };
    expect(await probe(denied)).toBeUndefined();
    expect([...store.objects.keys()]).toEqual([expect.stringMatching(/^flysqlite\/probe-[0-9a-f-]{36}$/)]);
  });

  it("fails where the store does: that says nothing of its conditions", async () => {
    const failure = new FlysqliteError("E_REPLICA_DENIED", "403 AccessDenied");
    const store = withReplace(async () => {
      throw failure;
    });
    await expect(probe(store)).rejects.toBe(failure);
  });
});
