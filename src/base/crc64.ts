// CRC-64/GO-ISO, the checksum of LTX files.
// Source: ISO 3309; Go's hash/crc64 with the table "ISO": polynomial x^64 + x^4 + x^3 + x + 1, reflected

/**
 * A CRC that takes its input in pieces.
 *
 * Two 32-bit halves, as BigInt allocates at every step; and no table, as none is needed: the polynomial's
 * low part has degree 4, so that 32 bits of input, multiplied by it, fit the 64 bits without a reduction.
 * The product is four shifted copies, and the bit order is reflected, so "times x" is a shift to the right.
 */
export class Crc64 {
  #high = -1;
  #low = -1;

  update(bytes: Uint8Array): this {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let high = this.#high;
    let low = this.#low;
    let at = 0;
    for (const end = bytes.byteLength - 3; at < end; at += 4) {
      const word = low ^ view.getUint32(at, true);
      low = high ^ (word << 31) ^ (word << 29) ^ (word << 28);
      high = word ^ (word >>> 1) ^ (word >>> 3) ^ (word >>> 4);
    }
    for (; at < bytes.byteLength; at++) {
      // The same for eight bits, which stand at the top of the word; the rest moves down.
      const word = (low ^ view.getUint8(at)) << 24;
      low = (low >>> 8) | (high << 24);
      high = (high >>> 8) ^ word ^ (word >>> 1) ^ (word >>> 3) ^ (word >>> 4);
      low ^= (word << 31) ^ (word << 29) ^ (word << 28);
    }
    this.#high = high;
    this.#low = low;
    return this;
  }

  /** The checksum of all bytes so far. */
  digest(): bigint {
    return (BigInt(~this.#high >>> 0) << 32n) | BigInt(~this.#low >>> 0);
  }
}
