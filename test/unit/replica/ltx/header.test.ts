import { describe, expect, it } from "vitest";
import { decodeHeader, encodeHeader, isSnapshot, NO_WAL } from "../../../../src/replica/ltx/header.ts";
import { toTxid } from "../../../../src/replica/ltx/txid.ts";
import { lockPage, parsePageNumber, parsePageSize } from "../../../../src/sqlite/page.ts";
import { headerWith, pageSizeOf, readFixture, SMALL_BLOCK_FILE } from "./support.ts";

const key = "ltx/0/x.ltx";

/** The golden example, as its bytes read. */
const GOLDEN = headerWith({
  pageSize: pageSizeOf(1024),
  commit: 7,
  min: toTxid(4n),
  max: toTxid(4n),
  timestampMs: 1795470772180,
  wal: { offsetBytes: 32, sizeBytes: 1048, salts: [0xabeb734e, 0x66a35475] },
});

describe("encodeHeader and decodeHeader", () => {
  it("read and write the header of Litestream's smallest file", () => {
    const bytes = readFixture(SMALL_BLOCK_FILE).subarray(0, 100);
    expect(decodeHeader(bytes, key)).toEqual(GOLDEN);
    expect(encodeHeader(GOLDEN)).toEqual(bytes);
  });

  it.each([
    ["the first file", headerWith()],
    ["a merge", headerWith({ wal: NO_WAL, min: toTxid(2n), max: toTxid(99n) })],
    ["a time before 1970", headerWith({ timestampMs: -1 })],
    [
      "the largest numbers",
      headerWith({ commit: 0xffffffff, max: toTxid((1n << 64n) - 1n), timestampMs: 2 ** 53 - 1 }),
    ],
    ["an empty database", headerWith({ commit: 0 })],
  ])("go round: %s", (_, header) => {
    expect(decodeHeader(encodeHeader(header), key)).toEqual(header);
  });

  it("ignores what the format reserves", () => {
    const bytes = encodeHeader(GOLDEN);
    bytes.fill(0xff, 72);
    expect(decodeHeader(bytes, key)).toEqual(GOLDEN);
  });
});

describe("decodeHeader", () => {
  it.each([
    ["another magic", [0, 0x4d], 'does not begin with "LTX1"', 0],
    ["an unknown flag", [7, 4], "flags 4 are not known", 4],
    ["an unknown flag in a high byte", [4, 1], "are not known", 4],
    ["no flags: tracked checksums", [7, 0], "tracks database checksums", 4],
    ["the flag of compressed version 1", [7, 1], "LTX version 1", 4],
    ["the flag of compressed version 1, without checksums", [7, 3], "LTX version 1", 4],
    ["a page size that is no power of two", [11, 1], "page size of 1025 bytes", 8],
    ["a first transaction of 0", [23, 0], "first transaction id is 0", 16],
    ["a last transaction before the first", [31, 3], "before the first", 24],
    ["a time beyond all times", [32, 0x7f], "beyond any size or time", 32],
    ["a checksum of the database before", [40, 0x80], "flags deny", 40],
    ["a log range without an offset", [55, 0], "contradicts itself", 48],
    ["a negative log offset", [48, 0xff], "beyond any size", 48],
    ["a negative log size", [56, 0xff], "beyond any size", 56],
  ] as [string, [number, number], string, number][])("refuses %s", (_, [at, value], problem, offset) => {
    const bytes = encodeHeader(GOLDEN);
    bytes[at] = value;
    const message = expect.stringMatching(new RegExp(`^Cannot read "ltx/0/x.ltx": .*${problem}.*, at byte ${offset}$`));
    expect(() => decodeHeader(bytes, key)).toThrow(expect.objectContaining({ code: "E_REPLICA_CORRUPT", message }));
  });

  it("refuses a file of LTX version 1 and names the reason", () => {
    const bytes = readFixture("upstream/ltx-v1/000000000000000d-000000000000000d.ltx");
    expect(() => decodeHeader(bytes, key)).toThrow("LTX version 1");
  });

  it("refuses a header that is cut off at any place", () => {
    for (let size = 0; size < 100; size++) {
      expect(() => decodeHeader(encodeHeader(GOLDEN).subarray(0, size), key)).toThrow(`at byte ${size}`);
    }
  });
});

describe("isSnapshot", () => {
  it("is true for what begins at transaction 1, whatever the level", () => {
    expect(isSnapshot(headerWith({ min: toTxid(1n), max: toTxid(9n) }))).toBe(true);
    expect(isSnapshot(headerWith({ min: toTxid(2n), max: toTxid(9n) }))).toBe(false);
  });
});

describe("lockPage", () => {
  it.each([
    [512, 2097153],
    [1024, 1048577],
    [2048, 524289],
    [4096, 262145],
    [8192, 131073],
    [16384, 65537],
    [32768, 32769],
    [65536, 16385],
  ])("is the page around byte 2^30: with pages of %i bytes, page %i", (size, page) => {
    expect(lockPage(pageSizeOf(size))).toBe(page);
  });
});

describe("parsePageSize", () => {
  it.each([0, 1, 256, 511, 513, 1000, 131072, 4096.5, -4096, Number.NaN])("knows no size of %f bytes", (value) => {
    expect(parsePageSize(value)).toBeUndefined();
  });
});

describe("parsePageNumber", () => {
  it("takes 1 to 2^32 - 2", () => {
    expect([1, 2 ** 32 - 2].map(parsePageNumber)).toEqual([1, 2 ** 32 - 2]);
    expect([0, -1, 1.5, 2 ** 32 - 1, Number.NaN].map(parsePageNumber)).toEqual(new Array(5).fill(undefined));
  });
});
