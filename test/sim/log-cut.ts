// What a power cut leaves of a write-ahead log: all that was made durable, and of the rest as much as had reached the
// disk. Nobody may have the database open.
// Source: SQLite's wal.c; a checkpoint makes the log durable before it copies, a restart its header

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Random } from "../../src/base/context.ts";
import {
  decodeFrameHeader,
  decodeWalHeader,
  frameOffset,
  sameSalts,
  WAL_HEADER_SIZE,
  type WalHeader,
} from "../../src/sqlite/wal/format.ts";

/** How much of a log was made durable from outside of SQLite. */
export type Durable = { readonly salts: string; readonly bytes: number };

/** Offset of nBackfill in the -shm file, in bytes. Source: https://sqlite.org/walformat.html, section 2.2 */
const CHECKPOINTED = 96;

export function durableNow(path: string): Durable | undefined {
  const log = `${path}-wal`;
  if (!existsSync(log)) return undefined;
  const bytes = readFileSync(log);
  const header = decodeWalHeader(bytes);
  return header && { salts: header.salts.join(), bytes: endOf(bytes, header) };
}

/**
 * What is known to be durable when the last process lets go of the log: the next one to open it can't tell any more what
 * was copied from it, and that was made durable before.
 */
export function durableAtEnd(path: string, before: Durable | undefined): Durable | undefined {
  const [log, index] = [`${path}-wal`, `${path}-shm`];
  if (!existsSync(log) || !existsSync(index)) return before;
  const header = decodeWalHeader(readFileSync(log));
  if (header === undefined) return before;
  const salts = header.salts.join();
  const bytes = frameOffset(readCheckpointed(index) + 1, header.pageSize);
  return before?.salts === salts && before.bytes >= bytes ? before : { salts, bytes };
}

function readCheckpointed(index: string): number {
  const bytes = readFileSync(index);
  return bytes.byteLength >= CHECKPOINTED + 4 ? bytes.readUInt32LE(CHECKPOINTED) : 0;
}

/** Where the frames end that were written since the log began, in bytes. Behind them may be what an earlier one had. */
function endOf(bytes: Buffer, { salts, pageSize }: WalHeader): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let frame = 1; ; frame += 1) {
    const [start, next] = [frameOffset(frame, pageSize), frameOffset(frame + 1, pageSize)];
    if (next > bytes.byteLength || !sameSalts(decodeFrameHeader(view, start).salts, salts)) return start;
  }
}

export function cutLog(
  path: string,
  { durable, random }: { readonly durable: Durable | undefined; readonly random: Random },
): void {
  const [log, index] = [`${path}-wal`, `${path}-shm`];
  if (!existsSync(log)) return;
  const bytes = readFileSync(log);
  const header = decodeWalHeader(bytes);
  if (header === undefined) return;
  const checkpointed = existsSync(index) ? readCheckpointed(index) : 0;
  const most = endOf(bytes, header);
  const least = Math.min(
    most,
    Math.max(
      WAL_HEADER_SIZE,
      frameOffset(checkpointed + 1, header.pageSize),
      durable?.salts === header.salts.join() ? durable.bytes : 0,
    ),
  );
  const end = random.unit() < 0.3 ? least : least + Math.floor(random.unit() * (most - least + 1));
  // Its size may have reached the disk where its content had not.
  if (random.unit() < 0.3) writeFileSync(log, bytes.fill(0, end));
  else writeFileSync(log, bytes.subarray(0, end));
  rmSync(index, { force: true });
}
