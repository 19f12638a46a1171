// One page of an LTX file, decompressed. The order of the pages is decode.ts's concern.
// Source: superfly/ltx, format version 3

import type { Crc64 } from "../../base/crc64.ts";
import type { PageSize } from "../../sqlite/page.ts";
import { corrupt } from "./corrupt.ts";
import { decompressBlock, Lz4Error, maxCompressedSize } from "./lz4.ts";
import { decodeFrame, maxFrameSize } from "./lz4-frame.ts";
import { PAGE_HEADER_SIZE } from "./page-frame.ts";

/** Most bytes that a page takes in a file, with its header. */
export function maxPageFrameSize(pageSize: PageSize): number {
  return PAGE_HEADER_SIZE + Math.max(maxFrameSize(pageSize), 4 + maxCompressedSize(pageSize));
}

/**
 * Decodes the page frame that `bytes` begin with into `data`, and gives the frame's size. Its header was read by the
 * caller; `checksum` takes what follows that. `place` is the frame's, for messages.
 */
export function decodePage({
  bytes,
  isBlock,
  data,
  place: { key, offset },
  checksum,
}: {
  readonly bytes: Uint8Array;
  readonly isBlock: boolean;
  readonly data: Uint8Array;
  readonly place: { readonly key: string; readonly offset: number };
  readonly checksum: Crc64;
}): number {
  try {
    if (!isBlock) {
      const end = decodeFrame({ source: bytes, at: PAGE_HEADER_SIZE, target: data });
      checksum.update(data);
      return end;
    }
    const start = PAGE_HEADER_SIZE + 4;
    const end = blockEnd(bytes, data.byteLength);
    const decompressed = decompressBlock({ source: bytes, start, end, target: data, at: 0, history: 0 });
    if (decompressed !== data.byteLength) throw new Lz4Error(`a page has only ${decompressed} bytes`, end);
    checksum.update(bytes.subarray(PAGE_HEADER_SIZE, start)).update(data);
    return end;
  } catch (error) {
    throw error instanceof Lz4Error ? corrupt({ key, offset: offset + error.offset }, error.message) : error;
  }
}

/** Where the block of the page frame that `bytes` begin with ends. */
function blockEnd(bytes: Uint8Array, pageSize: number): number {
  const start = PAGE_HEADER_SIZE + 4;
  if (bytes.byteLength < start) throw new Lz4Error("the file ends within the size of a page", bytes.byteLength);
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(PAGE_HEADER_SIZE);
  if (size > maxCompressedSize(pageSize)) {
    throw new Lz4Error(`a block of ${size} bytes is larger than a page can need`, PAGE_HEADER_SIZE);
  }
  if (size > bytes.byteLength - start) throw new Lz4Error("the file ends within a page", bytes.byteLength);
  return start + size;
}
