// LTX files, written: values in, chunks of bytes out. Who stores them and under which name is not decided here.
// Source: superfly/ltx, format version 3

import { assert, fail } from "../../base/assert.ts";
import { Crc64 } from "../../base/crc64.ts";
import type { PageNumber } from "../../sqlite/page.ts";
import { release } from "../release.ts";
import { encodeHeader, LTX_HEADER_SIZE, type LtxHeader } from "./header.ts";
import { compressBlock, maxCompressedSize } from "./lz4.ts";
import { encodeFrame, maxWrittenFrameSize } from "./lz4-frame.ts";
import {
  CHECKSUM_FLAG,
  INDEX_SIZE_FIELD,
  LTX_TRAILER_SIZE,
  PAGE_FLAG_BLOCK,
  PAGE_HEADER_SIZE,
  PageIndex,
} from "./page-frame.ts";
import { PageOrder } from "./page-order.ts";

/** A page of the database, with its content. */
export type LtxPage = {
  readonly page: PageNumber;
  readonly data: Uint8Array;
  /** The page as it stands in another file, header and LZ4 frame, where that is of the form that is written here. */
  readonly encoded?: Uint8Array | undefined;
};

/**
 * How a page's content is stored: as a whole LZ4 frame, or as a bare LZ4 block behind its size.
 *
 * All releases of Litestream 0.5 read frames; only 0.5.16 and later read blocks.
 */
export type LtxFlavour = "frame" | "block";

/** A chunk is handed on when the next page might not fit: after 64 to 128 KiB for every page size. */
const CHUNK_SIZE = 128 * 1024 + 4096;

/** What a file begins with; most have few pages. */
const FIRST_CHUNK_SIZE = 8 * 1024;

export type EncodeOptions = {
  readonly flavour?: LtxFlavour;
  /** Gives each chunk's memory back when the next one is asked for, for a receiver that keeps none. Default: false. */
  readonly releases?: boolean;
};

/**
 * Encodes a file, in chunks that belong to the receiver.
 *
 * Pages come in ascending order, without the lock page, and none above `header.commit`; all of them if the file
 * begins at transaction 1. A page's data is read before the next page is asked for.
 */
export function* encodeLtx(
  header: LtxHeader,
  pages: Iterable<LtxPage>,
  { releases = false, ...options }: EncodeOptions = {},
): Generator<Uint8Array, void, undefined> {
  const encoder = new LtxEncoder(header, options);
  for (const page of pages) {
    const chunk = encoder.add(page);
    if (chunk === undefined) continue;
    yield chunk;
    if (releases) release(chunk);
  }
  yield* encoder.end();
}

/** The same for pages that come one at a time. */
export class LtxEncoder {
  readonly #order: PageOrder;
  readonly #checksum = new Crc64();
  readonly #index = new PageIndex();
  readonly #encodePage: (place: PagePlace) => number;
  readonly #pageSize: number;
  readonly #maxPageSize: number;
  #chunk = new Uint8Array(FIRST_CHUNK_SIZE);
  #used = LTX_HEADER_SIZE;
  /** Of the chunk in the file. */
  #offset = 0;

  constructor(header: LtxHeader, { flavour = "frame" }: { readonly flavour?: LtxFlavour | undefined } = {}) {
    const { pageSize } = header;
    this.#order = new PageOrder(header);
    this.#encodePage = flavour === "frame" ? encodeFramePage : encodeBlockPage;
    this.#pageSize = pageSize;
    this.#maxPageSize = PAGE_HEADER_SIZE + Math.max(maxWrittenFrameSize(pageSize), 4 + maxCompressedSize(pageSize));
    const bytes = encodeHeader(header);
    this.#checksum.update(bytes);
    this.#chunk.set(bytes);
  }

