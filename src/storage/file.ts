// An object store in a directory: each object is a file, durable once put() has answered.

import type { BigIntStats } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { assert } from "../base/assert.ts";
import type { Random } from "../base/context.ts";
import { syncDirectory } from "../base/durable-file.ts";
import { describe, FlysqliteError, systemCode } from "../base/errors.ts";
import { link, lstat, mkdir, open, readdir, removeFile, rename, stat, utimes } from "../base/files.ts";
import { MAX_SMALL_BYTES, type ObjectInfo, type ObjectStore, type PutOptions, type SweepOptions } from "./store.ts";

/** Ends the names of files that are being written. Litestream passes over them too. */
const TEMPORARY = ".tmp";

const READ_CHUNK_BYTES = 256 * 1024;

/** How long a claim on a key holds, in milliseconds. What it guards takes two system calls. */
const CLAIM_MS = 60_000n;

/**
 * Opens the store at `root`, an absolute path. Nothing is made before the first put(). With `durable` false a put
 * waits for no disk: after a power cut the object may be absent or damaged, and whoever reads it must check it.
 *
 * A root that does not exist is an empty store as long as its parent directory exists; without the parent
 * the store counts as unreachable, since a backup disk that is not mounted looks like that.
 */
export function openFileStore(
  root: string,
  { random, durable = true }: { readonly random: Random; readonly durable?: boolean },
): ObjectStore {
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

    async get(key, { signal, offset = 0, lengthBytes, version }) {
      assert(Number.isSafeInteger(offset) && offset >= 0, "an offset is a whole number");
      assert(
        lengthBytes === undefined || (Number.isSafeInteger(lengthBytes) && lengthBytes > 0),
        "a length is positive",
      );
      const path = join(root, key);
      try {
        signal.throwIfAborted();
        await using file = await open(path);
        const found = versionOf(await file.stat());
        if (version !== undefined && version !== found) return undefined;
      } catch (error) {
        if (systemCode(error) === "ENOENT") return undefined;
        throw unreachable(`Cannot read "${key}" of "${address}"`, error, signal);
      }
      const end = lengthBytes === undefined ? Number.POSITIVE_INFINITY : offset + lengthBytes;
      return readChunks(path, { key, address, signal, start: offset, end, version });
    },

    async put(key, body, options) {
      assert(
        options.ifAbsent !== true || options.ifVersion === undefined,
        "an object is either absent or of a version",
      );
      try {
        return (await writeObject(join(root, key), body, { ...options, root, random, durable })) !== undefined;
      } catch (error) {
        throw unreachable(`Cannot write "${key}" to "${address}"`, error, options.signal);
      }
    },

    async readVersioned(key, { signal }) {
      try {
        signal.throwIfAborted();
        await using file = await open(join(root, key));
        const stats = await file.stat();
        if (stats.size > MAX_SMALL_BYTES) throw new Error(`it has ${stats.size} bytes`);
        return { bytes: await file.readAll(), version: versionOf(stats) }; // a file is replaced, never changed
      } catch (error) {
        if (systemCode(error) === "ENOENT") return undefined;
        throw unreachable(`Cannot read "${key}" of "${address}"`, error, signal);
      }
    },

    async replace(key, bytes, { version, signal }) {
      const condition = version === undefined ? { ifAbsent: true } : { ifVersion: version };
      try {
        return await writeObject(join(root, key), [bytes], { ...condition, signal, root, random, durable });
      } catch (error) {
        throw unreachable(`Cannot write "${key}" to "${address}"`, error, signal);
      }
    },

    async delete(key, { signal }) {
      try {
        signal.throwIfAborted();
        await removeFile(join(root, key));
      } catch (error) {
        throw unreachable(`Cannot delete "${key}" of "${address}"`, error, signal);
      }
    },

    async deleteMany(keys, options) {
      for (const key of keys) await this.delete(key, options);
    },

    async sweep(options) {
      try {
        return await sweepBelow(root, "", options);
      } catch (error) {
        throw unreachable(`Cannot remove what was left half-done in "${address}"`, error, options.signal);
      }
    },

    exactTime: async ({ modifiedMs }) => modifiedMs,
  };
}

/** Removes temporary files below `directory`, not through links, and gives their number. */
async function sweepBelow(directory: string, prefix: string, options: SweepOptions): Promise<number> {
  const { signal, isOurs, beforeMs } = options;
  signal.throwIfAborted();
  let removed = 0;
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  });
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) removed += await sweepBelow(path, `${prefix}${entry.name}/`, options);
    if (!entry.isFile() || !entry.name.endsWith(TEMPORARY)) continue;
    // Of the name that it was to get; ours have something between that and the end.
    const key = `${prefix}${entry.name.slice(0, -TEMPORARY.length)}`;
    if (!isOurs(key) && !isOurs(key.slice(0, Math.max(0, key.lastIndexOf("."))))) continue;
    const stats = await statUnlessGone(path);
    if (stats === undefined || stats.ctimeMs >= beforeMs) continue; // its other time may be set already
    await removeFile(path);
    removed += 1;
  }
  return removed;
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
      objects.push({
        key: `${prefix}${name}`,
        sizeBytes: Number(stats.size),
        modifiedMs: Math.round(Number(stats.mtimeNs) / 1e6),
        version: versionOf(stats),
      });
    }
  }
  return objects.sort((a, b) => (a.key < b.key ? -1 : 1));
}

