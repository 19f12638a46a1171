// Stands in for storage/file.ts where steps/replicate.ts keeps what waits for the replica: level-0 files and spooled
// snapshots, on the simulated volume. Like the original without its waiting for the disk.

import { FlysqliteError } from "../../../src/base/errors.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { called } from "./kernel.ts";

export function openFileStore(root: string): ObjectStore {
  const store: ObjectStore = {
    address: `file://${root}`,
    levelDirectory: (level) => `ltx/${level}`,

    async list(prefix, { signal }) {
      const { volume } = await called();
      signal.throwIfAborted();
      return volume
        .list(root)
        .map(({ path, ...object }) => ({ key: path.slice(root.length + 1), ...object }))
        .filter(({ key }) => key.startsWith(prefix))
        .sort((a, b) => (a.key < b.key ? -1 : 1));
    },

    async get(key, { signal, offset = 0, lengthBytes = Number.MAX_SAFE_INTEGER }) {
      const { volume } = await called();
      signal.throwIfAborted();
      const bytes = volume.read(`${root}/${key}`);
      return bytes && toChunks(bytes.subarray(offset, offset + lengthBytes));
    },

    async put(key, body, { signal, modifiedMs = 0 }) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(chunk.slice());
      const { volume, writeFailure } = await called();
      signal.throwIfAborted();
      const failure = writeFailure();
      if (failure !== undefined) {
        throw new FlysqliteError("E_REPLICA_UNREACHABLE", `Cannot write "${key}": ${failure.message}`, {
          cause: failure,
        });
      }
      volume.write(`${root}/${key}`, new Uint8Array(Buffer.concat(chunks)), { modifiedMs });
      return true;
    },

    readVersioned: () => Promise.reject(new Error("nobody reads versions on the volume")),
    replace: () => Promise.reject(new Error("nobody replaces versions on the volume")),
    sweep: async () => 0,

    async delete(key, { signal }) {
      const { volume, writeFailure } = await called();
      signal.throwIfAborted();
      const failure = writeFailure();
      if (failure !== undefined && (failure as NodeJS.ErrnoException).code !== "ENOSPC") throw failure;
      volume.remove(`${root}/${key}`);
    },

    async deleteMany(keys, options) {
      for (const key of keys) await store.delete(key, options);
    },

    exactTime: async ({ modifiedMs }) => modifiedMs,
  };
  return store;
}

async function* toChunks(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += 16 * 1024) {
    await called();
    yield bytes.slice(at, at + 16 * 1024); // the receiver may detach it
  }
}
