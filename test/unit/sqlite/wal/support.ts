// What the tests of the write-ahead log share: an encoder that was written from the format's description alone, and
// logs made by SQLite itself.

import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { WalChecksum } from "../../../../src/sqlite/wal/format.ts";
import { readChanges, readWalHeader, type WalChanges, walStart } from "../../../../src/sqlite/wal/read.ts";
import { temporaryDirectory } from "../../../support/temporary.ts";

export type Frame = {
  readonly page: number;
  /** 0 within a transaction. */
  readonly commitSize: number;
  readonly data: Uint8Array;
};

/** The checksum word by word, as the format's description has it. */
export function checksumByWords([s0, s1]: WalChecksum, bytes: Uint8Array, bigEndian: boolean): WalChecksum {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let a = BigInt(s0);
  let b = BigInt(s1);
  for (let at = 0; at < bytes.byteLength; at += 8) {
    a = BigInt.asUintN(32, a + BigInt(view.getUint32(at, !bigEndian)) + b);
    b = BigInt.asUintN(32, b + BigInt(view.getUint32(at + 4, !bigEndian)) + a);
  }
  return [Number(a), Number(b)];
}

/** A log with those frames, checksums and all. */
export function encodeWal({
  pageSize,
  frames,
  bigEndian = false,
  salts = [7, 0xdead_beef],
}: {
  readonly pageSize: number;
  readonly frames: readonly Frame[];
  readonly bigEndian?: boolean;
  readonly salts?: readonly [number, number];
}): Uint8Array {
  const header = words([0x377f0682 + (bigEndian ? 1 : 0), 3007000, pageSize, 0, ...salts]);
  let checksum = checksumByWords([0, 0], header, bigEndian);
  const parts = [header, words(checksum)];
  for (const frame of frames) {
    const encoded = encodeFrame(frame, { after: checksum, salts, bigEndian });
    checksum = encoded.checksum;
    parts.push(encoded.bytes);
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** One frame that continues a log whose running checksum is `after`. */
export function encodeFrame(
  { page, commitSize, data }: Frame,
  {
    after,
    salts,
    bigEndian,
  }: { readonly after: WalChecksum; readonly salts: readonly [number, number]; readonly bigEndian: boolean },
): { readonly bytes: Uint8Array; readonly checksum: WalChecksum } {
  const start = words([page, commitSize]);
  const checksum = checksumByWords(checksumByWords(after, start, bigEndian), data, bigEndian);
  return { bytes: new Uint8Array(Buffer.concat([start, words(salts), words(checksum), data])), checksum };
}

function words(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    view.setUint32(i * 4, value >>> 0);
  });
  return bytes;
}

/** The frames of a log, whatever their salts and checksums. */
export function framesOf(wal: Uint8Array): readonly Frame[] {
  const view = new DataView(wal.buffer, wal.byteOffset, wal.byteLength);
  const pageSize = view.getUint32(8);
  const frames: Frame[] = [];
  for (let at = 32; at < wal.byteLength; at += 24 + pageSize) {
    const data = wal.slice(at + 24, at + 24 + pageSize);
    frames.push({ page: view.getUint32(at), commitSize: view.getUint32(at + 4), data });
  }
  return frames;
}

/** Puts the bytes into a file, and hands over its descriptor, for reading and for doing damage. */
export function withFile<Result>(bytes: Uint8Array, use: (file: number) => Result): Result {
  using directory = temporaryDirectory();
  const path = join(directory.path, "wal");
  writeFileSync(path, bytes);
  const file = openSync(path, "r+");
  try {
    return use(file);
  } finally {
    closeSync(file);
  }
}

/** What the frames after `from` up to `last` leave behind. */
export function changesIn(wal: Uint8Array, last: number, from = 0): WalChanges {
  return withFile(wal, (file) => {
    const header = readWalHeader(file);
    if (header === undefined) throw new Error("the log has no header");
    const start = from === 0 ? walStart(header) : readChanges(file, walStart(header), from).end;
    return readChanges(file, start, last);
  });
}

export type RealLog = {
  /** The database file without what the log holds. */
  readonly before: Uint8Array;
  readonly wal: Uint8Array;
  /** The database file with it, as SQLite's own checkpoint made it. */
  readonly after: Uint8Array;
  /** Frames that SQLite counts. The log may hold more. */
  readonly mxFrame: number;
};

/** Lets SQLite write a log. */
export function recordLog(
  pageSize: number,
  { prepare, record }: { readonly prepare: string; readonly record: readonly string[] },
): RealLog {
  using directory = temporaryDirectory();
  const path = join(directory.path, "app.db");
  using database = new DatabaseSync(path);
  database.exec(`PRAGMA page_size = ${pageSize}; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
    PRAGMA cache_size = 10; ${prepare}; PRAGMA wal_checkpoint(TRUNCATE)`);
  // Reading these files beside an open connection is harmless here, as no other process has the database.
  const before = new Uint8Array(readFileSync(path));
  for (const sql of record) database.exec(sql);
  const wal = new Uint8Array(readFileSync(`${path}-wal`));
  const { log } = database.prepare("PRAGMA wal_checkpoint(PASSIVE)").get() as { log: number };
  return { before, wal, after: new Uint8Array(readFileSync(path)), mxFrame: log };
}

/** The database that the log's frames make of `before`. */
export function applyChanges(before: Uint8Array, wal: Uint8Array, changes: WalChanges): Uint8Array {
  const { pageSize } = changes.end.header;
  const after = new Uint8Array(changes.commitSize * pageSize);
  after.set(before.subarray(0, Math.min(before.byteLength, changes.smallestCommitSize * pageSize, after.byteLength)));
  for (const [page, offset] of changes.pages) after.set(wal.subarray(offset, offset + pageSize), (page - 1) * pageSize);
  return after;
}

export function pageOf(size: number, fill: number): Uint8Array {
  return new Uint8Array(size).fill(fill);
}
