// Small files that appear whole and durable, or not at all.

import { dirname } from "node:path";
import { systemCode } from "./errors.ts";
import { mkdir, open, readFileSync, removeFile, rename } from "./files.ts";

/** Writes `text` to `path`: after a crash the file has the old content or the new one, never a part. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`;
  {
    await using file = await open(temporary, "w", 0o600);
    await file.write(text);
    await file.sync();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** Removes a file so that a crash can't bring it back; absent is fine. */
export async function removeDurably(path: string): Promise<void> {
  await removeFile(path);
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

/**
 * The text of a small file, or undefined where there is none. At once: a start reads several, and waiting for a thread
 * takes longer than reading.
 */
export function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Makes renames, links and removals in `path` durable. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path);
  await directory.sync();
}
