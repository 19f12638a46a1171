// One write-ahead log, put together from its segments: verified frame by frame, and its pages handed on.
// Segments are fetched and decompressed elsewhere.
// Source: https://sqlite.org/fileformat2.html#the_write_ahead_log, section 4; Litestream 0.3, replica layout

import { assert } from "../../base/assert.ts";
import { FlysqliteError } from "../../base/errors.ts";
import { type PageNumber, type PageSize, parsePageNumber } from "../../sqlite/page.ts";
import {
  addChecksum,
  decodeFrameHeader,
  decodeWalHeader,
  FRAME_HEADER_SIZE,
  sameSalts,
  WAL_HEADER_SIZE,
  type WalChecksum,
  type WalHeader,
} from "../../sqlite/wal/format.ts";
import { addOffset, formatPlace, type V03Segment, WAL_START, type WalIndex, type WalOffset } from "./names.ts";

/** Takes a page of the log, in the log's order. Its data is valid only during the call. */
export type OnPage = (page: PageNumber, data: Uint8Array) => void;

/** Told at the end of a transaction: the database's size after it, in pages, and where it ends in the log. */
export type OnCommit = (commitSize: number, end: WalOffset) => void;

/**
 * Reads the segments of one log, in order.
 *
 * Each frame must have the log's salts and continue its checksum, which runs over all segments. So no frame can be
 * missing, damaged or in another place, up to the last one that was read; SQLite itself takes a log's first damaged
 * frame for its end, without a word. Pages come before their transaction is complete, and also those above the
 * database's end: the caller cuts the file to `commitSize` when the log is done, as SQLite's checkpoint does. Where
 * `isWithinTransaction` in the end, it begins anew with `until`.
 *
 * Fails with E_REPLICA_GAP where a segment doesn't begin where the one before ended, else with E_REPLICA_CORRUPT.
 */
export class WalSegments {
  readonly index: WalIndex;
  readonly #expectedPageSize: PageSize | undefined;
  #until: WalOffset | undefined;
  #onPage: OnPage;
  #onTail: OnPage;
  #onCommit: OnCommit = () => {};
  #header: WalHeader | undefined;
  #checksum: WalChecksum = [0, 0];
  /** Where the next complete frame begins, or the header. */
  #offset: WalOffset = WAL_START;
  /** Of the segment that is being read. */
  #key = "";
  /** The start of a header or frame whose end has not come yet. */
  #partial = new Uint8Array(WAL_HEADER_SIZE);
  #partialSize = 0;
  #commitSize = 0;
  #end: WalOffset = WAL_START;

  /**
   * `pageSize` is the database's, where it is known. What lies from `until` on, the end of a transaction, is verified
   * too, and is no part of the state: `onTail` takes it instead of `onPage`.
   */
  constructor({
    index,
    pageSize,
    onPage,
    until,
    onTail = () => {},
  }: {
    readonly index: WalIndex;
    readonly pageSize: PageSize | undefined;
    readonly onPage: OnPage;
    readonly until?: WalOffset | undefined;
    readonly onTail?: OnPage;
  }) {
    this.index = index;
    this.#expectedPageSize = pageSize;
    this.#onPage = onPage;
    this.#until = until;
    this.#onTail = onTail;
  }

  /** The log's header; undefined before the first segment. */
  get header(): WalHeader | undefined {
    return this.#header;
  }

  /** Where the last transaction ends that was handed on; without any, where the log's header does. */
  get end(): WalOffset {
    return this.#end;
  }

  /** True where pages of a transaction were handed on whose end has not come. */
  get isWithinTransaction(): boolean {
    return this.#end < Math.min(this.#offset, this.#until ?? this.#offset);
  }

  /** Size of the database after the last transaction, in pages; 0 before the first. */
  get commitSize(): number {
    return this.#commitSize;
  }

  /** Hands all pages to come to another receiver. */
  redirect(onPage: OnPage, onCommit: OnCommit = () => {}): void {
    this.#until = undefined;
    this.#onPage = onPage;
    this.#onCommit = onCommit;
  }

