// A copy of a database's file, for a restore point that can't be had otherwise. Nobody may write to the database
// meanwhile, and its log must be empty.

import { constants } from "node:fs";
import { dirname } from "node:path";
import { Crc64 } from "../base/crc64.ts";
import { syncDirectory } from "../base/durable-file.ts";
import { FlysqliteError } from "../base/errors.ts";
import { copyFile, type OpenFile, open, removeFile, statfs, writeFile } from "../base/files.ts";
import { formatBytes } from "../base/format.ts";

export type DatabaseCopy = {
  readonly sizeBytes: number;
  /** True where the file system shares the blocks of both files: a copy without copying. */
  readonly shared: boolean;
};

const CHUNK_BYTES = 1024 * 1024;

/** Left free on the volume, in bytes: what else is written there at a start is less. */
const MARGIN_BYTES = 16 * 1024 * 1024;

/**
 * Copies to `to`, in place of what is there, durably. Reads the copy back and compares. Throws E_MIGRATE where there is
 * no room for it.
 *
 * The database's file is never closed: that would drop the process's locks on it.
 */
export async function copyDatabase(from: string, to: string): Promise<DatabaseCopy> {
  await removeFile(to);
  const source = await open(from);
  const sizeBytes = Number((await source.stat()).size);
  const shared = await sharesBlocks(to);
  // This one closes the database, and so gives up the locks on it; by then the copy is made.
  if (shared) await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
  else await copyVerified(source, to, sizeBytes);
  await using copy = await open(to, "r+");
  await copy.sync();
  await syncDirectory(dirname(to));
  return { sizeBytes, shared };
}

/** Whether the file system there can. Tried on files of our own, as a failed try on the database would close it. */
async function sharesBlocks(path: string): Promise<boolean> {
  const [one, other] = [`${path}.probe`, `${path}.probe-copy`];
  try {
    await writeFile(one, "a".repeat(4096), { mode: 0o600 });
    await copyFile(one, other, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    return false;
  } finally {
    for (const probe of [one, other]) await removeFile(probe);
  }
}

async function copyVerified(source: OpenFile, to: string, sizeBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(to));
  if (bavail * bsize < sizeBytes + MARGIN_BYTES) {
    throw new FlysqliteError(
      "E_MIGRATE",
      `Cannot make a restore point: it needs a copy of ${formatBytes(sizeBytes)}, and ${formatBytes(bavail * bsize)} are free`,
      { hint: "Make the volume larger, or do without one: --on-migration-failure=keep" },
    );
  }
  await using copy = await open(to, "wx", 0o600);
  const written = new Crc64();
  for await (const chunk of chunksOf(source)) {
    written.update(chunk);
    await copy.write(chunk);
  }
  await copy.sync();
  await using again = await open(to);
  const read = new Crc64();
  for await (const chunk of chunksOf(again)) read.update(chunk);
  if (read.digest() !== written.digest()) {
    throw new FlysqliteError("E_MIGRATE", `Cannot make a restore point: the copy "${to}" differs from the database`);
  }
}

async function* chunksOf(file: OpenFile): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (let position = 0; ; ) {
    const length = await file.read(buffer, position);
    if (length === 0) return;
    position += length;
    yield buffer.subarray(0, length);
  }
}
