// An LZ4 frame of any size, read as a stream and verified. Frames that hold a single page are in lz4-frame.ts.
// Source: LZ4 frame format, https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md

import { ByteWindow } from "./byte-window.ts";
import { decompressBlock, Lz4Error, maxCompressedSize } from "./lz4.ts";
import {
  decodeFrameHeader,
  FLAG_BLOCK_CHECKSUM,
  FLAG_CONTENT_CHECKSUM,
  FLAG_INDEPENDENT,
  type FrameHeader,
  MAX_FRAME_HEADER_SIZE,
  STORED,
} from "./lz4-frame.ts";
import { XxHash32, xxHash32 } from "./xxhash32.ts";

const LITTLE = true;

/** How far back a repetition can reach into the blocks before, in bytes. */
const HISTORY_SIZE = 64 * 1024;

/** A byte of a block never stands for more than this many of its content. */
const MAX_RATIO = 255;

export type Lz4StreamOptions = {
  /** Most bytes of content; a frame that holds more is refused. */
  readonly maxBytes: number;
  /** Refuse a frame without a checksum of its content. Default: false. */
  readonly needsChecksum?: boolean;
};

/**
 * Decodes the frame that `chunks` consist of: one frame, and nothing after it. A piece is valid until the next one
 * is asked for, and none may be used for good before the last has come: only then the content's checksum is known.
 *
 * Holds one block, compressed and not, and the 64 KiB before it. Throws Lz4Error; failures of `chunks` pass through.
 * The format would allow further frames to follow; nothing that Litestream writes has any, and a second one is more
 * likely a second object that got into the first.
 */
export async function* decodeLz4Stream(
  chunks: AsyncIterable<Uint8Array>,
  { maxBytes, needsChecksum = false }: Lz4StreamOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  await using input = new ByteWindow(chunks);
  const header = await readHeader(input, { needsChecksum });
  const output = new BlockOutput(header);
  const hash = new XxHash32();
  let sizeBytes = 0;
  while (true) {
    await need(input, 4);
    const field = uint32(input);
    input.consume(4);
    if (field === 0) break;
    const content = await readBlock(input, { field, header, output, room: maxBytes - sizeBytes });
    sizeBytes += content.byteLength;
    hash.update(content);
    yield content;
  }
  if (header.contentSize !== undefined && header.contentSize !== BigInt(sizeBytes)) {
    throw new Lz4Error(`an LZ4 frame announces ${header.contentSize} bytes and holds ${sizeBytes}`, input.offset);
  }
  if ((header.flags & FLAG_CONTENT_CHECKSUM) !== 0) {
    await need(input, 4);
    if (uint32(input) !== hash.digest()) throw new Lz4Error("the checksum of an LZ4 frame is wrong", input.offset);
    input.consume(4);
  }
  await input.fill(1);
  if (input.bytes.byteLength > 0) throw new Lz4Error("bytes follow the LZ4 frame", input.offset);
}

async function readHeader(input: ByteWindow, { needsChecksum }: { needsChecksum: boolean }): Promise<FrameHeader> {
  await input.fill(MAX_FRAME_HEADER_SIZE);
  const { bytes } = input;
  const header = decodeFrameHeader({
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    at: 0,
    need: (position, size) => {
      if (size > bytes.byteLength - position) throw cutOff(bytes.byteLength);
    },
  });
  if (needsChecksum && (header.flags & FLAG_CONTENT_CHECKSUM) === 0) {
    throw new Lz4Error("an LZ4 frame has no checksum of its content, which Litestream always writes", 4);
  }
  input.consume(header.end);
  return header;
}

