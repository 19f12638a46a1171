// xxHash32 with seed 0, the checksum inside LZ4 frames.
// Source: xxHash fast digest algorithm, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md

// As signed numbers, which is what the engine multiplies without a detour.
const PRIME_1 = 0x9e3779b1 | 0;
const PRIME_2 = 0x85ebca77 | 0;
const PRIME_3 = 0xc2b2ae3d | 0;
const PRIME_4 = 0x27d4eb2f;
const PRIME_5 = 0x165667b1;

/** The hash works on four lanes of 32 bits at a time. */
const STRIPE_SIZE = 16;

/**
 * Bytes that one call takes: V8 makes its best code of what is called often, and for a few long loops stays with
 * code that takes 2.5 times as long. Whole stripes.
 */
const AT_ONCE = 64 * 1024;

/** The four lanes. */
type Lanes = Int32Array;

/** Shared by all hashes in one go: a page's hash is done before the next one begins, and allocates nothing. */
const sharedLanes: Lanes = new Int32Array(4);

/** The hash as an unsigned 32-bit number. */
export function xxHash32(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  startLanes(sharedLanes);
  const end = addStripes(sharedLanes, view, 0);
  return finish(sharedLanes, view, { at: end, end: bytes.byteLength, length: bytes.byteLength });
}

/** The hash of what comes in pieces. */
export class XxHash32 {
  readonly #lanes: Lanes = startLanes(new Int32Array(4));
  /** In bytes; of the sum, the last 32 bits count. */
  #length = 0;
  /** The last bytes, which don't fill a stripe yet. */
  readonly #rest = new DataView(new ArrayBuffer(STRIPE_SIZE));
  #restSize = 0;

  update(bytes: Uint8Array): this {
    this.#length += bytes.byteLength;
    const rest = new Uint8Array(this.#rest.buffer);
    let at = 0;
    if (this.#restSize > 0) {
      at = Math.min(STRIPE_SIZE - this.#restSize, bytes.byteLength);
      rest.set(bytes.subarray(0, at), this.#restSize);
      this.#restSize += at;
      if (this.#restSize < STRIPE_SIZE) return this;
      addStripes(this.#lanes, this.#rest, 0);
    }
    for (; bytes.byteLength - at >= STRIPE_SIZE; ) {
      const size = Math.min(AT_ONCE, bytes.byteLength - at);
      at += addStripes(this.#lanes, new DataView(bytes.buffer, bytes.byteOffset + at, size), 0);
    }
    rest.set(bytes.subarray(at));
    this.#restSize = bytes.byteLength - at;
    return this;
  }

  /** The hash of all bytes so far, as an unsigned 32-bit number. */
  digest(): number {
    return finish(this.#lanes, this.#rest, { at: 0, end: this.#restSize, length: this.#length });
  }
}

function startLanes(lanes: Lanes): Lanes {
  lanes[0] = PRIME_1 + PRIME_2;
  lanes[1] = PRIME_2;
  lanes[2] = 0;
  lanes[3] = -PRIME_1;
  return lanes;
}

/** Takes the whole stripes from `start`, and gives where they end. */
function addStripes(lanes: Lanes, view: DataView, start: number): number {
  let a = lanes[0] ?? 0;
  let b = lanes[1] ?? 0;
  let c = lanes[2] ?? 0;
  let d = lanes[3] ?? 0;
  let at = start;
  for (const end = view.byteLength - STRIPE_SIZE; at <= end; at += STRIPE_SIZE) {
    a = round(a, view.getInt32(at, true));
    b = round(b, view.getInt32(at + 4, true));
    c = round(c, view.getInt32(at + 8, true));
    d = round(d, view.getInt32(at + 12, true));
  }
  lanes[0] = a;
  lanes[1] = b;
  lanes[2] = c;
  lanes[3] = d;
  return at;
}

/** Adds the bytes from `at` to `end` that fill no stripe, of `length` in all. */
function finish(
  lanes: Lanes,
  view: DataView,
  { at: start, end, length }: { readonly at: number; readonly end: number; readonly length: number },
): number {
  let hash = PRIME_5;
  if (length >= STRIPE_SIZE) {
    hash = rotate(lanes[0] ?? 0, 1) + rotate(lanes[1] ?? 0, 7) + rotate(lanes[2] ?? 0, 12) + rotate(lanes[3] ?? 0, 18);
  }
  hash = (hash + length) | 0;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    hash = Math.imul(rotate((hash + Math.imul(view.getInt32(at, true), PRIME_3)) | 0, 17), PRIME_4);
  }
  for (; at < end; at++) {
    hash = Math.imul(rotate((hash + Math.imul(view.getUint8(at), PRIME_5)) | 0, 11), PRIME_1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function round(lane: number, word: number): number {
  return Math.imul(rotate((lane + Math.imul(word, PRIME_2)) | 0, 13), PRIME_1);
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
