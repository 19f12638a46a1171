import { describe, expect, it } from "vitest";
import { compressBlock, decompressBlock, Lz4Error, maxCompressedSize } from "../../../../src/replica/ltx/lz4.ts";
import { decodeFrame, encodeFrame, maxWrittenFrameSize } from "../../../../src/replica/ltx/lz4-frame.ts";
import { xxHash32 } from "../../../../src/replica/ltx/xxhash32.ts";
import { noise } from "./support.ts";

const random = (length: number, seed = length) => Uint8Array.from({ length }, noise(seed));
const text = (length: number) =>
  Uint8Array.from({ length }, (_, i) => `row ${(i >> 5) % 97}, `.charCodeAt(i % 7) || 32);

/** Content of the kinds that a page may have, and of those that a compressor may stumble over. */
const CONTENTS: [string, Uint8Array][] = [
  ...Array.from({ length: 40 }, (_, n): [string, Uint8Array] => [`${n} equal bytes`, new Uint8Array(n).fill(7)]),
  ...[1, 14, 15, 16, 269, 270, 271, 4096, 65536].map((n): [string, Uint8Array] => [`${n} random bytes`, random(n)]),
  ...[512, 1024, 4096, 65535, 65536].map((n): [string, Uint8Array] => [`${n} zeros`, new Uint8Array(n)]),
  ...[512, 4096, 65536].map((n): [string, Uint8Array] => [`${n} bytes of text`, text(n)]),
  ["a repetition at the largest distance", Uint8Array.from([...random(65520, 1), ...random(65520, 1)].slice(0, 65536))],
  ["a repetition that ends with the content", Uint8Array.from([...random(300, 2), ...random(300, 2)])],
  ["a period of 3", Uint8Array.from({ length: 5000 }, (_, i) => i % 3)],
  ["a period of 60", Uint8Array.from({ length: 5000 }, (_, i) => i % 60)],
];

describe("compressBlock", () => {
  it.each(CONTENTS)("gives a block that holds the same again: %s", (_, content) => {
    const block = compress(content);
    expect(block.length).toBeLessThanOrEqual(maxCompressedSize(content.length));
    expect(decompress(block, content.length)).toEqual(content);
  });

  it.each(CONTENTS)("keeps to the format's rules for a block's end: %s", (_, content) => {
    const { lastLiterals, lastMatchStart } = inspect(compress(content));
    if (lastMatchStart === undefined) return;
    expect(lastLiterals).toBeGreaterThanOrEqual(5);
    expect(content.length - lastMatchStart).toBeGreaterThanOrEqual(12);
  });

  it("finds repetitions", () => {
    expect(compress(new Uint8Array(65536)).length).toBeLessThan(280);
    expect(compress(text(4096)).length).toBeLessThan(1000);
  });

  it("remembers nothing from one block to the next", () => {
    const alone = compress(text(4096));
    compress(random(65536));
    expect(compress(text(4096))).toEqual(alone);
  });
});

describe("decompressBlock", () => {
  it("takes a run whose repetition overlaps itself", () => {
    expect(decompress(Uint8Array.of(0x1f, 97, 1, 0, 0, 0x50, 98, 98, 98, 98, 98), 25)).toEqual(
      Uint8Array.from([...new Array(20).fill(97), 98, 98, 98, 98, 98]),
    );
  });

  it("reaches back beyond its own content only where it may", () => {
    const source = Uint8Array.of(0x00, 4, 0, 0x10, 9);
    const target = new Uint8Array(9).fill(5);
    const block = { source, start: 0, end: source.length, target, at: 4 };
    expect(decompressBlock({ ...block, history: 0 })).toBe(9);
    expect(target).toEqual(Uint8Array.of(5, 5, 5, 5, 5, 5, 5, 5, 9));
    expect(() => decompressBlock({ ...block, history: 4 })).toThrow("refers to what lies before its content");
  });

  it.each([
    ["is empty", []],
    ["ends within a length", [0xf0]],
    ["ends within a length", [0xf0, 255, 255]],
    ["ends within a length", [0x1f, 97, 1, 0]],
    ["ends within its literals", [0x20, 97]],
    ["ends within its literals", [0xf0, 255, 255, 255, 0, 1]],
    ["ends within a distance", [0x10, 97, 1]],
    ["has a distance of 0", [0x10, 97, 0, 0, 0]],
    ["refers to what lies before its content", [0x10, 97, 2, 0, 0]],
    ["ends with a repetition", [0x10, 97, 1, 0]],
    ["holds more than its content may have", [0x1f, 97, 1, 0, 255, 255, 0, 0]],
    ["holds more than its content may have", [0xf0, 50, ...new Array(65).fill(1)]],
  ])("refuses a block that %s: %j", (problem, bytes) => {
    expect(() => decompress(Uint8Array.from(bytes), 64)).toThrow(problem);
  });

  it("never writes beyond its target, whatever the block's bytes are", () => {
    const next = noise(99);
    const guarded = new Uint8Array(96).fill(0xee);
    const target = guarded.subarray(16, 80);
    for (let round = 0; round < 20_000; round++) {
      const source = Uint8Array.from({ length: 1 + (round % 40) }, () => (next() < 128 ? next() & 0x1f : next()));
      try {
        decompressBlock({ source, start: 0, end: source.length, target, at: 0, history: 0 });
      } catch (error) {
        expect(error).toBeInstanceOf(Lz4Error);
      }
    }
    expect([...guarded.subarray(0, 16), ...guarded.subarray(80)].every((byte) => byte === 0xee)).toBe(true);
  });
});

