// What encoder and decoder of LTX pages share: the page frame's layout and the page index.
// Source: superfly/ltx, format version 3

import type { PageNumber } from "../../sqlite/page.ts";

/** Size of the header before each page, in bytes: page number (4) and flags (2). All zero ends the pages. */
export const PAGE_HEADER_SIZE = 6;

/** Flag of the page header: the content is a block, and its size in 4 bytes stands before it. */
export const PAGE_FLAG_BLOCK = 1;

/** Size of the number behind the page index that gives the index's size, in bytes. */
export const INDEX_SIZE_FIELD = 8;

/** Size of the trailer, in bytes: checksum of the database (8, always 0) and of the file (8). */
export const LTX_TRAILER_SIZE = 16;

/** Set in every checksum of the format, so that none is zero. */
export const CHECKSUM_FLAG = 1n << 63n;

/** An entry: three numbers of at most 32, 53 and 32 bits, at 7 bits a byte. */
const MAX_ENTRY_SIZE = 5 + 8 + 5;

/**
 * The page index, encoded: for each page its number, and the offset and size of its frame in the file.
 *
 * A decoder rebuilds it to compare: the frames say all that the index may say. It grows by 5 to
 * 11 bytes a page, to some 28 MB for a database of 10 GB with pages of 4096 bytes.
 */
export class PageIndex {
  #bytes = new Uint8Array(1024);
  #length = 0;

  add(entry: { readonly page: PageNumber; readonly offset: number; readonly size: number }): void {
    if (this.#length + MAX_ENTRY_SIZE > this.#bytes.length) this.#grow();
    this.#addVarint(entry.page);
    this.#addVarint(entry.offset);
    this.#addVarint(entry.size);
  }

  /** All entries and the zero that ends them; valid until the next call. */
  encoded(): Uint8Array {
    if (this.#length === this.#bytes.length) this.#grow();
    this.#bytes[this.#length] = 0;
    return this.#bytes.subarray(0, this.#length + 1);
  }

  #grow(): void {
    const larger = new Uint8Array(this.#bytes.length * 2);
    larger.set(this.#bytes);
    this.#bytes = larger;
  }

  /** Unsigned LEB128. Division, as an offset may have more than the 32 bits that `>>>` keeps. */
  #addVarint(value: number): void {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#bytes[this.#length++] = 0x80 | (rest % 0x80);
    this.#bytes[this.#length++] = rest;
  }
}