/** Reads the block whose size field was consumed, and gives its content. */
async function readBlock(
  input: ByteWindow,
  {
    field,
    header: { flags, maxBlockSize },
    output,
    room,
  }: {
    readonly field: number;
    readonly header: FrameHeader;
    readonly output: BlockOutput;
    /** Most bytes of content that the caller takes. */
    readonly room: number;
  },
): Promise<Uint8Array> {
  const { offset } = input;
  const size = field & ~STORED;
  if (size > maxBlockSize) throw new Lz4Error(`an LZ4 block of ${size} bytes is larger than its frame allows`, offset);
  if (size > maxCompressedSize(room)) throw new Lz4Error("an LZ4 block holds more than its content may have", offset);
  const checksumSize = (flags & FLAG_BLOCK_CHECKSUM) !== 0 ? 4 : 0;
  await need(input, size + checksumSize);
  const block = input.bytes.subarray(0, size);
  const isStored = field >= STORED;
  const content = output.take(
    Math.min(maxBlockSize, room, isStored ? size : size * MAX_RATIO),
    ({ target, at, history }) => {
      if (!isStored) return decompress({ block, target, at, history, offset });
      if (size > target.byteLength - at)
        throw new Lz4Error("an LZ4 block holds more than its content may have", offset);
      target.set(block, at);
      return at + size;
    },
  );
  if (content.byteLength === 0) throw new Lz4Error("an LZ4 block holds nothing", offset);
  if (checksumSize > 0 && uint32(input, size) !== xxHash32(block)) {
    throw new Lz4Error("the checksum of an LZ4 block is wrong", offset + size);
  }
  input.consume(size + checksumSize);
  return content;
}

type BlockPlace = { readonly target: Uint8Array; readonly at: number; readonly history: number };

/** Where blocks are decompressed: room for one, after the end of those before it where they are linked. */
class BlockOutput {
  readonly #isLinked: boolean;
  #buffer = new Uint8Array(0);
  /** Bytes of history, which end where the block begins: at HISTORY_SIZE. */
  #history = 0;
  #blockSize = 0;

  constructor({ flags }: FrameHeader) {
    this.#isLinked = (flags & FLAG_INDEPENDENT) === 0;
  }

  /** Lets `write` put at most `most` bytes and give their end; gives these bytes, valid until the next call. */
  take(most: number, write: (place: BlockPlace) => number): Uint8Array {
    if (this.#isLinked) {
      const end = HISTORY_SIZE + this.#blockSize;
      this.#history = Math.min(HISTORY_SIZE, this.#history + this.#blockSize);
      this.#buffer.copyWithin(HISTORY_SIZE - this.#history, end - this.#history, end);
    }
    if (HISTORY_SIZE + most > this.#buffer.byteLength) {
      // Grown by need: most segments of a log are far smaller than the 4 MiB that their frames allow for a block.
      const larger = new Uint8Array(HISTORY_SIZE + most);
      larger.set(this.#buffer.subarray(0, HISTORY_SIZE));
      this.#buffer = larger;
    }
    const target = this.#buffer.subarray(0, HISTORY_SIZE + most);
    const end = write({ target, at: HISTORY_SIZE, history: HISTORY_SIZE - this.#history });
    this.#blockSize = end - HISTORY_SIZE;
    return this.#buffer.subarray(HISTORY_SIZE, end);
  }
}

function decompress({
  block,
  target,
  at,
  history,
  offset,
}: BlockPlace & { readonly block: Uint8Array; readonly offset: number }): number {
  try {
    return decompressBlock({ source: block, start: 0, end: block.byteLength, target, at, history });
  } catch (error) {
    throw error instanceof Lz4Error ? new Lz4Error(error.message, offset + error.offset) : error;
  }
}

async function need(input: ByteWindow, size: number): Promise<void> {
  if (input.lacks(size)) await input.fill(size);
  if (input.bytes.byteLength < size) throw cutOff(input.offset + input.bytes.byteLength);
}

function cutOff(offset: number): Lz4Error {
  return new Lz4Error("an LZ4 frame is cut off", offset);
}

function uint32(input: ByteWindow, at = 0): number {
  const { bytes } = input;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at, LITTLE);
}
