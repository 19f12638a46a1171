// An object store in memory, which a test can fill with any bytes and let fail in any way.

import { createHash } from "node:crypto";
import type { ObjectStore } from "../../src/storage/store.ts";

export type MemoryObject = { readonly bytes: Uint8Array; readonly modifiedMs: number };

export type MemoryStore = ObjectStore & { readonly objects: Map<string, MemoryObject> };

const CHUNK_BYTES = 64 * 1024;

/** `levelDirectory` is that of a store in a directory. */
export function createMemoryStore(entries: Iterable<readonly [string, MemoryObject]> = []): MemoryStore {
  const objects = new Map(entries);
  return {
    objects,
    address: "memory:",
    levelDirectory: (level) => `ltx/${level}`,
    async list(prefix, { signal }) {
      signal.throwIfAborted();
      return [...objects]
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, { bytes, modifiedMs }]) => ({ key, sizeBytes: bytes.byteLength, modifiedMs }))
        .sort((a, b) => (a.key < b.key ? -1 : 1));
    },
    async get(key, { signal, offset = 0, lengthBytes = Number.MAX_SAFE_INTEGER }) {
      signal.throwIfAborted();
      const object = objects.get(key);
      return object && inChunks(object.bytes.subarray(offset, offset + lengthBytes), signal);
    },
    async put(key, body, { signal, ifAbsent = false, modifiedMs = 0 }) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(chunk.slice());
      signal.throwIfAborted();
      if (ifAbsent && objects.has(key)) return false;
      objects.set(key, { bytes: new Uint8Array(Buffer.concat(chunks)), modifiedMs });
      return true;
    },
    async readVersioned(key, { signal }) {
      signal.throwIfAborted();
      const object = objects.get(key);
      return object && { bytes: object.bytes, version: versionOf(object) };
    },
    async replace(key, bytes, { version, signal }) {
      signal.throwIfAborted();
      const found = objects.get(key);
      if ((found && versionOf(found)) !== version) return undefined;
      const stored = { bytes: new Uint8Array(bytes), modifiedMs: 0 };
      objects.set(key, stored);
      return versionOf(stored);
    },
    async delete(key) {
      objects.delete(key);
    },
    async deleteMany(keys) {
      for (const key of keys) objects.delete(key);
    },
    sweep: async () => 0, // nothing is ever half-done
    exactTime: async ({ modifiedMs }) => modifiedMs,
  };
}

/** Of the same bytes the same, as with S3. */
function versionOf({ bytes }: MemoryObject): string {
  return createHash("md5").update(bytes).digest("hex");
}

async function* inChunks(bytes: Uint8Array, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += CHUNK_BYTES) {
    signal.throwIfAborted();
    yield new Uint8Array(bytes.subarray(at, at + CHUNK_BYTES)); // a copy, also of a Buffer
  }
}
