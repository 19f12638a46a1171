// LZ4 blocks: the compressor and a decompressor that trusts nothing. Frames around blocks are in lz4-frame.ts.
// Source: LZ4 block format, https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md

import { assert } from "../../base/assert.ts";

/** Most bytes that compressBlock takes, so that every distance fits its 16 bits. */
export const MAX_BLOCK_INPUT = 65536;

/** Shortest repetition worth a sequence; the format can't express shorter ones. */
const MIN_MATCH = 4;

/** The format keeps the last bytes as literals, and starts no match within the last 12. */
const LAST_LITERALS = 5;
const LAST_MATCH_START = 12;

/** 16 KiB for the table: it stays in the first-level cache, and clearing it costs little beside one page. */
const HASH_BITS = 13;

/** After 2^6 misses in a row the search takes longer steps, so that random data goes by quickly. */
const SKIP_SHIFT = 6;

/** Where each hash was last seen. Shared: a block is compressed in one go, and nothing of it stays. */
const table = new Uint16Array(1 << HASH_BITS);

/** A failure of decompression, and the byte of the source at which it came out. */
export class Lz4Error extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.name = "Lz4Error";
    this.offset = offset;
  }
}

/** Most bytes that a sound block of `length` bytes of content takes. */
export function maxCompressedSize(length: number): number {
  return length + Math.floor(length / 255) + 16;
}

/**
 * Compresses `source` into `target` from `at`, and gives the end of what was written.
 *
 * Greedy, with one candidate per hash, as LZ4's own fast mode is. The output takes room for the worst case.
 */
export function compressBlock({
  source,
  target,
  at,
}: {
  readonly source: Uint8Array;
  readonly target: Uint8Array;
  readonly at: number;
}): number {
  const length = source.byteLength;
  assert(length <= MAX_BLOCK_INPUT && target.byteLength - at >= maxCompressedSize(length), "a block has room");
  const view = new DataView(source.buffer, source.byteOffset, length);
  const matchEnd = length - LAST_LITERALS;
  const searchEnd = length - LAST_MATCH_START;
  table.fill(0); // An empty slot reads as position 0: a candidate like any other, compared before use.
  let out = at;
  let anchor = 0;
  let position = 1;
  let misses = 1 << SKIP_SHIFT;
  while (position <= searchEnd) {
    const word = view.getUint32(position, true);
    const slot = hash(word);
    let candidate = table[slot] ?? 0;
    table[slot] = position;
    if (view.getUint32(candidate, true) !== word || candidate === position) {
      position += misses++ >>> SKIP_SHIFT;
      continue;
    }
    misses = 1 << SKIP_SHIFT;
    let start = position;
    while (start > anchor && candidate > 0 && view.getUint8(start - 1) === view.getUint8(candidate - 1)) {
      start--;
      candidate--;
    }
    const distance = start - candidate;
    position = matchingEnd({ view, at: position + MIN_MATCH, distance, end: matchEnd });
    const extra = position - start - MIN_MATCH;
    out = writeLiterals({ source, anchor, end: start, target, out, matchNibble: Math.min(extra, 15) });
    target[out++] = distance;
    target[out++] = distance >>> 8;
    if (extra >= 15) out = writeLength(target, out, extra - 15);
    anchor = position;
    if (position <= searchEnd) table[hash(view.getUint32(position - 2, true))] = position - 2;
  }
  return writeLiterals({ source, anchor, end: length, target, out, matchNibble: 0 });
}

/**
 * Where at least this much of the block is to come, and this much room left, short pieces are copied in whole words:
 * what is too much of them is written over by what follows. In bytes; most pieces are short, and a loop that ends where
 * a piece does is what costs.
 */
const SOURCE_AHEAD = 32;
const ROOM_AHEAD = 64;

/** Longer pieces are copied by calls. In bytes. */
const LONG_PIECE = 128;

/**
 * Decompresses the block from `start` to `end` of `source` into `target` from `at`, and gives the end of what was
 * written. Repetitions may reach back to `history`: `at` where the block stands alone, less where it continues others.
 *
 * Throws Lz4Error for anything but a sound block that fits. What `target` has behind the end is of no meaning then.
 */
