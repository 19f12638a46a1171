// Small files that appear whole and durable, or not at all.

import { type FileHandle, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { systemCode } from "./errors.ts";

/** Writes `text` to `path`: after a crash the file has the old content or the new one, never a part. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`;
  {
    await using file = await open(temporary, "w", 0o600);
    await file.writeFile(text);
    await file.sync();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** Removes a file so that a crash can't bring it back; absent is fine. */
export async function removeDurably(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncDirectory(dirname(path));
}

/** Makes a directory that only its owner can enter, durable in its parent; present is fine. */
export async function makePrivateDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) === "EEXIST") return;
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** The file's text, or undefined where there is none. */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Makes renames, links and removals in `path` durable. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory: FileHandle = await open(path);
  await directory.sync();
}
