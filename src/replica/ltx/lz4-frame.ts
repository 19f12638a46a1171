// LZ4 frames: written one way, as Litestream does for a page, and read strictly in any way the format allows.
// Source: LZ4 frame format, https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md

import { compressBlock, decompressBlock, Lz4Error, maxCompressedSize } from "./lz4.ts";
import { xxHash32 } from "./xxhash32.ts";

/** All numbers of a frame are little-endian. */
const LITTLE = true;
const MAGIC = 0x18_4d_22_04;
/** High bit of a block's size: the block is stored as it is. */
export const STORED = 0x80_00_00_00;

/** Flags: version 1, independent blocks, content checksum. Blocks of up to 64 KiB. And the hash of these two bytes. */
const WRITTEN_DESCRIPTOR = [0x64, 0x40, 0xa7] as const;
const WRITTEN_HEADER_SIZE = 4 + WRITTEN_DESCRIPTOR.length;

export const FLAG_INDEPENDENT = 0x20;
export const FLAG_BLOCK_CHECKSUM = 0x10;
const FLAG_CONTENT_SIZE = 0x08;
export const FLAG_CONTENT_CHECKSUM = 0x04;
const FLAG_RESERVED = 0x02;
const FLAG_DICTIONARY = 0x01;

/** Most bytes that encodeFrame needs while it writes. */
export function maxWrittenFrameSize(contentSize: number): number {
  return WRITTEN_HEADER_SIZE + 4 + maxCompressedSize(contentSize) + 4 + 4;
}

/**
 * Most bytes of a frame that decodeFrame takes: a byte of content in a block of its own comes to 4 (size), 2 (block)
 * and 4 (checksum); longer blocks take less for each. Header, end mark and checksum fit into the 64.
 */
export function maxFrameSize(contentSize: number): number {
  return contentSize * 10 + 64;
}

/**
 * Writes `content` (at most 64 KiB) as a frame into `target` from `at`, and gives the frame's end.
 *
 * The end mark and content checksum have 8 bytes together, which newer releases of Litestream count on. What doesn't
 * shrink is stored: a block above 64 KiB, as a random page of that size would become, is refused by all readers.
 */
export function encodeFrame({
  content,
  target,
  at,
}: {
  readonly content: Uint8Array;
  readonly target: Uint8Array;
  readonly at: number;
}): number {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  view.setUint32(at, MAGIC, LITTLE);
  target.set(WRITTEN_DESCRIPTOR, at + 4);
  const block = at + WRITTEN_HEADER_SIZE + 4;
  let end = compressBlock({ source: content, target, at: block });
  if (end - block < content.byteLength) {
    view.setUint32(block - 4, end - block, LITTLE);
  } else {
    view.setUint32(block - 4, content.byteLength + STORED, LITTLE);
    target.set(content, block);
    end = block + content.byteLength;
  }
  view.setUint32(end, 0, LITTLE);
  view.setUint32(end + 4, xxHash32(content), LITTLE);
  return end + 8;
}

/** True if the sound frame `bytes`, of so much content, is of encodeFrame's form: then it may be passed on as it is. */
export function isWrittenForm(bytes: Uint8Array, contentSize: number): boolean {
  const [flags, blockSizes] = WRITTEN_DESCRIPTOR;
  if (bytes[4] !== flags || bytes[5] !== blockSizes) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const field = view.getUint32(WRITTEN_HEADER_SIZE, LITTLE);
  const size = field & ~STORED;
  if (field < STORED && size >= contentSize) return false;
  return bytes.byteLength === WRITTEN_HEADER_SIZE + 4 + size + 4 + 4;
}

/**
 * Decodes the frame at `at` into `target`, which it must fill exactly, and gives the frame's end in `source`.
 *
 * Throws Lz4Error, also for a frame that goes on beyond the end of `source`.
 */