export function decompressBlock({
  source,
  start,
  end,
  target,
  at,
  history,
}: {
  readonly source: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly target: Uint8Array;
  readonly at: number;
  readonly history: number;
}): number {
  const view = new DataView(source.buffer, source.byteOffset, end);
  const room = target.byteLength;
  const targetView = new DataView(target.buffer, target.byteOffset, room);
  let out = at;
  let position = start;
  if (position >= end) throw new Lz4Error("an LZ4 block is empty", position);
  while (true) {
    const token = view.getUint8(position++);
    let literals = token >>> 4;
    const isShort = literals < 15 && position <= end - SOURCE_AHEAD && out <= room - ROOM_AHEAD;
    if (isShort) {
      copyWord(view, position, targetView, out);
      copyWord(view, position + 4, targetView, out + 4);
      if (literals > 8) {
        copyWord(view, position + 8, targetView, out + 8);
        copyWord(view, position + 12, targetView, out + 12);
      }
      out += literals;
      position += literals;
    } else {
      if (literals === 15) {
        for (let more = 255; more === 255; literals += more) {
          if (position >= end) throw new Lz4Error("an LZ4 block ends within a length", position);
          more = view.getUint8(position++);
        }
      }
      if (literals > end - position) throw new Lz4Error("an LZ4 block ends within its literals", position);
      if (literals > room - out) throw new Lz4Error("an LZ4 block holds more than its content may have", position);
      if (literals > LONG_PIECE) target.set(source.subarray(position, position + literals), out);
      else copyPiece({ view, from: position, targetView, to: out, count: literals });
      out += literals;
      position += literals;
      if (position === end) return out;
    }

    if (end - position < 2) throw new Lz4Error("an LZ4 block ends within a distance", position);
    const distance = view.getUint16(position, true);
    if (distance === 0) throw new Lz4Error("an LZ4 block has a distance of 0", position);
    if (distance > out - history) throw new Lz4Error("an LZ4 block refers to what lies before its content", position);
    position += 2;
    const from = out - distance;
    let count = (token & 15) + MIN_MATCH;
    if (isShort && count < 15 + MIN_MATCH && distance >= 4) {
      // Word after word, as the bytes to copy may only just have been written.
      copyWord(targetView, from, targetView, out);
      copyWord(targetView, from + 4, targetView, out + 4);
      if (count > 8) {
        copyWord(targetView, from + 8, targetView, out + 8);
        copyWord(targetView, from + 12, targetView, out + 12);
        copyWord(targetView, from + 16, targetView, out + 16);
      }
      out += count;
      continue;
    }
    if (count === 15 + MIN_MATCH) {
      for (let more = 255; more === 255; count += more) {
        if (position >= end) throw new Lz4Error("an LZ4 block ends within a length", position);
        more = view.getUint8(position++);
      }
    }
    if (count > room - out) throw new Lz4Error("an LZ4 block holds more than its content may have", position);
    if (count > LONG_PIECE && distance === 1) target.fill(target[from] ?? 0, out, out + count);
    else if (count > LONG_PIECE && distance >= count) target.copyWithin(out, from, from + count);
    else if (distance >= 4) copyPiece({ view: targetView, from, targetView, to: out, count });
    else for (let i = 0; i < count; i++) target[out + i] = target[from + i] ?? 0;
    out += count;
    // Only literals end a block, so another token must follow.
    if (position >= end) throw new Lz4Error("an LZ4 block ends with a repetition", position);
  }
}

function copyWord(view: DataView, from: number, targetView: DataView, to: number): void {
  targetView.setUint32(to, view.getUint32(from, true), true);
}

/** Copies exactly `count` bytes, word after word. */
function copyPiece({
  view,
  from,
  targetView,
  to,
  count,
}: {
  readonly view: DataView;
  readonly from: number;
  readonly targetView: DataView;
  readonly to: number;
  readonly count: number;
}): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) copyWord(view, from + i, targetView, to + i);
  for (; i < count; i++) targetView.setUint8(to + i, view.getUint8(from + i));
}

function hash(word: number): number {
  return Math.imul(word, 0x9e3779b1) >>> (32 - HASH_BITS);
}

/** The first position from `at` whose byte differs from the one `distance` before it, or `end`. */
function matchingEnd({
  view,
  at,
  distance,
  end,
}: {
  readonly view: DataView;
  readonly at: number;
  readonly distance: number;
  readonly end: number;
}): number {
  let position = at;
  while (position + 4 <= end) {
    const difference = view.getUint32(position, true) ^ view.getUint32(position - distance, true);
    // The lowest bit that differs lies in the first byte that differs, as the words are little-endian.
    if (difference !== 0) return position + ((31 - Math.clz32(difference & -difference)) >>> 3);
    position += 4;
  }
  while (position < end && view.getUint8(position) === view.getUint8(position - distance)) position++;
  return position;
}

/** Writes a token and the literals from `anchor` to `end`, and gives the end of what was written. */
function writeLiterals({
  source,
  anchor,
  end,
  target,
  out,
  matchNibble,
}: {
  readonly source: Uint8Array;
  readonly anchor: number;
  readonly end: number;
  readonly target: Uint8Array;
  readonly out: number;
  readonly matchNibble: number;
}): number {
  const count = end - anchor;
  target[out] = (Math.min(count, 15) << 4) | matchNibble;
  const to = count >= 15 ? writeLength(target, out + 1, count - 15) : out + 1;
  copyLiterals({ source, from: anchor, target, to, count });
  return to + count;
}

function writeLength(target: Uint8Array, out: number, length: number): number {
  let at = out;
  let rest = length;
  for (; rest >= 255; rest -= 255) target[at++] = 255;
  target[at++] = rest;
  return at;
}

function copyLiterals({
  source,
  from,
  target,
  to,
  count,
}: {
  readonly source: Uint8Array;
  readonly from: number;
  readonly target: Uint8Array;
  readonly to: number;
  readonly count: number;
}): void {
  // Below some dozens of bytes a loop beats the call.
  if (count > 48) target.set(source.subarray(from, from + count), to);
  else for (let i = 0; i < count; i++) target[to + i] = source[from + i] ?? 0;
}
