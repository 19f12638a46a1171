// SQLite's write-ahead log, decoded. Pure: bytes in, values out; wal/read.ts reads the file.
// Source: https://sqlite.org/fileformat2.html#the_write_ahead_log, section 4

import { type PageSize, parsePageSize } from "../page.ts";

/** Both salts of a log's header; they change each time the log is restarted. */
export type Salts = readonly [number, number];

/** The running checksum over the log, after its header or after a frame. */
export type WalChecksum = readonly [number, number];

export type WalHeader = {
  readonly pageSize: PageSize;
  readonly salts: Salts;
  readonly checksum: WalChecksum;
  /** True where the checksums are over big-endian words. */
  readonly bigEndian: boolean;
};

export const WAL_HEADER_SIZE = 32;

/** Size of a frame's header, in bytes. The page follows it. */
export const FRAME_HEADER_SIZE = 24;

const MAGIC = 0x377f0682;
const FORMAT_VERSION = 3007000;

/** Byte offset of frame `frame`, counted from 1, in a log of that page size. */
export function frameOffset(frame: number, pageSize: number): number {
  return WAL_HEADER_SIZE + (frame - 1) * (FRAME_HEADER_SIZE + pageSize);
}

/** Decodes the log's header; undefined where there is none that is whole and sound. */
export function decodeWalHeader(bytes: Uint8Array): WalHeader | undefined {
  if (bytes.byteLength < WAL_HEADER_SIZE) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0);
  if ((magic & ~1) !== MAGIC || view.getUint32(4) !== FORMAT_VERSION) return undefined;
  const pageSize = parsePageSize(view.getUint32(8));
  if (pageSize === undefined) return undefined;
  const bigEndian = (magic & 1) === 1;
  const checksum = addChecksum([0, 0], bytes.subarray(0, 24), bigEndian);
  if (checksum[0] !== view.getUint32(24) || checksum[1] !== view.getUint32(28)) return undefined;
  return { pageSize, salts: [view.getUint32(16), view.getUint32(20)], checksum, bigEndian };
}

export type FrameHeader = {
  readonly page: number;
  /** Size of the database in pages after this commit; 0 where the frame is not the last of a transaction. */
  readonly commitSize: number;
  readonly salts: Salts;
  readonly checksum: WalChecksum;
};

/** Decodes the frame header at `offset`, in bytes from the start of `view`. */
export function decodeFrameHeader(view: DataView, offset: number): FrameHeader {
  return {
    page: view.getUint32(offset),
    commitSize: view.getUint32(offset + 4),
    salts: [view.getUint32(offset + 8), view.getUint32(offset + 12)],
    checksum: [view.getUint32(offset + 16), view.getUint32(offset + 20)],
  };
}

export function sameSalts(a: Salts, b: Salts): boolean {
  return a[0] === b[0] && a[1] === b[1];
}

const hostIsLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** Continues a running checksum over `bytes`, whose length must be a multiple of 8. */
export function addChecksum(start: WalChecksum, bytes: Uint8Array, bigEndian: boolean): WalChecksum {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const sum = new RunningChecksum(start, bigEndian);
  sum.add(new Int32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 2), 0, aligned.byteLength >> 2);
  return sum.value;
}

/**
 * The running checksum, for many frames: it keeps to 32-bit integers, and so sums some gigabytes a second where
 * numbers that outgrow them would be ten times slower.
 */
export class RunningChecksum {
  readonly #swap: boolean;
  #s0: number;
  #s1: number;

  constructor([s0, s1]: WalChecksum, bigEndian: boolean) {
    this.#swap = bigEndian === hostIsLittleEndian;
    this.#s0 = s0 | 0;
    this.#s1 = s1 | 0;
  }

  get value(): WalChecksum {
    return [this.#s0 >>> 0, this.#s1 >>> 0];
  }

  /** Adds the words from index `from` up to, not including, index `to`: an even number of them. */
  add(words: Int32Array, from: number, to: number): void {
    if (this.#swap) this.#addSwapped(words, from, to);
    else this.#addPlain(words, from, to);
  }

  #addPlain(words: Int32Array, from: number, to: number): void {
    let s0 = this.#s0 | 0; // tells the compiler that they are integers
    let s1 = this.#s1 | 0;
    for (let i = from; i < to; i = (i + 2) | 0) {
      s0 = (((s0 + s1) | 0) + (words[i] as number)) | 0;
      s1 = (((s1 + (words[i + 1] as number)) | 0) + s0) | 0;
    }
    this.#s0 = s0;
    this.#s1 = s1;
  }

  #addSwapped(words: Int32Array, from: number, to: number): void {
    let s0 = this.#s0 | 0; // tells the compiler that they are integers
    let s1 = this.#s1 | 0;
    for (let i = from; i < to; i = (i + 2) | 0) {
      s0 = (((s0 + s1) | 0) + swapBytes(words[i] as number)) | 0;
      s1 = (((s1 + swapBytes(words[i + 1] as number)) | 0) + s0) | 0;
    }
    this.#s0 = s0;
    this.#s1 = s1;
  }
}

function swapBytes(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}
