// xxHash32 with seed 0, the checksum inside LZ4 frames.
// Source: xxHash fast digest algorithm, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md

const PRIME_1 = 0x9e3779b1;
const PRIME_2 = 0x85ebca77;
const PRIME_3 = 0xc2b2ae3d;
const PRIME_4 = 0x27d4eb2f;
const PRIME_5 = 0x165667b1;

/** The hash works on four lanes of 32 bits at a time. */
const STRIPE_SIZE = 16;

/** The hash as an unsigned 32-bit number. */
export function xxHash32(bytes: Uint8Array): number {
  return new XxHash32().update(bytes).digest();
}

/** The hash of what comes in pieces. */
export class XxHash32 {
  #a = (PRIME_1 + PRIME_2) | 0;
  #b = PRIME_2 | 0;
  #c = 0;
  #d = -PRIME_1 | 0;
  /** In bytes; of the sum, the last 32 bits count. */
  #length = 0;
  /** The last bytes, which don't fill a stripe yet. */
  readonly #rest = new Uint8Array(STRIPE_SIZE);
  #restSize = 0;

  update(bytes: Uint8Array): this {
    this.#length += bytes.byteLength;
    let at = 0;
    if (this.#restSize > 0) {
      at = Math.min(STRIPE_SIZE - this.#restSize, bytes.byteLength);
      this.#rest.set(bytes.subarray(0, at), this.#restSize);
      this.#restSize += at;
      if (this.#restSize < STRIPE_SIZE) return this;
      this.#addStripes(this.#rest, 0);
    }
    const end = this.#addStripes(bytes, at);
    this.#rest.set(bytes.subarray(end));
    this.#restSize = bytes.byteLength - end;
    return this;
  }

  /** The hash of all bytes so far, as an unsigned 32-bit number. */
  digest(): number {
    const view = new DataView(this.#rest.buffer);
    const size = this.#restSize;
    let hash = PRIME_5;
    if (this.#length >= STRIPE_SIZE) {
      hash = rotate(this.#a, 1) + rotate(this.#b, 7) + rotate(this.#c, 12) + rotate(this.#d, 18);
    }
    hash = (hash + this.#length) | 0;
    let at = 0;
    for (; at + 4 <= size; at += 4) {
      hash = Math.imul(rotate((hash + Math.imul(view.getInt32(at, true), PRIME_3)) | 0, 17), PRIME_4);
    }
    for (; at < size; at++) {
      hash = Math.imul(rotate((hash + Math.imul(view.getUint8(at), PRIME_5)) | 0, 11), PRIME_1);
    }
    hash = Math.imul(hash ^ (hash >>> 15), PRIME_2);
    hash = Math.imul(hash ^ (hash >>> 13), PRIME_3);
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  /** Takes the whole stripes of `bytes` from `start`, and gives where they end. */
  #addStripes(bytes: Uint8Array, start: number): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let a = this.#a;
    let b = this.#b;
    let c = this.#c;
    let d = this.#d;
    let at = start;
    for (const end = bytes.byteLength - STRIPE_SIZE; at <= end; at += STRIPE_SIZE) {
      a = round(a, view.getInt32(at, true));
      b = round(b, view.getInt32(at + 4, true));
      c = round(c, view.getInt32(at + 8, true));
      d = round(d, view.getInt32(at + 12, true));
    }
    this.#a = a;
    this.#b = b;
    this.#c = c;
    this.#d = d;
    return at;
  }
}

function round(lane: number, word: number): number {
  return Math.imul(rotate((lane + Math.imul(word, PRIME_2)) | 0, 13), PRIME_1);
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