describe("encodeFrame", () => {
  it("writes the frame that Litestream writes: header, one block, end mark, checksum", () => {
    const content = new Uint8Array(1024);
    const frame = encoded(content);
    const view = new DataView(frame.buffer, frame.byteOffset);
    expect([...frame.subarray(0, 7)]).toEqual([0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7]);
    const size = view.getUint32(7, true);
    expect(frame.length).toBe(7 + 4 + size + 4 + 4);
    expect(view.getUint32(11 + size, true)).toBe(0);
    expect(view.getUint32(15 + size, true)).toBe(xxHash32(content));
  });

  it.each([512, 4096, 65536])("stores %i bytes as they are when compression doesn't shrink them", (length) => {
    const content = random(length);
    const frame = encoded(content);
    expect(new DataView(frame.buffer, frame.byteOffset).getUint32(7, true)).toBe(0x80000000 + length);
    expect(frame.length).toBe(7 + 4 + length + 8);
    expect(frame.subarray(11, 11 + length)).toEqual(content);
  });

  it.each(CONTENTS.filter(([, content]) => content.length > 0))("holds the same again: %s", (_, content) => {
    const frame = encoded(content);
    const target = new Uint8Array(content.length);
    expect(decodeFrame({ source: frame, at: 0, target })).toBe(frame.length);
    expect(target).toEqual(content);
  });
});

describe("decodeFrame", () => {
  const content = text(600);
  const halves = [content.subarray(0, 300), content.subarray(300)] as const;

  it.each([
    ["a block size of 64 KiB", { blockCode: 0x40 }],
    ["a block size of 256 KiB", { blockCode: 0x50 }],
    ["a block size of 1 MiB", { blockCode: 0x60 }],
    ["a block size of 4 MiB", { blockCode: 0x70 }],
    ["no content checksum", { flags: 0x60 }],
    ["block checksums", { flags: 0x74 }],
    ["a content size", { flags: 0x6c }],
    ["all of these", { flags: 0x7c, blockCode: 0x70 }],
    ["stored blocks", { stored: true }],
    ["stored blocks with checksums", { stored: true, flags: 0x74 }],
  ])("takes a frame of two blocks with %s, and gives its end", (_, options) => {
    const frame = frameOf(halves, options);
    const target = new Uint8Array(content.length);
    const source = Uint8Array.from([1, 2, 3, ...frame, 4, 5]);
    expect(decodeFrame({ source, at: 3, target })).toBe(3 + frame.length);
    expect(target).toEqual(content);
  });

  it("takes a block that continues the one before, if the frame says so", () => {
    const first = Uint8Array.of(0x40, 1, 2, 3, 4);
    const second = Uint8Array.of(0x00, 4, 0, 0x10, 9);
    const whole = Uint8Array.of(1, 2, 3, 4, 1, 2, 3, 4, 9);
    const target = new Uint8Array(9);
    const linked = frameFrom({ blocks: [first, second], content: whole, flags: 0x44 });
    decodeFrame({ source: linked, at: 0, target });
    expect(target).toEqual(whole);
    const independent = frameFrom({ blocks: [first, second], content: whole, flags: 0x64 });
    expect(() => decodeFrame({ source: independent, at: 0, target })).toThrow("refers to what lies before");
  });

  it.each([
    ["no LZ4 frame begins", { edit: [0, 0x05] }],
    ["unknown flags", { flags: 0xa4 }],
    ["unknown flags", { flags: 0x66 }],
    ["needs a dictionary", { flags: 0x65 }],
    ["no known block size", { blockCode: 0x30 }],
    ["no known block size", { blockCode: 0xc0 }],
    ["no known block size", { blockCode: 0x41 }],
    ["header is wrong", { edit: [6, 0xa8] }],
    ["announces another size", { flags: 0x6c, announced: 601 }],
    ["checksum of an LZ4 frame is wrong", { edit: [-1, 0] }],
    ["checksum of an LZ4 block is wrong", { flags: 0x70, edit: [-5, 0] }],
    ["larger than its frame allows", { edit: [9, 0x02] }],
    ["larger than its content can need", { edit: [8, 0x20] }],
  ] as [string, FrameOptions & { edit?: [number, number] }][])("refuses a frame: %s", (problem, options) => {
    const frame = frameOf(halves, options);
    if (options.edit !== undefined) frame[(options.edit[0] + frame.length) % frame.length] = options.edit[1];
    expect(() => decodeFrame({ source: frame, at: 0, target: new Uint8Array(600) })).toThrow(problem);
  });

  it("refuses a frame that holds more or less than it should", () => {
    const frame = frameOf(halves);
    expect(() => decodeFrame({ source: frame, at: 0, target: new Uint8Array(601) })).toThrow("holds 600 bytes");
    expect(() => decodeFrame({ source: frame, at: 0, target: new Uint8Array(599) })).toThrow("holds more");
    const stored = frameOf(halves, { stored: true });
    expect(() => decodeFrame({ source: stored, at: 0, target: new Uint8Array(599) })).toThrow("holds more");
  });

  it("refuses a block that holds nothing, so that a frame can't have endless many", () => {
    const nothing = frameFrom({ blocks: [Uint8Array.of(0), ...halves.map(compress)], content, flags: 0x64 });
    expect(() => decodeFrame({ source: nothing, at: 0, target: new Uint8Array(600) })).toThrow("holds nothing");
  });

  it("refuses a frame that is cut off at any place", () => {
    const frame = frameOf(halves, { flags: 0x7c });
    for (let length = 0; length < frame.length; length++) {
      const source = frame.subarray(0, length);
      expect(() => decodeFrame({ source, at: 0, target: new Uint8Array(600) })).toThrow(Lz4Error);
    }
  });
});

