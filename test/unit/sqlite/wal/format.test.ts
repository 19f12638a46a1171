import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  addChecksum,
  decodeFrameHeader,
  decodeWalHeader,
  frameOffset,
  WAL_HEADER_SIZE,
} from "../../../../src/sqlite/wal/format.ts";
import { seededRandom } from "../../../support/random.ts";
import { FIXTURES } from "../../replica/ltx/support.ts";
import { checksumByWords, encodeWal, recordLog } from "./support.ts";

const read = (name: string) => new Uint8Array(readFileSync(join(FIXTURES, "upstream/wal-reader", name, "wal")));

describe("decodeWalHeader", () => {
  it.each(["ok", "salt-mismatch", "frame-checksum-mismatch", "frame-salts"])(
    "reads the header of Litestream's sample %s",
    (name) => {
      const wal = read(name);
      const view = new DataView(wal.buffer, wal.byteOffset);
      expect(decodeWalHeader(wal)).toEqual({
        pageSize: 4096,
        salts: [view.getUint32(16), view.getUint32(20)],
        checksum: [view.getUint32(24), view.getUint32(28)],
        bigEndian: false,
      });
    },
  );

  it.each([512, 1024, 2048, 4096, 8192, 16384, 32768, 65536])(
    "reads what SQLite writes for pages of %d bytes",
    (size) => {
      const { wal } = recordLog(size, { prepare: "CREATE TABLE t (x)", record: ["INSERT INTO t VALUES (1)"] });
      expect(decodeWalHeader(wal)?.pageSize).toBe(size);
    },
  );

  it("reads the byte order from the magic number", () => {
    expect(decodeWalHeader(encodeWal({ pageSize: 512, frames: [], bigEndian: true }))?.bigEndian).toBe(true);
    expect(decodeWalHeader(encodeWal({ pageSize: 512, frames: [], bigEndian: false }))?.bigEndian).toBe(false);
  });

  it("takes no header with a flipped bit, and none that is cut short", () => {
    const wal = encodeWal({ pageSize: 512, frames: [] });
    for (let bit = 0; bit < WAL_HEADER_SIZE * 8; bit += 1) {
      const damaged = wal.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(decodeWalHeader(damaged), `bit ${bit}`).toBeUndefined();
    }
    for (let size = 0; size < WAL_HEADER_SIZE; size += 1)
      expect(decodeWalHeader(wal.subarray(0, size))).toBeUndefined();
  });

  it("takes no page size that SQLite doesn't know, though the checksum is right", () => {
    for (const pageSize of [0, 1, 256, 1000, 131072])
      expect(decodeWalHeader(encodeWal({ pageSize, frames: [] }))).toBeUndefined();
  });
});

describe("decodeFrameHeader", () => {
  it("reads page, size after the commit, salts and checksum", () => {
    const wal = read("ok");
    const view = new DataView(wal.buffer, wal.byteOffset, wal.byteLength);
    const frames = [1, 2, 3].map((frame) => decodeFrameHeader(view, frameOffset(frame, 4096)));
    expect(frames.map(({ page, commitSize }) => ({ page, commitSize }))).toEqual([
      { page: 1, commitSize: 0 },
      { page: 2, commitSize: 2 },
      { page: 2, commitSize: 2 },
    ]);
    for (const { salts } of frames) expect(salts).toEqual(decodeWalHeader(wal)?.salts);
  });
});

describe("addChecksum", () => {
  it.each([true, false])("adds up as the format's description says (big-endian: %s)", (bigEndian) => {
    const random = seededRandom(1);
    for (let round = 0; round < 50; round += 1) {
      // At any offset in its buffer, as the pages in a chunk of the log are.
      const buffer = Uint8Array.from({ length: 600 }, () => Math.floor(random.unit() * 256));
      const start = Math.floor(random.unit() * 9);
      const bytes = buffer.subarray(start, start + 8 * Math.floor(random.unit() * 64));
      const before = [Math.floor(random.unit() * 2 ** 32), 0xffff_ffff] as const;
      expect(addChecksum(before, bytes, bigEndian)).toEqual(checksumByWords(before, bytes, bigEndian));
    }
  });
});