  /** Reads a segment, uncompressed; it must end with a frame. A failure of `pieces` passes through. */
  async read(segment: V03Segment, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    assert(segment.index === this.index, "all segments are of one log");
    if (segment.offset > this.#offset) throw this.#gap(segment);
    this.#key = segment.key;
    if (segment.offset < this.#offset) {
      throw this.#corrupt(`it begins within the segment before, which ends at ${this.#place()}`);
    }
    for await (const piece of pieces) this.#write(piece);
    if (this.#partialSize > 0) throw this.#corrupt(`it ends within a frame, at ${this.#place()}`);
    if (this.#offset === segment.offset) throw this.#corrupt("it holds nothing");
  }

  #write(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.byteLength) {
      const size = this.#header === undefined ? WAL_HEADER_SIZE : this.#frameSize();
      const left = bytes.byteLength - at;
      if (this.#partialSize === 0 && left >= size) {
        this.#take(bytes.subarray(at, at + size));
        at += size;
        continue;
      }
      const taken = Math.min(size - this.#partialSize, left);
      this.#partial.set(bytes.subarray(at, at + taken), this.#partialSize);
      this.#partialSize += taken;
      at += taken;
      if (this.#partialSize < size) return;
      this.#partialSize = 0;
      this.#take(this.#partial.subarray(0, size));
    }
  }

  #take(bytes: Uint8Array): void {
    const end = addOffset(this.#offset, bytes.byteLength);
    if (this.#header === undefined) this.#takeHeader(bytes, end);
    else this.#takeFrame(bytes, this.#header, end);
    this.#offset = end;
  }

  #takeHeader(bytes: Uint8Array, end: WalOffset): void {
    const header = decodeWalHeader(bytes);
    if (header === undefined) throw this.#corrupt("it does not begin with a sound header of a log");
    const expected = this.#expectedPageSize ?? header.pageSize;
    if (header.pageSize !== expected) {
      throw this.#corrupt(`its pages have ${header.pageSize} bytes, the database's ${expected}`);
    }
    this.#header = header;
    this.#checksum = header.checksum;
    this.#end = end;
    this.#partial = new Uint8Array(this.#frameSize());
  }

  #takeFrame(bytes: Uint8Array, { salts, bigEndian }: WalHeader, end: WalOffset): void {
    const found = decodeFrameHeader(new DataView(bytes.buffer, bytes.byteOffset, FRAME_HEADER_SIZE), 0);
    if (!sameSalts(found.salts, salts)) throw this.#unsound("is of another log");
    const data = bytes.subarray(FRAME_HEADER_SIZE);
    const checksum = addChecksum(addChecksum(this.#checksum, bytes.subarray(0, 8), bigEndian), data, bigEndian);
    if (checksum[0] !== found.checksum[0] || checksum[1] !== found.checksum[1]) {
      throw this.#unsound("has a wrong checksum");
    }
    const page = parsePageNumber(found.page);
    if (page === undefined) throw this.#unsound(`names page ${found.page}`);
    this.#checksum = checksum;
    if (this.#until !== undefined && this.#offset >= this.#until) {
      this.#onTail(page, data);
      return;
    }
    this.#onPage(page, data);
    if (found.commitSize === 0) return;
    this.#commitSize = found.commitSize;
    this.#end = end;
    this.#onCommit(found.commitSize, end);
  }

  #frameSize(): number {
    return FRAME_HEADER_SIZE + (this.#header?.pageSize ?? 0);
  }

  #place(): string {
    return formatPlace({ index: this.index, offset: this.#offset });
  }

  #unsound(problem: string): FlysqliteError {
    return this.#corrupt(`the frame at ${this.#place()} ${problem}`);
  }

  #gap(segment: V03Segment): FlysqliteError {
    const missing = `the log from ${this.#place()} to ${formatPlace(segment)} is missing`;
    return new FlysqliteError(
      "E_REPLICA_GAP",
      `Cannot restore: ${missing} before "${segment.key}"; the last good position is ${this.#place()}`,
      { hint: "Bring the missing file back, or restore to a time before it with --timestamp" },
    );
  }

  #corrupt(problem: string): FlysqliteError {
    return new FlysqliteError("E_REPLICA_CORRUPT", `Cannot read "${this.#key}": ${problem}`);
  }
}