  /** Takes a page, and gives the chunk that is full before it. The page's data is read at once. */
  add({ page, data, encoded }: LtxPage): Uint8Array | undefined {
    const { byteLength } = data;
    assert(byteLength === this.#pageSize, `page ${page} has ${byteLength} bytes instead of ${this.#pageSize}`);
    assertSound(this.#order.add(page));
    const full = this.#makeRoom();
    const at = this.#used;
    const end = this.#encodePage({ page: { page, data, encoded }, chunk: this.#chunk, at, checksum: this.#checksum });
    this.#index.add({ page, offset: this.#offset + at, size: end - at });
    this.#used = end;
    return full;
  }

  /** Makes room for the largest page: gives the chunk where it is full, or lets it grow. */
  #makeRoom(): Uint8Array | undefined {
    const needed = this.#used + this.#maxPageSize;
    if (needed <= this.#chunk.byteLength) return undefined;
    if (needed <= CHUNK_SIZE) {
      const larger = new Uint8Array(Math.min(CHUNK_SIZE, Math.max(needed, this.#chunk.byteLength * 4)));
      larger.set(this.#chunk.subarray(0, this.#used));
      this.#chunk = larger;
      return undefined;
    }
    const full = this.#chunk.subarray(0, this.#used);
    this.#offset += this.#used;
    this.#used = 0;
    this.#chunk = new Uint8Array(CHUNK_SIZE);
    return full;
  }

  /** The rest of the file. Nothing can be added after it. */
  *end(): Generator<Uint8Array, void, undefined> {
    assertSound(this.#order.end());
    // The rest is small beside the pages, and copied so that a small file doesn't hold on to a large chunk.
    const pagesEnd = new Uint8Array(PAGE_HEADER_SIZE);
    const indexBytes = this.#index.encoded();
    const trailer = encodeTrailer({
      indexSize: indexBytes.byteLength,
      checksum: this.#checksum.update(pagesEnd).update(indexBytes),
    });
    yield* inChunks(concat([this.#chunk.subarray(0, this.#used), pagesEnd, indexBytes, trailer]));
  }
}

type PagePlace = {
  readonly page: LtxPage;
  readonly chunk: Uint8Array;
  readonly at: number;
  readonly checksum: Crc64;
};

/** Writes a page with its header, and gives the end. The checksum takes the data before its compression. */
function encodeFramePage({ page: { page, data, encoded }, chunk, at, checksum }: PagePlace): number {
  const content = at + PAGE_HEADER_SIZE;
  if (encoded !== undefined) {
    chunk.set(encoded, at);
    checksum.update(chunk.subarray(at, content)).update(data);
    return at + encoded.byteLength;
  }
  const view = new DataView(chunk.buffer, at, PAGE_HEADER_SIZE);
  view.setUint32(0, page);
  view.setUint16(4, 0);
  checksum.update(chunk.subarray(at, content)).update(data);
  return encodeFrame({ content: data, target: chunk, at: content });
}

/** As encodeFramePage; the checksum takes the block's size, too. */
function encodeBlockPage({ page: { page, data }, chunk, at, checksum }: PagePlace): number {
  const content = at + PAGE_HEADER_SIZE + 4;
  const end = compressBlock({ source: data, target: chunk, at: content });
  const view = new DataView(chunk.buffer, at, PAGE_HEADER_SIZE + 4);
  view.setUint32(0, page);
  view.setUint16(4, PAGE_FLAG_BLOCK);
  view.setUint32(PAGE_HEADER_SIZE, end - content);
  checksum.update(chunk.subarray(at, content)).update(data);
  return end;
}

/** The index's size and the trailer. `checksum` has taken all that comes before. */
function encodeTrailer({ indexSize, checksum }: { readonly indexSize: number; readonly checksum: Crc64 }): Uint8Array {
  const bytes = new Uint8Array(INDEX_SIZE_FIELD + LTX_TRAILER_SIZE);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(indexSize));
  checksum.update(bytes.subarray(0, INDEX_SIZE_FIELD + 8));
  view.setBigUint64(INDEX_SIZE_FIELD + 8, checksum.digest() | CHECKSUM_FLAG);
  return bytes;
}

function assertSound(problem: string | undefined): void {
  if (problem !== undefined) fail(problem);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

function* inChunks(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.byteLength; at += CHUNK_SIZE) yield bytes.subarray(at, at + CHUNK_SIZE);
}