function compress(content: Uint8Array): Uint8Array {
  const target = new Uint8Array(maxCompressedSize(content.length));
  return target.subarray(0, compressBlock({ source: content, target, at: 0 }));
}

function decompress(block: Uint8Array, length: number): Uint8Array {
  const target = new Uint8Array(length);
  const out = decompressBlock({ source: block, start: 0, end: block.length, target, at: 0, history: 0 });
  return target.subarray(0, out);
}

function encoded(content: Uint8Array): Uint8Array {
  const target = new Uint8Array(maxWrittenFrameSize(content.length));
  return target.subarray(0, encodeFrame({ content, target, at: 0 }));
}

type FrameOptions = { flags?: number; blockCode?: number; stored?: boolean; announced?: number };

/** A frame of several blocks, made by hand from the format's description. */
function frameOf(parts: readonly Uint8Array[], { stored = false, ...options }: FrameOptions = {}): Uint8Array {
  const blocks = stored ? parts : parts.map(compress);
  return frameFrom({ blocks, content: Buffer.concat(parts), stored, ...options });
}

function frameFrom({
  blocks,
  content,
  stored = false,
  flags = 0x64,
  blockCode = 0x40,
  announced = content.length,
}: FrameOptions & { blocks: readonly Uint8Array[]; content: Uint8Array }): Uint8Array {
  const uint32 = (value: number) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
  const size = (flags & 8) === 0 ? [] : [...uint32(announced), 0, 0, 0, 0];
  const descriptor = [flags, blockCode, ...size];
  const bytes = [0x04, 0x22, 0x4d, 0x18, ...descriptor, (xxHash32(Uint8Array.from(descriptor)) >>> 8) & 255];
  for (const block of blocks) {
    bytes.push(...uint32(block.length + (stored ? 0x80000000 : 0)), ...block);
    if ((flags & 16) !== 0) bytes.push(...uint32(xxHash32(block)));
  }
  bytes.push(0, 0, 0, 0);
  if ((flags & 4) !== 0) bytes.push(...uint32(xxHash32(content)));
  return Uint8Array.from(bytes);
}

/** Walks a block's sequences: how many literals end it, and where in the content its last repetition starts. */
function inspect(block: Uint8Array): { lastLiterals: number; lastMatchStart: number | undefined } {
  let at = 0;
  let out = 0;
  let lastMatchStart: number | undefined;
  const length = (nibble: number): number => {
    let total = nibble;
    if (nibble < 15) return total;
    for (let more = 255; more === 255; total += more) more = block[at++] ?? 0;
    return total;
  };
  while (true) {
    const token = block[at++] ?? 0;
    const literals = length(token >>> 4);
    at += literals;
    out += literals;
    if (at >= block.length) return { lastLiterals: literals, lastMatchStart };
    at += 2;
    lastMatchStart = out;
    out += length(token & 15) + 4;
  }
}
