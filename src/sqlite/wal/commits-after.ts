// How many commits a log holds behind a place, by its file alone: for who looks on while no process of ours has the
// database open. Without SQLite's word a commit whose fsync failed counts too.

import { readSync } from "node:fs";
import { decodeFrameHeader, FRAME_HEADER_SIZE, frameOffset, RunningChecksum, sameSalts } from "./format.ts";
import type { WalPosition } from "./read.ts";

/** Counts commits up to the end of the valid log. The place must be there: see stillAt(). */
export function countCommitsAfter(file: number, { header, frame, checksum }: WalPosition): number {
  const buffer = new Uint8Array(FRAME_HEADER_SIZE + header.pageSize);
  const view = new DataView(buffer.buffer);
  const words = new Int32Array(buffer.buffer);
  const sum = new RunningChecksum(checksum, header.bigEndian);
  for (let next = frame + 1, commits = 0; ; next += 1) {
    const length = readSync(file, buffer, 0, buffer.byteLength, frameOffset(next, header.pageSize));
    if (length < buffer.byteLength) return commits;
    const found = decodeFrameHeader(view, 0);
    sum.add(words, 0, 2);
    sum.add(words, FRAME_HEADER_SIZE / 4, words.length);
    const [s0, s1] = sum.value;
    if (!sameSalts(found.salts, header.salts) || s0 !== found.checksum[0] || s1 !== found.checksum[1]) return commits;
    if (found.commitSize > 0) commits += 1;
  }
}