async function statIfThere(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Undefined for what was deleted since its directory was read; a link that leads nowhere is an error. */
async function statUnlessGone(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (systemCode(error) === "ENOENT" && (await lstat(path).catch(() => undefined)) === undefined) return undefined;
    throw error;
  }
}

/** No two files of one path have all of these in common, as a new file is written while the old one is there. */
function versionOf({ ino, size, mtimeNs, birthtimeNs }: BigIntStats): string {
  return [ino, size, mtimeNs, birthtimeNs].map((number) => number.toString(36)).join("-");
}

/** Throws unless `root`, which can't be entered, is known to be nothing: absent, in a directory that is there. */
async function requireParent(root: string): Promise<void> {
  const entry = await lstat(root).catch(() => undefined);
  if (entry?.isSymbolicLink()) await stat(root); // throws where it leads nowhere, as to a disk that is not mounted
  await using parent = await open(dirname(root));
  if (!(await parent.stat()).isDirectory()) throw new Error(`"${dirname(root)}" is not a directory`);
}

/** By hand, as a stream takes longer to make than such a file to read. */
async function* readChunks(
  path: string,
  {
    key,
    address,
    signal,
    start,
    end,
    version,
  }: {
    readonly key: string;
    readonly address: string;
    readonly signal: AbortSignal;
    readonly start: number;
    /** Behind the last byte that is wanted. */
    readonly end: number;
    readonly version: string | undefined;
  },
): AsyncGenerator<Uint8Array> {
  try {
    await using file = await open(path);
    const stats = await file.stat();
    if (version !== undefined && version !== versionOf(stats)) throw new Error("it was replaced while it was read");
    const until = Math.min(end, Number(stats.size));
    for (let at = start; at < until; ) {
      signal.throwIfAborted();
      const chunk = Buffer.allocUnsafe(Math.min(until - at, READ_CHUNK_BYTES));
      const length = await file.read(chunk, at);
      if (length === 0) return; // cut meanwhile: who reads it knows how long it must be
      yield chunk.subarray(0, length);
      at += length;
    }
  } catch (error) {
    throw unreachable(`Cannot read "${key}" of "${address}"`, error, signal);
  }
}

/** Gives the new object's version; undefined where a condition does not hold. */
async function writeObject(
  target: string,
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: PutOptions & { readonly root: string; readonly random: Random; readonly durable: boolean },
): Promise<string | undefined> {
  const { signal, ifAbsent, ifVersion, modifiedMs, root, random, durable } = options;
  const directory = dirname(target);
  await makeDirectory(directory, root);
  const temporary = `${target}.${random.uuid()}${TEMPORARY}`;
  try {
    {
      await using file = await open(temporary, "wx", 0o600);
      for await (const chunk of body) {
        signal.throwIfAborted();
        await file.write(chunk);
      }
      if (modifiedMs !== undefined) await utimes(temporary, modifiedMs / 1000, modifiedMs / 1000);
      if (durable) await file.sync();
    }
    const version = versionOf(await stat(temporary, { bigint: true })); // another name changes nothing of it
    signal.throwIfAborted();
    if (ifAbsent === true) {
      try {
        await link(temporary, target); // unlike rename, it refuses to replace
      } catch (error) {
        if (systemCode(error) === "EEXIST") return undefined;
        throw error;
      }
    } else if (ifVersion !== undefined) {
      if (!(await replaceVersion({ temporary, target, version: ifVersion }))) return undefined;
    } else {
      await rename(temporary, target);
    }
    if (durable) await syncDirectory(directory);
    return version;
  } finally {
    await removeFile(temporary); // renamed away by now if all went well
  }
}

/**
 * Puts `temporary` in the place of `target` while that is of `version`; false where it is not. A name that only one
 * writer can make keeps others out between the look and the rename. A writer that was killed there leaves the name
 * behind: after `CLAIM_MS` it counts for nothing, so a writer that was halted for longer may replace what it should not.
 */
async function replaceVersion({
  temporary,
  target,
  version,
}: {
  readonly temporary: string;
  readonly target: string;
  readonly version: string;
}): Promise<boolean> {
  const claim = `${target}.${version}${TEMPORARY}`; // only writers who mean the same version are in each other's way
  const own = await stat(temporary, { bigint: true });
  const claimed = await statIfThere(claim);
  // Both by the file system's clock.
  if (claimed !== undefined && own.ctimeMs - claimed.ctimeMs > CLAIM_MS) await removeFile(claim);
  try {
    await link(temporary, claim);
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
  try {
    const found = await statIfThere(target);
    if (found === undefined || versionOf(found) !== version) return false;
    await rename(temporary, target);
    return true;
  } finally {
    await removeFile(claim);
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
