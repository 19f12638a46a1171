// LTX files, read: a stream of bytes in, pages out, and everything verified that the format lets one verify.
// Source: superfly/ltx, format version 3; Litestream 0.5

import { assert } from "../../base/assert.ts";
import { Crc64 } from "../../base/crc64.ts";
import type { FlysqliteError } from "../../base/errors.ts";
import { parsePageNumber } from "../../sqlite/page.ts";
import { ByteWindow } from "./byte-window.ts";
import { corrupt } from "./corrupt.ts";
import { decodePage, maxPageFrameSize } from "./decode-page.ts";
import type { LtxPage } from "./encode.ts";
import { decodeHeader, LTX_HEADER_SIZE, type LtxHeader } from "./header.ts";
import { isWrittenForm } from "./lz4-frame.ts";
import { formatLtxName, parseLtxName } from "./names.ts";
import {
  CHECKSUM_FLAG,
  INDEX_SIZE_FIELD,
  LTX_TRAILER_SIZE,
  PAGE_FLAG_BLOCK,
  PAGE_HEADER_SIZE,
  PageIndex,
} from "./page-frame.ts";
import { PageOrder } from "./page-order.ts";

/** Bytes of the page index that are looked at together. */
const INDEX_STEP = 64 * 1024;

export type LtxHandlers = {
  readonly onHeader?: (header: LtxHeader) => void;
  /** Takes a page at once: its data is valid only during the call, and nothing waits for a promise. */
  readonly onPage: (page: LtxPage) => void;
};

export type LtxSummary = {
  readonly header: LtxHeader;
  readonly pageCount: number;
  readonly sizeBytes: number;
  readonly fileChecksum: bigint;
};

/**
 * Decodes the file with the given key, a chunk at a time.
 *
 * Pages are handed out before the file's checksum is known: what they lead to may be used only once the promise is
 * kept. Fails with E_REPLICA_CORRUPT; failures of `chunks` and of the handlers pass through.
 */
export async function decodeLtx(
  chunks: AsyncIterable<Uint8Array>,
  key: string,
  { onHeader, onPage }: LtxHandlers,
): Promise<LtxSummary> {
  await using reader = new LtxReader(chunks, key);
  const header = await reader.readHeader();
  onHeader?.(header);
  for (let pageCount = 0; ; pageCount += 1) {
    const next = reader.next();
    const page = next instanceof Promise ? await next : next; // one await a page would cost as much as decoding it
    if (page === undefined) return { header, pageCount, ...reader.end };
    onPage(page);
  }
}

/** A file whose pages are asked for, one by one. Fails as decodeLtx() does. Closing it closes its chunks. */
export class LtxReader implements AsyncDisposable {
  readonly #key: string;
  readonly #input: ByteWindow;
  readonly #checksum = new Crc64();
  readonly #index = new PageIndex();
  #order: PageOrder | undefined;
  #data = new Uint8Array(0);
  /** Bytes that the largest page of this file may take. */
  #mostBytes = 0;
  #pageCount = 0;
  #end: Pick<LtxSummary, "sizeBytes" | "fileChecksum"> | undefined;

  constructor(chunks: AsyncIterable<Uint8Array>, key: string) {
    this.#key = key;
    this.#input = new ByteWindow(chunks);
  }

