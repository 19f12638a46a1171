// LTX files, read: a stream of bytes in, pages out, and everything verified that the format lets one verify.
// Source: superfly/ltx, format version 3; Litestream 0.5

import { parsePageNumber } from "../../sqlite/page.ts";
import { ByteWindow } from "./byte-window.ts";
import { corrupt } from "./corrupt.ts";
import { Crc64 } from "./crc64.ts";
import { decodePage, maxPageFrameSize } from "./decode-page.ts";
import type { LtxPage } from "./encode.ts";
import { decodeHeader, LTX_HEADER_SIZE, type LtxHeader } from "./header.ts";
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

/** A file while it is read. */
type Reading = {
  readonly input: ByteWindow;
  readonly key: string;
  readonly checksum: Crc64;
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
  await using input = new ByteWindow(chunks);
  const reading: Reading = { input, key, checksum: new Crc64() };
  const header = await readHeader(reading);
  onHeader?.(header);
  const index = new PageIndex();
  const pageCount = await readPages(reading, { header, index, onPage });
  await readIndex(reading, index);
  const fileChecksum = await readTrailer(reading);
  return { header, pageCount, sizeBytes: input.offset, fileChecksum };
}

async function readHeader({ input, key, checksum }: Reading): Promise<LtxHeader> {
  await input.fill(LTX_HEADER_SIZE);
  const header = decodeHeader(input.bytes, key);
  // A file under another's name would give a restore a hole that no plan shows.
  const named = parseLtxName(key.slice(key.lastIndexOf("/") + 1));
  if (named !== undefined && (named.min !== header.min || named.max !== header.max)) {
    throw corrupt({ key, offset: 16 }, `its header is that of "${formatLtxName(header)}"`);
  }
  checksum.update(input.bytes.subarray(0, LTX_HEADER_SIZE));
  input.consume(LTX_HEADER_SIZE);
  return header;
}

/** Reads all pages and the mark that ends them, and gives their number. */
async function readPages(
  { input, key, checksum }: Reading,
  { header, index, onPage }: Pick<LtxHandlers, "onPage"> & { readonly header: LtxHeader; readonly index: PageIndex },
): Promise<number> {
  const order = new PageOrder(header);
  const data = new Uint8Array(header.pageSize);
  const most = maxPageFrameSize(header.pageSize);
  for (let count = 0; ; count++) {
    // With the largest possible page in the window, or all that is left, one step needs no further input.
    if (input.lacks(most)) await input.fill(most);
    const { bytes, offset } = input;
    const place = { key, offset };
    if (bytes.byteLength < PAGE_HEADER_SIZE) {
      throw corrupt({ key, offset: offset + bytes.byteLength }, "the file ends within its pages");
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, PAGE_HEADER_SIZE);
    const number = view.getUint32(0);
    const flags = view.getUint16(4);
    checksum.update(bytes.subarray(0, PAGE_HEADER_SIZE));
    if (number === 0) {
      if (flags !== 0) throw corrupt(place, "the mark that ends the pages has flags");
      const problem = order.end();
      if (problem !== undefined) throw corrupt(place, problem);
      input.consume(PAGE_HEADER_SIZE);
      return count;
    }
    if ((flags & ~PAGE_FLAG_BLOCK) !== 0) throw corrupt(place, describeFlags({ flags, count, bytes }));
    const page = parsePageNumber(number);
    if (page === undefined) throw corrupt(place, `no page can have number ${number}`);
    const problem = order.add(page);
    if (problem !== undefined) throw corrupt(place, problem);
    const size = decodePage({ bytes, isBlock: flags === PAGE_FLAG_BLOCK, data, place, checksum });
    index.add({ page, offset, size });
    onPage({ page, data });
    input.consume(size);
  }
}

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
