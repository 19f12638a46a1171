// The committed frames of a write-ahead log, read and verified up to a frame that SQLite vouches for.
// Source: https://sqlite.org/fileformat2.html#the_write_ahead_log, section 4

import { readSync } from "node:fs";
import type { PageNumber } from "../page.ts";
import {
  decodeFrameHeader,
  decodeWalHeader,
  FRAME_HEADER_SIZE,
  frameOffset,
  RunningChecksum,
  sameSalts,
  WAL_HEADER_SIZE,
  type WalChecksum,
  type WalHeader,
} from "./format.ts";

/** Where the log was read to: everything up to and including frame `frame` of the log with this header. */
export type WalPosition = {
  readonly header: WalHeader;
  /** Number of frames, so also the number of the last one; 0 at the log's start. */
  readonly frame: number;
  /** The running checksum after that frame. */
  readonly checksum: WalChecksum;
};

/** What the transactions between two positions leave behind. */
export type WalChanges = {
  /** Size of the database in pages after the last transaction. */
  readonly commitSize: number;
  /** Smallest size in pages after any of the transactions. Pages above it lost their old content. */
  readonly smallestCommitSize: number;
  /** Newest content of each page up to commitSize: byte offset in the log where the page begins. */
  readonly pages: ReadonlyMap<PageNumber, number>;
  readonly end: WalPosition;
};

/** The log does not hold what SQLite says it holds: a restart raced with the reading, or it is damaged. */
export class WalMismatch extends Error {}

/** Frames that are read at once, in bytes: large enough to spare calls, small enough to stay in the cache. */
const CHUNK_BYTES = 256 * 1024;

/** Offset of the count of checkpoints in the log's header, in bytes. It counts for the connection that wrote it. */
const CHECKPOINT_SEQUENCE = 12;

/** Reads the header of the open log; undefined where there is none. */
export function readWalHeader(file: number): WalHeader | undefined {
  const bytes = new Uint8Array(WAL_HEADER_SIZE);
  return readSync(file, bytes, 0, WAL_HEADER_SIZE, 0) < WAL_HEADER_SIZE ? undefined : decodeWalHeader(bytes);
}

/**
 * True where the log's header is the first that its file ever had, or had since a TRUNCATE checkpoint: then, and only
 * then, the first writer may draw both salts anew.
 */
export function isFirstHeader(file: number): boolean {
  const bytes = new Uint8Array(WAL_HEADER_SIZE);
  const length = readSync(file, bytes, 0, WAL_HEADER_SIZE, 0);
  return length === WAL_HEADER_SIZE && new DataView(bytes.buffer).getUint32(CHECKPOINT_SEQUENCE) === 0;
}

/** The position before the first frame. */
export function walStart(header: WalHeader): WalPosition {
  return { header, frame: 0, checksum: header.checksum };
}

/** True when the frame at `position` is still the one that was read there. */
export function stillAt(file: number, position: WalPosition): boolean {
  const header = readWalHeader(file);
  if (header === undefined || !sameSalts(header.salts, position.header.salts)) return false;
  if (position.frame === 0) return true;
  const bytes = new Uint8Array(FRAME_HEADER_SIZE);
  const offset = frameOffset(position.frame, position.header.pageSize);
  if (readSync(file, bytes, 0, FRAME_HEADER_SIZE, offset) < FRAME_HEADER_SIZE) return false;
  const { salts, checksum } = decodeFrameHeader(new DataView(bytes.buffer), 0);
  return (
    sameSalts(salts, position.header.salts) &&
    checksum[0] === position.checksum[0] &&
    checksum[1] === position.checksum[1]
  );
}

/**
 * Reads the frames after `from` up to frame `last`, verifies salts and running checksum of each, and gives
 * the newest place of each page. Throws WalMismatch where a frame is not what it must be, or where `last`
 * does not end a transaction.
 *
 * `last` must come from SQLite itself (mxFrame): a checksum alone also vouches for a commit whose fsync
 * failed, which the application was told did not happen.
 */
export function readChanges(file: number, from: WalPosition, last: number): WalChanges {
  const { header } = from;
  const frameSize = FRAME_HEADER_SIZE + header.pageSize;
  const framesPerChunk = Math.max(1, Math.floor(CHUNK_BYTES / frameSize));
  const buffer = new Uint8Array(Math.min(framesPerChunk, last - from.frame) * frameSize);
  const view = new DataView(buffer.buffer);
  const words = new Int32Array(buffer.buffer);

  const pages = new Map<PageNumber, number>();
  /** Pages of the transaction that has not ended yet, each behind the offset of its content. */
  const inTransaction: number[] = [];
  const checksum = new RunningChecksum(from.checksum, header.bigEndian);
  let commitSize = 0;
  let smallestCommitSize = Number.MAX_SAFE_INTEGER;

  for (let frame = from.frame + 1; frame <= last; ) {
    const length = Math.min(framesPerChunk, last - frame + 1) * frameSize;
    const start = frameOffset(frame, header.pageSize);
    if (readSync(file, buffer, 0, length, start) < length) {
      throw new WalMismatch(`the log ends before frame ${last}`);
    }
    for (let at = 0; at < length; at += frameSize, frame += 1) {
      const word = at >> 2;
      checksum.add(words, word, word + 2); // page and commit size; not the salts and the sum itself
      checksum.add(words, word + FRAME_HEADER_SIZE / 4, (at + frameSize) >> 2);
      const found = decodeFrameHeader(view, at);
      if (!sameSalts(found.salts, header.salts)) throw new WalMismatch(`frame ${frame} has other salts`);
      const [s0, s1] = checksum.value;
      if (s0 !== found.checksum[0] || s1 !== found.checksum[1]) {
        throw new WalMismatch(`frame ${frame} has a wrong checksum`);
      }
      if (found.page === 0) throw new WalMismatch(`frame ${frame} names page 0`);
      inTransaction.push(start + at + FRAME_HEADER_SIZE, found.page);
      if (found.commitSize === 0) continue;

      // A shrunken database forgets what was above its end, even if it grows again.
      if (found.commitSize < commitSize) forgetAbove(pages, found.commitSize);
      for (let i = 0; i < inTransaction.length; i += 2) {
        const page = inTransaction[i + 1] as PageNumber;
        if (page <= found.commitSize) pages.set(page, inTransaction[i] as number);
      }
      inTransaction.length = 0;
      commitSize = found.commitSize;
      smallestCommitSize = Math.min(smallestCommitSize, commitSize);
    }
  }
  if (inTransaction.length > 0 || commitSize === 0) throw new WalMismatch(`frame ${last} does not end a transaction`);
  return { commitSize, smallestCommitSize, pages, end: { header, frame: last, checksum: checksum.value } };
}

function forgetAbove(pages: Map<PageNumber, number>, size: number): void {
  for (const page of pages.keys()) if (page > size) pages.delete(page);
}