export function decodeFrame({
  source,
  at,
  target,
}: {
  readonly source: Uint8Array;
  readonly at: number;
  readonly target: Uint8Array;
}): number {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const need = (position: number, bytes: number): void => {
    if (bytes > source.byteLength - position) throw new Lz4Error("an LZ4 frame is cut off", position);
  };
  const { flags, maxBlockSize, contentSize, end: headerEnd } = decodeFrameHeader({ view, at, need });
  if (contentSize !== undefined && contentSize !== BigInt(target.byteLength)) {
    throw new Lz4Error(`an LZ4 frame announces another size than ${target.byteLength} bytes`, at + 6);
  }
  let position = headerEnd;
  let out = 0;
  while (true) {
    need(position, 4);
    const field = view.getUint32(position, LITTLE);
    const start = position + 4;
    if (field === 0) {
      position = start;
      break;
    }
    const size = field & ~STORED;
    if (size > maxBlockSize)
      throw new Lz4Error(`an LZ4 block of ${size} bytes is larger than its frame allows`, position);
    if (size > maxCompressedSize(target.byteLength - out)) {
      throw new Lz4Error(`an LZ4 block of ${size} bytes is larger than its content can need`, position);
    }
    need(start, size);
    const end = start + size;
    const before = out;
    if (field >= STORED) {
      if (size > target.byteLength - out)
        throw new Lz4Error("an LZ4 block holds more than its content may have", position);
      target.set(source.subarray(start, end), out);
      out += size;
    } else {
      const history = (flags & FLAG_INDEPENDENT) !== 0 ? out : 0;
      out = decompressBlock({ source, start, end, target, at: out, history });
    }
    // Else nothing would bound the number of blocks.
    if (out === before) throw new Lz4Error("an LZ4 block holds nothing", position);
    position = end;
    if ((flags & FLAG_BLOCK_CHECKSUM) !== 0) {
      need(position, 4);
      if (view.getUint32(position, LITTLE) !== xxHash32(source.subarray(start, end))) {
        throw new Lz4Error("the checksum of an LZ4 block is wrong", position);
      }
      position += 4;
    }
  }
  if (out !== target.byteLength) {
    throw new Lz4Error(`an LZ4 frame holds ${out} bytes instead of ${target.byteLength}`, position);
  }
  if ((flags & FLAG_CONTENT_CHECKSUM) === 0) return position;
  need(position, 4);
  if (view.getUint32(position, LITTLE) !== xxHash32(target)) {
    throw new Lz4Error("the checksum of an LZ4 frame is wrong", position);
  }
  return position + 4;
}

/** Most bytes of a frame's header: magic, flags, block size, content size, checksum. */
export const MAX_FRAME_HEADER_SIZE = 4 + 2 + 8 + 1;

export type FrameHeader = {
  readonly flags: number;
  /** Most bytes of content in a block. */
  readonly maxBlockSize: number;
  /** Size of the whole content, where the header tells it. */
  readonly contentSize: bigint | undefined;
  /** Where the first block begins. */
  readonly end: number;
};

/** Decodes the header at `at`. `need` throws where `view` has fewer bytes from a position than it asks for. */
export function decodeFrameHeader({
  view,
  at,
  need,
}: {
  readonly view: DataView;
  readonly at: number;
  readonly need: (position: number, bytes: number) => void;
}): FrameHeader {
  need(at, WRITTEN_HEADER_SIZE);
  if (view.getUint32(at, LITTLE) !== MAGIC) throw new Lz4Error("no LZ4 frame begins", at);
  const flags = view.getUint8(at + 4);
  const blockCode = view.getUint8(at + 5);
  if (flags >>> 6 !== 1 || (flags & FLAG_RESERVED) !== 0) throw new Lz4Error("an LZ4 frame has unknown flags", at + 4);
  if ((flags & FLAG_DICTIONARY) !== 0) throw new Lz4Error("an LZ4 frame needs a dictionary", at + 4);
  if ((blockCode & 0x8f) !== 0 || blockCode >>> 4 < 4)
    throw new Lz4Error("an LZ4 frame has no known block size", at + 5);
  let end = at + 6;
  let contentSize: bigint | undefined;
  if ((flags & FLAG_CONTENT_SIZE) !== 0) {
    need(end, 9);
    contentSize = view.getBigUint64(end, LITTLE);
    end += 8;
  }
  const descriptor = new Uint8Array(view.buffer, view.byteOffset + at + 4, end - at - 4);
  if (view.getUint8(end) !== ((xxHash32(descriptor) >>> 8) & 0xff)) {
    throw new Lz4Error("the checksum of an LZ4 frame's header is wrong", end);
  }
  // Codes 4 to 7 stand for 64 KiB, 256 KiB, 1 MiB and 4 MiB.
  return { flags, maxBlockSize: 1 << (8 + 2 * (blockCode >>> 4)), contentSize, end: end + 1 };
}
