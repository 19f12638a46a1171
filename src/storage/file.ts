// An object store in a directory: each object is a file, durable once put() has answered.

import { createReadStream, type Stats } from "node:fs";
import { link, lstat, mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Random } from "../base/context.ts";
import { syncDirectory } from "../base/durable-file.ts";
import { describe, FlysqliteError, systemCode } from "../base/errors.ts";
import type { ObjectInfo, ObjectStore, PutOptions } from "./store.ts";

/** Ends the names of files that are being written. Litestream passes over them too. */
const TEMPORARY = ".tmp";

const READ_CHUNK_BYTES = 256 * 1024;

/**
 * Opens the store at `root`, an absolute path. Nothing is made before the first put().
 *
 * A root that does not exist is an empty store as long as its parent directory exists; without the parent
 * the store counts as unreachable, since a backup disk that is not mounted looks like that.
 */
export function openFileStore(root: string, { random }: { readonly random: Random }): ObjectStore {
  const address = pathToFileURL(root).href;

  return {
    address,
    levelDirectory: (level) => `ltx/${level}`,

    async list(prefix, { signal }) {
      try {
        const found = await listBelow(join(root, prefix), prefix, signal);
        if (found === undefined) await requireParent(root);
        return found ?? [];
      } catch (error) {
        throw unreachable(`Cannot list "${address}"`, error, signal);
      }
    },

    async get(key, { signal }) {
      const path = join(root, key);
      try {
        signal.throwIfAborted();
        await using file = await open(path);
        await file.stat();
      } catch (error) {
        if (systemCode(error) === "ENOENT") return undefined;
        throw unreachable(`Cannot read "${key}" of "${address}"`, error, signal);
      }
      return readChunks(path, { key, address, signal });
    },

    async put(key, body, options) {
      try {
        return await writeObject(join(root, key), body, { ...options, root, random });
      } catch (error) {
        throw unreachable(`Cannot write "${key}" to "${address}"`, error, options.signal);
      }
    },

    async delete(key, { signal }) {
      try {
        signal.throwIfAborted();
        await rm(join(root, key), { force: true });
      } catch (error) {
        throw unreachable(`Cannot delete "${key}" of "${address}"`, error, signal);
      }
    },
  };
}

/** The files below `directory`, or undefined if it does not exist. */
async function listBelow(
  directory: string,
  prefix: string,
  signal: AbortSignal,
): Promise<readonly ObjectInfo[] | undefined> {
  signal.throwIfAborted();
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
  const objects: ObjectInfo[] = [];
  for (const name of names) {
    if (name.endsWith(TEMPORARY)) continue;
    const path = join(directory, name);
    // Follows links, as get() and put() do: what they reach must be listed, or a replica would look empty.
    const stats = await statUnlessGone(path);
    if (stats?.isDirectory()) {
      objects.push(...((await listBelow(path, `${prefix}${name}/`, signal)) ?? []));
    } else if (stats?.isFile()) {
      objects.push({ key: `${prefix}${name}`, sizeBytes: stats.size, modifiedMs: Math.round(stats.mtimeMs) });
    }
  }
  return objects.sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Undefined for what was deleted since its directory was read; a link that leads nowhere is an error. */
async function statUnlessGone(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT" && (await lstat(path).catch(() => undefined)) === undefined) return undefined;
    throw error;
  }
}

/** Throws unless `root`, which can't be entered, is known to be nothing: absent, in a directory that is there. */
async function requireParent(root: string): Promise<void> {
  const entry = await lstat(root).catch(() => undefined);
  if (entry?.isSymbolicLink()) await stat(root); // throws where it leads nowhere, as to a disk that is not mounted
  await using parent = await open(dirname(root));
  if (!(await parent.stat()).isDirectory()) throw new Error(`"${dirname(root)}" is not a directory`);
}

async function* readChunks(
  path: string,
  { key, address, signal }: { readonly key: string; readonly address: string; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of createReadStream(path, { signal, highWaterMark: READ_CHUNK_BYTES })) yield chunk;
  } catch (error) {
    throw unreachable(`Cannot read "${key}" of "${address}"`, error, signal);
  }
}

async function writeObject(
  target: string,
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: PutOptions & { readonly root: string; readonly random: Random },
): Promise<boolean> {
  const { signal, ifAbsent, modifiedMs, root, random } = options;
  const directory = dirname(target);
  await makeDirectory(directory, root);
  const temporary = `${target}.${random.uuid()}${TEMPORARY}`;
  try {
    {
      await using file = await open(temporary, "wx", 0o600);
      for await (const chunk of body) {
        signal.throwIfAborted();
        await file.writeFile(chunk);
      }
      if (modifiedMs !== undefined) await utimes(temporary, modifiedMs / 1000, modifiedMs / 1000);
      await file.sync();
    }
    signal.throwIfAborted();
    if (ifAbsent === true) {
      try {
        await link(temporary, target); // unlike rename, it refuses to replace
      } catch (error) {
        if (systemCode(error) === "EEXIST") return false;
        throw error;
      }
    } else {
      await rename(temporary, target);
    }
    await syncDirectory(directory);
    return true;
  } finally {
    await rm(temporary, { force: true }); // renamed away by now if all went well
  }
}

/** Makes `directory` and what is missing above it, down from the root's parent, each durable in its parent. */
async function makeDirectory(directory: string, root: string): Promise<void> {
  try {
    if ((await stat(directory)).isDirectory()) return;
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
  }
  if (directory !== root) await makeDirectory(dirname(directory), root);
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error;
  }
  await syncDirectory(dirname(directory));
}

function unreachable(what: string, error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof FlysqliteError) return error;
  const code = systemCode(error);
  const failure = code === "EACCES" || code === "EPERM" ? "E_REPLICA_DENIED" : "E_REPLICA_UNREACHABLE";
  return new FlysqliteError(failure, `${what}: ${describe(error)}`, { cause: error });
}
