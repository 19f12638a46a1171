// A native addon, out of the executable and into the process. dlopen takes a path, so the addon exists as a
// file for the moment of loading: in a directory of its own that nobody else can enter, and gone right after.
// Source: https://nodejs.org/docs/latest-v24.x/api/single-executable-applications.html#using-native-addons

import {
  closeSync,
  constants,
  fstatSync,
  mkdtempSync,
  openSync,
  readSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { describe } from "../base/errors.ts";

/** What an addon exports; only the code that it belongs to looks inside. */
export type Addon = object;

export type AddonFailure = {
  readonly directory: string;
  /** Why it could not be loaded from there, such as "EROFS: read-only file system, mkdtemp '/tmp/flysqlite-XXXXXX'". */
  readonly reason: string;
};

export type LoadedAddon = {
  /** Undefined where no directory would do. */
  readonly addon: Addon | undefined;
  /** The directories that were tried in vain, in order. */
  readonly failures: readonly AddonFailure[];
};

/**
 * The directories to try for the addon. The database's own comes last: it is on a volume, which some hosts mount
 * executable where the rest is read-only, but a file that a crash leaves there outlives the machine.
 */
export function addonDirectories(places: {
  /** The environment's TMPDIR. */
  readonly tmpdir: string | undefined;
  readonly databaseDirectory: string;
}): readonly string[] {
  const { tmpdir, databaseDirectory } = places;
  return [...new Set([...temporaryDirectories(tmpdir), resolve(databaseDirectory)])];
}

/** The directories to try for what is needed for a moment; `tmpdir` is the environment's TMPDIR. */
export function temporaryDirectories(tmpdir: string | undefined): readonly string[] {
  // A relative one would lead into the app's own tree.
  const first = tmpdir !== undefined && isAbsolute(tmpdir) ? [resolve(tmpdir)] : [];
  return [...new Set([...first, "/tmp", "/run"])];
}

/** Loads the addon by way of the first of `directories` that can be written to and that executes what it holds. */
export function loadAddon(bytes: Uint8Array, directories: readonly string[]): LoadedAddon {
  const failures: AddonFailure[] = [];
  for (const directory of directories) {
    try {
      return { addon: loadAddonBy(bytes, directory), failures };
    } catch (error) {
      failures.push({ directory, reason: describe(error) });
    }
  }
  return { addon: undefined, failures };
}

/** Loads an addon that stands in the file system. */
export function loadAddonFile(path: string): Addon {
  const module: { exports: Addon } = { exports: {} };
  process.dlopen(module, path);
  return module.exports;
}

function loadAddonBy(bytes: Uint8Array, directory: string): Addon {
  const privateDirectory = mkdtempSync(join(directory, "flysqlite-")); // mode 0700
  try {
    const path = join(privateDirectory, "addon.node");
    try {
      writeVerified(path, bytes);
      return loadAddonFile(path);
    } finally {
      removeQuietly(() => unlinkSync(path)); // the mapping lives on without a name
    }
  } finally {
    removeQuietly(() => rmdirSync(privateDirectory));
  }
}

/**
 * Writes `bytes` to a file that did not exist, and compares what the file then holds through the same descriptor:
 * every byte, which is stricter than a digest of both, and quicker.
 */
function writeVerified(path: string, bytes: Uint8Array): void {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const file = openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o500);
  try {
    writeFileSync(file, bytes);
    if (!holds(file, bytes)) throw new Error(`"${path}" does not hold what was written to it`);
  } finally {
    closeSync(file);
  }
}

function holds(file: number, bytes: Uint8Array): boolean {
  if (fstatSync(file).size !== bytes.length) return false;
  const found = Buffer.allocUnsafe(COMPARED_AT_ONCE);
  for (let offset = 0; offset < bytes.length; ) {
    const length = readSync(file, found, 0, found.length, offset);
    if (length === 0 || !found.subarray(0, length).equals(bytes.subarray(offset, offset + length))) return false;
    offset += length;
  }
  return true;
}

/** Stays in the processor's cache, where a buffer of the whole addon would take 2 MB of fresh memory. */
const COMPARED_AT_ONCE = 64 * 1024;

/** What can't be removed is litter, and no reason to do without the addon or to hide why loading failed. */
function removeQuietly(remove: () => void): void {
  try {
    remove();
  } catch {
    // Not there, or no longer ours to remove.
  }
}
