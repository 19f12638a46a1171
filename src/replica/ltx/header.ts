// The header of an LTX file: which transactions the file holds, and of which database.
// Source: superfly/ltx, format version 3; Litestream 0.5

import { assert } from "../../base/assert.ts";
import { type PageSize, parsePageSize } from "../../sqlite/page.ts";
import { corrupt } from "./corrupt.ts";
import { FIRST_TXID, type Txid, toTxid } from "./txid.ts";

/** Size of the header, in bytes. */
export const LTX_HEADER_SIZE = 100;

/** "LTX1". The digit is part of the name; no field tells the format's version. */
const MAGIC = 0x4c_54_58_31;

/** Flag of LTX version 1: pages are compressed. */
const FLAG_LZ4 = 1;

/**
 * Flag: the file carries no checksum of the database before and after.
 *
 * Litestream sets it on every file, and fails to merge or restore a file without it.
 */
const FLAG_NO_CHECKSUM = 2;

/** The part of the write-ahead log that a file was read from, or all zero. */
export type LtxWalRange = {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  readonly salts: readonly [number, number];
};

export type LtxHeader = {
  readonly pageSize: PageSize;
  /** Size of the database after this file, in pages. */
  readonly commit: number;
  readonly min: Txid;
  readonly max: Txid;
  /** When the state after `max` was current, in milliseconds since the Unix epoch. */
  readonly timestampMs: number;
  readonly wal: LtxWalRange;
};

/** For files that were not read from a write-ahead log: merges. */
export const NO_WAL: LtxWalRange = { offsetBytes: 0, sizeBytes: 0, salts: [0, 0] };

/** True if the file holds every page of the database, so that a restore can start with it. */
export function isSnapshot(header: LtxHeader): boolean {
  return header.min === FIRST_TXID;
}

export function encodeHeader(header: LtxHeader): Uint8Array {
  const { min, max, wal } = header;
  assert(min >= FIRST_TXID && min <= max, `no range of transactions: ${min} to ${max}`);
  assert(
    Number.isInteger(header.commit) && header.commit >= 0 && header.commit <= 0xff_ff_ff_ff,
    `no page count: ${header.commit}`,
  );
  assert(Number.isSafeInteger(header.timestampMs), `no time: ${header.timestampMs}`);
  assert(isWalRange(wal), `no range of a write-ahead log: ${wal.offsetBytes}, ${wal.sizeBytes} bytes`);
  const bytes = new Uint8Array(LTX_HEADER_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, FLAG_NO_CHECKSUM);
  view.setUint32(8, header.pageSize);
  view.setUint32(12, header.commit);
  view.setBigUint64(16, min);
  view.setBigUint64(24, max);
  view.setBigInt64(32, BigInt(header.timestampMs));
  // 40: checksum of the database before this file, zero by FLAG_NO_CHECKSUM.
  view.setBigInt64(48, BigInt(wal.offsetBytes));
  view.setBigInt64(56, BigInt(wal.sizeBytes));
  view.setUint32(64, wal.salts[0]);
  view.setUint32(68, wal.salts[1]);
  // 72: node id, zero in all of Litestream's files; 80: reserved.
  return bytes;
}

/** Reads the header that `bytes` begin with; `key` is the file's, for messages. */
export function decodeHeader(bytes: Uint8Array, key: string): LtxHeader {
  if (bytes.byteLength < LTX_HEADER_SIZE) {
    throw corrupt({ key, offset: bytes.byteLength }, "the file ends within its header");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, LTX_HEADER_SIZE);
  if (view.getUint32(0) !== MAGIC) throw corrupt({ key, offset: 0 }, 'it does not begin with "LTX1"');
  checkFlags(view.getUint32(4), key);
  const pageSize = parsePageSize(view.getUint32(8));
  if (pageSize === undefined) {
    throw corrupt({ key, offset: 8 }, `a page size of ${view.getUint32(8)} bytes is not one of SQLite's`);
  }
  const min = toTxid(view.getBigUint64(16));
  const max = toTxid(view.getBigUint64(24));
  if (min < FIRST_TXID) throw corrupt({ key, offset: 16 }, "the first transaction id is 0");
  if (max < min) throw corrupt({ key, offset: 24 }, "the last transaction id lies before the first");
  if (view.getBigUint64(40) !== 0n) throw corrupt({ key, offset: 40 }, "a checksum stands where its flags deny one");
  const wal: LtxWalRange = {
    offsetBytes: decodeInt64(view, 48, key),
    sizeBytes: decodeInt64(view, 56, key),
    salts: [view.getUint32(64), view.getUint32(68)],
  };
  if (!isWalRange(wal)) throw corrupt({ key, offset: 48 }, "its range of the write-ahead log contradicts itself");
  return { pageSize, commit: view.getUint32(12), min, max, timestampMs: decodeInt64(view, 32, key), wal };
}

function checkFlags(flags: number, key: string): void {
  if (flags === FLAG_NO_CHECKSUM) return;
  const place = { key, offset: 4 };
  if ((flags & ~(FLAG_LZ4 | FLAG_NO_CHECKSUM)) !== 0) throw corrupt(place, `its flags ${flags} are not known`);
  if ((flags & FLAG_LZ4) !== 0) throw corrupt(place, "it is of LTX version 1, and only version 3 can be read");
  throw corrupt(place, "it tracks database checksums, as LTX version 1 does and no file of Litestream 0.5");
}

/** A range within a log begins behind nothing only if there is no log at all. */
function isWalRange({ offsetBytes, sizeBytes, salts }: LtxWalRange): boolean {
  if (!Number.isSafeInteger(offsetBytes) || !Number.isSafeInteger(sizeBytes)) return false;
  if (offsetBytes < 0 || sizeBytes < 0) return false;
  return offsetBytes > 0 || (sizeBytes === 0 && salts[0] === 0 && salts[1] === 0);
}

/** Sizes and times above 2^53 occur in no real file, so a number holds them. */
function decodeInt64(view: DataView, offset: number, key: string): number {
  const value = Number(view.getBigInt64(offset));
  if (!Number.isSafeInteger(value)) throw corrupt({ key, offset }, `${value} is beyond any size or time`);
  return value;
}
