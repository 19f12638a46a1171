// The database file while a restore builds it: written under another name, beside the place it will have.

import { fsyncSync, ftruncateSync, readSync, statfsSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { FlysqliteError } from "../base/errors.ts";
import { DATABASE_HEADER_SIZE, decodeDatabaseHeader } from "../sqlite/header.ts";
import type { PageNumber, PageSize } from "../sqlite/page.ts";

/** Left free on the volume after a restore, in bytes: the app needs room for its log. */
const SPACE_MARGIN_BYTES = 16 * 1024 * 1024;

/** Neighbouring pages are written together up to this many bytes: large enough to spare calls. */
const WRITE_BYTES = 1024 * 1024;

/** Creates the file, which must not be there. */
export async function createImage(path: string): Promise<Image> {
  return new Image(await open(path, "wx+", 0o600), path);
}

/** An open database file. Its owner closes it; nothing is durable before sync(). */
export class Image implements AsyncDisposable {
  readonly path: string;
  readonly #file: Awaited<ReturnType<typeof open>>;
  /** Pages that wait to be written, and where they belong. */
  readonly #waiting = new Uint8Array(WRITE_BYTES);
  #waitingSize = 0;
  #waitingAt = 0;
  #sizeBytes = 0;
  /** The file can grow to this size without another look at the disk. */
  #roomBytes = 0;

  constructor(file: Awaited<ReturnType<typeof open>>, path: string) {
    this.#file = file;
    this.path = path;
  }

  /** End of what was written, in bytes. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Writes `bytes` from byte `at` of the file. Later writes win. */
  write(bytes: Uint8Array, at: number): void {
    if (at !== this.#waitingAt + this.#waitingSize || this.#waitingSize + bytes.byteLength > WRITE_BYTES) {
      this.#flush();
      this.#waitingAt = at;
    }
    const end = at + bytes.byteLength;
    if (end > this.#roomBytes) {
      this.requireSpace(end);
      this.#roomBytes = end + SPACE_MARGIN_BYTES / 4;
    }
    this.#sizeBytes = Math.max(this.#sizeBytes, end);
    if (bytes.byteLength >= WRITE_BYTES) {
      this.#writeWhole(bytes, at);
      return;
    }
    this.#waiting.set(bytes, this.#waitingSize);
    this.#waitingSize += bytes.byteLength;
  }

  writePage(page: PageNumber, data: Uint8Array): void {
    this.write(data, (page - 1) * data.byteLength);
  }

  /** Reads a page into `target`; false where the file ends before it. */
  readPage(page: PageNumber, target: Uint8Array): boolean {
    this.#flush();
    const at = (page - 1) * target.byteLength;
    return readSync(this.#file.fd, target, 0, target.byteLength, at) === target.byteLength;
  }

  /** Cuts the file to that size, or lengthens it with zeros. */
  resize(sizeBytes: number): void {
    this.#flush();
    ftruncateSync(this.#file.fd, sizeBytes);
    this.#sizeBytes = sizeBytes;
  }

  /** Makes everything durable, except for the file's name. */
  sync(): void {
    this.#flush();
    fsyncSync(this.#file.fd);
  }

  /** Throws E_RESTORE_SPACE unless the file can grow to that size, and leave some room. */
  requireSpace(sizeBytes: number): void {
    const neededBytes = Math.max(0, sizeBytes - this.#sizeBytes);
    const directory = dirname(this.path);
    const { bavail, bsize } = statfsSync(directory);
    const freeBytes = bavail * bsize;
    if (freeBytes >= neededBytes + SPACE_MARGIN_BYTES) return;
    throw new FlysqliteError(
      "E_RESTORE_SPACE",
      `Cannot restore to "${directory}": ${neededBytes} more bytes are needed and ${SPACE_MARGIN_BYTES} to run on, ${freeBytes} are free`,
    );
  }

  /** Throws E_REPLICA_CORRUPT unless the file begins with the header of such a database. */
  checkHeader({ pageSize, pageCount }: { readonly pageSize: PageSize; readonly pageCount: number }): void {
    this.#flush();
    const bytes = new Uint8Array(DATABASE_HEADER_SIZE);
    const length = readSync(this.#file.fd, bytes, 0, bytes.byteLength, 0);
    const header = decodeDatabaseHeader(bytes.subarray(0, length));
    if (typeof header === "string") throw corrupt(header);
    if (header.pageSize !== pageSize) throw corrupt(`its header says pages of ${header.pageSize} bytes`);
    if (header.pageCountIsCurrent && header.pageCount !== pageCount) {
      throw corrupt(`its header says ${header.pageCount} pages, the replica ${pageCount}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  #flush(): void {
    if (this.#waitingSize === 0) return;
    const size = this.#waitingSize;
    this.#waitingSize = 0;
    this.#writeWhole(this.#waiting.subarray(0, size), this.#waitingAt);
  }

  #writeWhole(bytes: Uint8Array, at: number): void {
    // A disk that is nearly full takes a part; the next call tells why.
    for (let done = 0; done < bytes.byteLength; ) {
      done += writeSync(this.#file.fd, bytes, done, bytes.byteLength - done, at + done);
    }
  }
}

function corrupt(problem: string): FlysqliteError {
  return new FlysqliteError("E_REPLICA_CORRUPT", `Cannot use the restored database: ${problem}`);
}
