import { describe, expect, it } from "vitest";
import { FlysqliteError } from "../../../../src/base/errors.ts";
import { decodeLtx } from "../../../../src/replica/ltx/decode.ts";
import { toTxid } from "../../../../src/replica/ltx/txid.ts";
import {
  decode,
  encode,
  headerWith,
  inChunks,
  noise,
  pageOf,
  pageSizeOf,
  readFixture,
  SMALL_BLOCK_FILE,
  SMALL_FRAME_FILE,
} from "./support.ts";

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

/**
 * Bytes of the two files that may be other ones, and with which values. The file's checksum is that of the page before
 * its compression, so a byte of the block may change where the page stays the same. Both files hold the same block.
 */
const HARMLESS = (block: number) =>
  new Map([
    // A repetition of the two zeros just written is one of the last zero, too.
    [block + 13, [1]],
    // The second repetition copies four zeros from a run of a thousand: any distance into the run will do.
    [block + 20, range(1, 255).filter((value) => value !== 2)],
    [block + 21, [1, 2, 3]],
    // The last token has no repetition, and nothing reads its four bits for one.
    [block + 22, range(0xc1, 0xcf)],
  ]);

describe("decodeLtx, given a damaged file", () => {
  it.each([
    ["block", SMALL_BLOCK_FILE, HARMLESS(110)],
    ["frame", SMALL_FRAME_FILE, HARMLESS(117)],
  ])("refuses every change of any byte that changes its content: %s", async (_, path, harmless) => {
    const sound = readFixture(path);
    const expected = await decode(sound);
    const accepted = new Map<number, number[]>();
    for (const [at, byte] of sound.entries()) {
      for (const value of range(0, 255).filter((other) => other !== byte)) {
        const damaged = sound.slice();
        damaged[at] = value;
        const result = await decode(damaged).catch((error: unknown) => {
          if (error instanceof FlysqliteError && error.code === "E_REPLICA_CORRUPT") return undefined;
          throw error;
        });
        if (result === undefined) continue;
        expect(result).toEqual(expected);
        accepted.set(at, [...(accepted.get(at) ?? []), value]);
      }
    }
    expect(accepted).toEqual(harmless);
  });

  it.each([
    ["a single page in a block", SMALL_BLOCK_FILE],
    ["a single page in a frame", SMALL_FRAME_FILE],
    ["a snapshot of blocks", "generated/v0.5.16/replica/ltx/9/0000000000000001-0000000000000002.ltx"],
    ["a snapshot of frames", "generated/v0.5.15/replica/ltx/9/0000000000000001-0000000000000002.ltx"],
  ])("refuses it cut off at any place, and says where it ends: %s", async (_, path) => {
    const sound = readFixture(path);
    for (let size = 0; size < sound.length; size++) {
      const error = await decode(sound.subarray(0, size), { key: "cut.ltx" }).catch((thrown: unknown) => thrown);
      if (!(error instanceof FlysqliteError)) throw error;
      expect(error.code).toBe("E_REPLICA_CORRUPT");
      expect(error.message).toMatch(/^Cannot read "cut.ltx": .*, at byte \d+$/);
    }
  });

  it("refuses bytes after the trailer, and says where they begin", async () => {
    const bytes = Uint8Array.from([...readFixture(SMALL_BLOCK_FILE), 0]);
    await expect(decode(bytes)).rejects.toThrow("bytes follow its trailer, at byte 179");
  });

  it("refuses a file under the name of another", async () => {
    const key = "ltx/0/0000000000000005-0000000000000005.ltx";
    await expect(decode(readFixture(SMALL_BLOCK_FILE), { key })).rejects.toThrow(
      `Cannot read "${key}": its header is that of "0000000000000004-0000000000000004.ltx", at byte 16`,
    );
  });

  it("refuses the older versions of the format by name", async () => {
    const version1 = readFixture("upstream/ltx-v1/000000000000000d-000000000000000d.ltx");
    await expect(decode(version1)).rejects.toThrow("LTX version 1");
    // Version 2 has the same header, and no flags in front of a page's LZ4 frame.
    const version3 = readFixture(SMALL_FRAME_FILE);
    const version2 = Uint8Array.from([...version3.subarray(0, 104), ...version3.subarray(106)]);
    await expect(decode(version2)).rejects.toThrow("LTX version 2");
  });

  it("believes no size that a page can't need", async () => {
    const bytes = readFixture(SMALL_BLOCK_FILE);
    bytes.set([0xff, 0xff, 0xff, 0xff], 106);
    await expect(decode(bytes)).rejects.toThrow(
      "a block of 4294967295 bytes is larger than a page can need, at byte 106",
    );
  });

  it("reads no further than a little beyond the damage", async () => {
    const page = pageOf(1, 4096, noise(1));
    const bytes = encode(headerWith({ pageSize: pageSizeOf(4096), commit: 1 }), [page]);
    bytes[200] = (bytes[200] ?? 0) ^ 1;
    let chunks = 0;
    let closed = false;
    async function* endless() {
      try {
        for await (const chunk of inChunks(bytes, 1024)) yield chunk;
        for (; ; chunks++) yield new Uint8Array(1024);
      } finally {
        closed = true;
      }
    }
    await expect(decodeLtx(endless(), "x", { onPage: () => {} })).rejects.toThrow("LZ4");
    expect(chunks).toBeLessThan(50);
    expect(closed).toBe(true);
  });
});

