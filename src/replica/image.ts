// The database file while a restore builds it: written under another name, beside the place it will have.
//
// What is written is copied and goes to the disk in the background, so that the disk works while the next pages are
// decompressed. It arrives in the order in which it was written.

import { readSync, statfsSync, writeSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { assert } from "../base/assert.ts";
import { FlysqliteError } from "../base/errors.ts";
import { DATABASE_HEADER_SIZE, decodeDatabaseHeader } from "../sqlite/header.ts";
import type { PageNumber, PageSize } from "../sqlite/page.ts";

/** Left free on the volume after a restore, in bytes: the app needs room for its log. */
const SPACE_MARGIN_BYTES = 16 * 1024 * 1024;

/**
 * Pages are gathered up to this many bytes: one that changes often is written once, and all go to the disk in the
 * file's order, neighbours together. A block of Litestream 0.3 fits.
 */
const BATCH_BYTES = 1024 * 1024;

/** What a batch begins with, in bytes. */
const FIRST_BATCH_BYTES = 64 * 1024;

/** Batches on their way to the disk before ready() lets its caller wait. One more is being gathered. */
const BATCHES_ON_THEIR_WAY = 2;

/** What is smaller is written at once: handing it to another thread takes longer. In bytes. */
const SMALL_WRITE_BYTES = 128 * 1024;

/** The disk is told to make durable what it has after so many bytes, so that little is left to do in the end. */
const SYNC_EVERY_BYTES = 64 * 1024 * 1024;

/** Creates the file, which must not be there. */
export async function createImage(path: string): Promise<Image> {
  return new Image(await open(path, "wx+", 0o600), path);
}

/** Opens one that was built before, to build on. */
export async function openImage(path: string): Promise<Image> {
  const file = await open(path, "r+");
  return new Image(file, path, (await file.stat()).size);
}

/** Pieces of one size, to be written together. */
type Batch = {
  /** The pieces, in the order in which they came. Grows: most databases are small. */
  bytes: Uint8Array;
  readonly pieceBytes: number;
  /** Which piece belongs to which byte of the file. */
  readonly pieces: Map<number, number>;
};

/** An open database file. Its owner closes it; nothing is durable before sync(). */
export class Image implements AsyncDisposable {
  readonly path: string;
  readonly #file: FileHandle;
  /** What is being gathered. */
  #batch: Batch | undefined;
  /** Memory of batches that were written, for the next ones. */
  readonly #free: Uint8Array[] = [];
  /** Batches on their way, each settled when it is written; none is ever rejected. */
  readonly #onTheirWay: Promise<void>[] = [];
  #failure: { readonly error: unknown } | undefined;
  #unsyncedBytes = 0;
  #syncing: Promise<void> | undefined;
  #sizeBytes = 0;
  /** The file can grow to this size without another look at the disk. */
  #roomBytes = 0;

  constructor(file: FileHandle, path: string, sizeBytes = 0) {
    this.#file = file;
    this.path = path;
    this.#sizeBytes = sizeBytes;
  }

  /** Size of the file with all that waits, in bytes. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Writes `bytes` from byte `at` of the file. Later writes win. */
  write(bytes: Uint8Array, at: number): void {
    this.#send();
    for (let done = 0; done < bytes.byteLength; done += BATCH_BYTES) {
      this.#add(bytes.subarray(done, done + BATCH_BYTES), at + done);
      this.#send();
    }
  }

  /** Writes a page; all have the same size. Later writes win. */
  writePage(page: PageNumber, data: Uint8Array): void {
    this.#add(data, (page - 1) * data.byteLength);
  }

  /**
   * Hands the chunks on that make up pages, each when there is memory for them. Without this all is written too, but
   * what waits has no bound. Throws what went wrong with earlier writes.
   */
  async *pace(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of chunks) {
      while (this.#onTheirWay.length > BATCHES_ON_THEIR_WAY) await this.#onTheirWay[0];
      this.#throwFailure();
      yield chunk;
    }
  }

  /** Waits until all has been written. */
  async drain(): Promise<void> {
    this.#send();
    await this.#onTheirWay.at(-1);
    this.#throwFailure();
  }

  /** Reads a page into `target`; false where the file ends before it. After drain(). */
  readPage(page: PageNumber, target: Uint8Array): boolean {
    assert(this.#batch === undefined && this.#onTheirWay.length === 0, "all has been written");
    const at = (page - 1) * target.byteLength;
    return readSync(this.#file.fd, target, 0, target.byteLength, at) === target.byteLength;
  }

  /** Cuts the file to that size, or lengthens it with zeros. */
  async resize(sizeBytes: number): Promise<void> {
    await this.drain();
    await this.#file.truncate(sizeBytes);
    this.#sizeBytes = sizeBytes;
  }

  /** Makes everything durable, except for the file's name. */
  async sync(): Promise<void> {
    await this.drain();
    await this.#syncing;
    await this.#file.sync();
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

  /** Throws E_REPLICA_CORRUPT unless the file begins with the header of such a database. After drain(). */
  checkHeader({ pageSize, pageCount }: { readonly pageSize: PageSize; readonly pageCount: number }): void {
    assert(this.#batch === undefined && this.#onTheirWay.length === 0, "all has been written");
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
    await this.#onTheirWay.at(-1);
    await this.#syncing;
    await this.#file.close();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Lets the file reach to `end`, in bytes. */
  #grow(end: number): void {
    if (end > this.#roomBytes) {
      this.requireSpace(end);
      this.#roomBytes = end + SPACE_MARGIN_BYTES / 4;
    }
    this.#sizeBytes = Math.max(this.#sizeBytes, end);
  }

  #add(piece: Uint8Array, at: number): void {
    const size = piece.byteLength;
    this.#grow(at + size);
    let batch = this.#batch;
    let index = batch?.pieces.get(at);
    if (index === undefined) {
      if (batch !== undefined && (batch.pieceBytes !== size || (batch.pieces.size + 1) * size > BATCH_BYTES)) {
        this.#send();
        batch = undefined;
      }
      batch ??= { bytes: this.#free.pop() ?? new Uint8Array(FIRST_BATCH_BYTES), pieceBytes: size, pieces: new Map() };
      this.#batch = batch;
      index = batch.pieces.size;
      batch.pieces.set(at, index);
      const needed = (index + 1) * size;
      if (needed > batch.bytes.byteLength) batch.bytes = enlarge(batch.bytes, needed);
    }
    batch?.bytes.set(piece, index * size);
  }

  /** Lets the batch go to the disk, behind those before it. */
  #send(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    const before = this.#onTheirWay.at(-1);
    const written = (async () => {
      await before;
      try {
        if (this.#failure === undefined) await this.#writeBatch(batch);
      } catch (error) {
        this.#failure ??= { error };
      }
      this.#onTheirWay.shift();
      this.#free.push(batch.bytes);
    })();
    this.#onTheirWay.push(written);
  }

  async #writeBatch({ bytes, pieceBytes, pieces }: Batch): Promise<void> {
    const sorted = [...pieces].sort(([a], [b]) => a - b);
    for (let first = 0; first < sorted.length; ) {
      const [at, index] = sorted[first] ?? [0, 0];
      let count = 1;
      // Neighbours in the file that are neighbours in memory, as the pages of a full copy are.
      for (; first + count < sorted.length; count += 1) {
        const [nextAt, nextIndex] = sorted[first + count] ?? [0, 0];
        if (nextAt !== at + count * pieceBytes || nextIndex !== index + count) break;
      }
      await this.#writeRun(bytes.subarray(index * pieceBytes, (index + count) * pieceBytes), at);
      first += count;
    }
    this.#unsyncedBytes += sorted.length * pieceBytes;
    if (this.#unsyncedBytes >= SYNC_EVERY_BYTES) this.#syncMeanwhile();
  }

  async #writeRun(bytes: Uint8Array, at: number): Promise<void> {
    // A disk that is nearly full takes a part; the next call tells why.
    for (let done = 0; done < bytes.byteLength; ) {
      const left = bytes.byteLength - done;
      done +=
        left < SMALL_WRITE_BYTES
          ? writeSync(this.#file.fd, bytes, done, left, at + done)
          : (await this.#file.write(bytes, done, left, at + done)).bytesWritten;
    }
  }

  #syncMeanwhile(): void {
    if (this.#syncing !== undefined) return;
    this.#unsyncedBytes = 0;
    this.#syncing = this.#file.datasync().then(
      () => {
        this.#syncing = undefined;
      },
      (error: unknown) => {
        this.#failure ??= { error };
      },
    );
  }
}

function enlarge(bytes: Uint8Array, needed: number): Uint8Array {
  const larger = new Uint8Array(Math.min(BATCH_BYTES, Math.max(needed, bytes.byteLength * 4)));
  larger.set(bytes);
  return larger;
}

function corrupt(problem: string): FlysqliteError {
  return new FlysqliteError("E_REPLICA_CORRUPT", `Cannot use the restored database: ${problem}`);
}
