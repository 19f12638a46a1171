import { describe, expect, it } from "vitest";
import { countCommitsAfter } from "../../../../src/sqlite/wal/commits-after.ts";
import { readChanges, readWalHeader, walStart } from "../../../../src/sqlite/wal/read.ts";
import { encodeWal, type Frame, pageOf, recordLog, withFile } from "./support.ts";

const frame = (page: number, commitSize: number): Frame => ({ page, commitSize, data: pageOf(512, page) });

/** Counts the commits behind frame `after`. */
function countIn(wal: Uint8Array, after = 0): number {
  return withFile(wal, (file) => {
    const header = readWalHeader(file);
    if (header === undefined) throw new Error("the log has no header");
    const start = walStart(header);
    return countCommitsAfter(file, after === 0 ? start : readChanges(file, start, after).end);
  });
}

const frames = [frame(1, 2), frame(2, 0), frame(1, 2), frame(2, 0), frame(3, 0), frame(1, 3)];

describe("countCommitsAfter", () => {
  it.each([false, true])("counts the commits of a log, and not its frames (big-endian: %s)", (bigEndian) => {
    const wal = encodeWal({ pageSize: 512, frames, bigEndian });
    expect(countIn(wal)).toBe(3);
    expect(countIn(wal, 1)).toBe(2);
    expect(countIn(wal, 3)).toBe(1);
    expect(countIn(wal, 6)).toBe(0);
  });

  it("does not count a transaction without its last frame", () => {
    const wal = encodeWal({ pageSize: 512, frames: [...frames, frame(2, 0), frame(4, 0)] });
    expect(countIn(wal)).toBe(3);
    expect(countIn(wal, 6)).toBe(0);
  });

  it("stops where the valid log does: cut off, damaged, or left of an earlier log", () => {
    const wal = encodeWal({ pageSize: 512, frames });
    expect(countIn(wal.subarray(0, wal.byteLength - 1))).toBe(2);
    const damaged = wal.slice();
    damaged[32 + 24 + 2 * (24 + 512)] = 0xff; // a byte of the third frame's page
    expect(countIn(damaged)).toBe(1);
    const other = encodeWal({ pageSize: 512, frames, salts: [8, 9] });
    expect(countIn(new Uint8Array(Buffer.concat([wal.subarray(0, 32 + 536), other.subarray(32 + 536)])))).toBe(1);
  });

  it("agrees with SQLite on a log that it wrote", () => {
    const record = Array.from({ length: 25 }, (_, n) => `INSERT INTO t VALUES (${n}, zeroblob(3000))`);
    const { wal } = recordLog(1024, { prepare: "CREATE TABLE t (x, y)", record });
    expect(countIn(wal)).toBe(25);
  });
});