describe("decodeLtx, given pages that may not be", () => {
  /** A sound file of pages 2, 3 and 4, whose page numbers and header are then changed. */
  const file = () =>
    encode(
      headerWith({ commit: 9, min: toTxid(2n), max: toTxid(2n) }),
      [2, 3, 4].map((page) => pageOf(page, 512)),
    );
  // Its trailer, the index's size, one entry of 3 bytes and the end of index and pages taken off.
  const pageSizeInFile = encode(headerWith({ commit: 1 }), [pageOf(1, 512)]).length - 100 - 6 - 4 - 8 - 16;

  it.each([
    ["twice the same page", 1, 2, "page 2 comes after page 2"],
    ["a page out of order", 2, 1, "page 1 comes after page 3"],
    ["a page beyond the database", 2, 10, "page 10 lies beyond the database's 9 pages"],
    ["a page number that can't be", 0, 0xffffffff, "no page can have number 4294967295"],
  ])("refuses %s", async (_, nth, page, problem) => {
    const bytes = file();
    new DataView(bytes.buffer).setUint32(100 + nth * pageSizeInFile, page);
    await expect(decode(bytes)).rejects.toThrow(`${problem}, at byte ${100 + nth * pageSizeInFile}`);
  });

  it("refuses the lock page", async () => {
    const bytes = file();
    const view = new DataView(bytes.buffer);
    view.setUint32(12, 3_000_000);
    view.setUint32(100 + 2 * pageSizeInFile, 2097153);
    await expect(decode(bytes)).rejects.toThrow("page 2097153 is the lock page");
  });

  it("refuses a full copy with pages missing at the start, within or at the end", async () => {
    const beginsAtOne = file();
    new DataView(beginsAtOne.buffer).setBigUint64(16, 1n);
    await expect(decode(beginsAtOne)).rejects.toThrow("page 1 is missing from a full copy, at byte 100");
    const within = encode(headerWith({ commit: 2 }), [pageOf(1, 512), pageOf(2, 512)]);
    new DataView(within.buffer).setUint32(12, 3);
    await expect(decode(within)).rejects.toThrow("page 3 is missing from a full copy");
    new DataView(within.buffer).setUint32(100 + pageSizeInFile, 3);
    await expect(decode(within)).rejects.toThrow("page 2 is missing from a full copy");
  });

  it("passes on what its source and its handlers throw", async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield file().subarray(0, 150);
      throw new Error("connection reset");
    }
    await expect(decodeLtx(broken(), "x", { onPage: () => {} })).rejects.toThrow("connection reset");
    const onPage = () => {
      throw new Error("disk full");
    };
    await expect(decodeLtx(inChunks(file()), "x", { onPage })).rejects.toThrow("disk full");
  });
});
