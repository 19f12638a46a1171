// The database file while a restore builds it: written under another name, beside the place it will have.

import { fsyncSync, ftruncateSync, readSync, statfsSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { FlysqliteError } from "../base/errors.ts";
import { DATABASE_HEADER_SIZE, decodeDatabaseHeader } from "../sqlite/header.ts";
import type { PageNumber, PageSize } from "../sqlite/page.ts";

/** Left free on the volume after a restore, in bytes: the app needs room for its log. */
const SPACE_MARGIN_BYTES = 16 * 1024 * 1024;

/**
 * Pages wait in memory up to this many bytes: a page that changes often is written once, and all go to the disk in the
 * file's order, neighbours together.
 */
const WAITING_BYTES = 32 * 1024 * 1024;

/** Neighbours are written together up to this many bytes: more spares no more calls worth speaking of. */
const WRITE_BYTES = 1024 * 1024;

/** Creates the file, which must not be there. */
export async function createImage(path: string): Promise<Image> {
  return new Image(await open(path, "wx+", 0o600), path);
}

/** An open database file. Its owner closes it; nothing is durable before sync(). */
export class Image implements AsyncDisposable {
  readonly path: string;
  readonly #file: Awaited<ReturnType<typeof open>>;
  /** Pages that wait to be written, and which slot of the buffer each has. */
  readonly #waiting = new Map<PageNumber, number>();
  #slots = new Uint8Array(0);
  readonly #run = new Uint8Array(WRITE_BYTES);
  #pageBytes = 0;
  #sizeBytes = 0;
  /** The file can grow to this size without another look at the disk. */
  #roomBytes = 0;

  constructor(file: Awaited<ReturnType<typeof open>>, path: string) {
    this.#file = file;
    this.path = path;
  }

  /** Size of the file with all that waits, in bytes. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Writes `bytes` from byte `at` of the file. Later writes win. */
  write(bytes: Uint8Array, at: number): void {
    this.#flush();
    this.#grow(at + bytes.byteLength);
    this.#writeWhole(bytes, at);
  }

  /** Writes a page; all have the same size. Later writes win. */
  writePage(page: PageNumber, data: Uint8Array): void {
    const size = data.byteLength;
    this.#grow(page * size);
    let slot = this.#waiting.get(page);
    if (slot === undefined) {
      if ((this.#waiting.size + 1) * size > WAITING_BYTES) this.#flush();
      slot = this.#waiting.size;
      this.#waiting.set(page, slot);
    }
    if ((slot + 1) * size > this.#slots.byteLength) {
      const larger = new Uint8Array(Math.min(WAITING_BYTES, Math.max(WRITE_BYTES, this.#slots.byteLength * 2)));
      larger.set(this.#slots);
      this.#slots = larger;
    }
    this.#slots.set(data, slot * size);
    this.#pageBytes = size;
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

  /** Lets the file reach to `end`, in bytes. */
  #grow(end: number): void {
    if (end > this.#roomBytes) {
      this.requireSpace(end);
      this.#roomBytes = end + SPACE_MARGIN_BYTES / 4;
    }
    this.#sizeBytes = Math.max(this.#sizeBytes, end);
  }

  #flush(): void {
    if (this.#waiting.size === 0) return;
    const size = this.#pageBytes;
    let [start, length] = [0, 0];
    for (const [page, slot] of [...this.#waiting].sort(([a], [b]) => a - b)) {
      const at = (page - 1) * size;
      if (at !== start + length || length + size > WRITE_BYTES) {
        this.#writeWhole(this.#run.subarray(0, length), start);
        [start, length] = [at, 0];
      }
      this.#run.set(this.#slots.subarray(slot * size, (slot + 1) * size), length);
      length += size;
    }
    this.#writeWhole(this.#run.subarray(0, length), start);
    this.#waiting.clear();
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