  /** To be called once, before the first page. */
  async readHeader(): Promise<LtxHeader> {
    const input = this.#input;
    await input.fill(LTX_HEADER_SIZE);
    const header = decodeHeader(input.bytes, this.#key);
    // A file under another's name would give a restore a hole that no plan shows.
    const named = parseLtxName(this.#key.slice(this.#key.lastIndexOf("/") + 1));
    if (named !== undefined && (named.min !== header.min || named.max !== header.max)) {
      throw this.#corrupt(`its header is that of "${formatLtxName(header)}"`, 16);
    }
    this.#checksum.update(input.bytes.subarray(0, LTX_HEADER_SIZE));
    input.consume(LTX_HEADER_SIZE);
    this.#order = new PageOrder(header);
    this.#data = new Uint8Array(header.pageSize);
    this.#mostBytes = maxPageFrameSize(header.pageSize);
    return header;
  }

  /**
   * The next page, valid until the next call; undefined after the last one, when the whole file is verified. A promise
   * only where bytes must be waited for, or at the file's end.
   */
  next(): LtxPage | undefined | Promise<LtxPage | undefined> {
    if (this.#end !== undefined) return undefined;
    // With the largest possible page in the window, or all that is left, one step needs no further input.
    if (this.#input.lacks(this.#mostBytes)) return this.#input.fill(this.#mostBytes).then(() => this.#takeOrEnd());
    return this.#takeOrEnd();
  }

  /** What is known when the last page was read. */
  get end(): Pick<LtxSummary, "sizeBytes" | "fileChecksum"> {
    assert(this.#end !== undefined, "the file was read to its end");
    return this.#end;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input[Symbol.asyncDispose]();
  }

  #takeOrEnd(): LtxPage | Promise<undefined> {
    return this.#take() ?? this.#readEnd();
  }

  /** The page at the window's start; undefined where the mark stands that ends the pages. */
  #take(): LtxPage | undefined {
    const { bytes, offset } = this.#input;
    const order = this.#order;
    assert(order !== undefined, "the header was read");
    if (bytes.byteLength < PAGE_HEADER_SIZE) {
      throw this.#corrupt("the file ends within its pages", offset + bytes.byteLength);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, PAGE_HEADER_SIZE);
    const number = view.getUint32(0);
    const flags = view.getUint16(4);
    this.#checksum.update(bytes.subarray(0, PAGE_HEADER_SIZE));
    if (number === 0) {
      if (flags !== 0) throw this.#corrupt("the mark that ends the pages has flags", offset);
      this.#refuse(order.end());
      this.#input.consume(PAGE_HEADER_SIZE);
      return undefined;
    }
    if ((flags & ~PAGE_FLAG_BLOCK) !== 0) {
      throw this.#corrupt(describeFlags({ flags, count: this.#pageCount, bytes }), offset);
    }
    const page = parsePageNumber(number);
    if (page === undefined) throw this.#corrupt(`no page can have number ${number}`, offset);
    this.#refuse(order.add(page));
    const place = { key: this.#key, offset };
    const data = this.#data;
    const isBlock = flags === PAGE_FLAG_BLOCK;
    const size = decodePage({ bytes, isBlock, data, place, checksum: this.#checksum });
    this.#index.add({ page, offset, size });
    this.#input.consume(size);
    this.#pageCount += 1;
    const isAsWritten = !isBlock && isWrittenForm(bytes.subarray(PAGE_HEADER_SIZE, size), data.byteLength);
    return { page, data, encoded: isAsWritten ? bytes.subarray(0, size) : undefined };
  }

  async #readEnd(): Promise<undefined> {
    const reading = { input: this.#input, key: this.#key, checksum: this.#checksum };
    await readIndex(reading, this.#index);
    const fileChecksum = await readTrailer(reading);
    this.#end = { sizeBytes: this.#input.offset, fileChecksum };
  }

  #refuse(problem: string | undefined): void {
    if (problem !== undefined) throw this.#corrupt(problem, this.#input.offset);
  }

  #corrupt(problem: string, offset: number): FlysqliteError {
    return corrupt({ key: this.#key, offset }, problem);
  }
}

/** A file while what follows its pages is read. */
type Reading = {
  readonly input: ByteWindow;
  readonly key: string;
  readonly checksum: Crc64;
};

/** Compares the page index, and the size behind it, with the pages that were read. */
async function readIndex({ input, key, checksum }: Reading, index: PageIndex): Promise<void> {
  const entries = index.encoded();
  const size = new Uint8Array(INDEX_SIZE_FIELD);
  new DataView(size.buffer).setBigUint64(0, BigInt(entries.byteLength));
  for (const expected of [entries, size]) {
    for (let at = 0; at < expected.byteLength; at += INDEX_STEP) {
      const step = expected.subarray(at, at + INDEX_STEP);
      await input.fill(step.byteLength);
      const found = input.bytes.subarray(0, step.byteLength);
      const wrong = step.findIndex((byte, i) => byte !== found[i]);
      if (wrong !== -1) {
        const problem =
          wrong >= found.byteLength ? "the file ends within its page index" : "the page index doesn't fit its pages";
        throw corrupt({ key, offset: input.offset + wrong }, problem);
      }
      input.consume(step.byteLength);
    }
    checksum.update(expected);
  }
}

/** Reads the trailer, and gives the file's checksum. */
async function readTrailer({ input, key, checksum }: Reading): Promise<bigint> {
  await input.fill(LTX_TRAILER_SIZE + 1); // one more, to learn of bytes after it
  const { bytes, offset } = input;
  if (bytes.byteLength < LTX_TRAILER_SIZE) {
    throw corrupt({ key, offset: offset + bytes.byteLength }, "the file ends within its trailer");
  }
  const trailer = new DataView(bytes.buffer, bytes.byteOffset, LTX_TRAILER_SIZE);
  if (trailer.getBigUint64(0) !== 0n) throw corrupt({ key, offset }, "a checksum stands where its flags deny one");
  checksum.update(bytes.subarray(0, 8));
  const fileChecksum = trailer.getBigUint64(8);
  if (fileChecksum !== (checksum.digest() | CHECKSUM_FLAG)) {
    throw corrupt({ key, offset: offset + 8 }, "its checksum doesn't fit its content");
  }
  if (bytes.byteLength > LTX_TRAILER_SIZE) {
    throw corrupt({ key, offset: offset + LTX_TRAILER_SIZE }, "bytes follow its trailer");
  }
  input.consume(LTX_TRAILER_SIZE);
  return fileChecksum;
}

/** Flags that no page of version 3 has are, in a first page, those of an older version's shorter page header. */
function describeFlags({ flags, count, bytes }: { flags: number; count: number; bytes: Uint8Array }): string {
  const isFrame = flags === 0x0422 && bytes[6] === 0x4d && bytes[7] === 0x18; // magic of an LZ4 frame
  if (count === 0 && isFrame) return "it is of LTX version 2, and only version 3 can be read";
  if (count === 0) return `the first page has unknown flags ${flags}, as if it were of LTX version 1`;
  return `a page has unknown flags ${flags}`;
}
