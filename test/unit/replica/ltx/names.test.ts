import { describe, expect, it } from "vitest";
import { formatLtxName, parseLtxName } from "../../../../src/replica/ltx/names.ts";
import { formatTxid, nextTxid, parseTxid, toTxid } from "../../../../src/replica/ltx/txid.ts";

describe("parseTxid", () => {
  it.each([
    ["0000000000000000", 0n],
    ["0000000000000001", 1n],
    ["00000000000003e8", 1000n],
    ["ffffffffffffffff", (1n << 64n) - 1n],
  ])("reads %s, which formatTxid writes", (text, value) => {
    expect(parseTxid(text)).toBe(value);
    expect(formatTxid(toTxid(value))).toBe(text);
  });

  it.each([
    ["too short", "3e8"],
    ["too long", "00000000000000001"],
    ["upper case", "00000000000003E8"],
    ["no hex", "000000000000000g"],
    ["signed", "-000000000000001"],
    ["empty", ""],
    ["followed by a newline", "0000000000000001\n"],
  ])("refuses an id that is %s", (_, text) => {
    expect(() => parseTxid(text)).toThrow(expect.objectContaining({ code: "E_REPLICA_CORRUPT" }));
  });
});

describe("nextTxid", () => {
  it("counts beyond 2^53 without loss", () => {
    expect(nextTxid(toTxid(2n ** 53n))).toBe(2n ** 53n + 1n);
  });
});

describe("parseLtxName", () => {
  it("reads the range that formatLtxName writes", () => {
    const range = { min: toTxid(1n), max: toTxid(1000n) };
    expect(formatLtxName(range)).toBe("0000000000000001-00000000000003e8.ltx");
    expect(parseLtxName("0000000000000001-00000000000003e8.ltx")).toEqual(range);
  });

  it.each([
    ["a temporary file", "0000000000000001-0000000000000001.ltx.tmp"],
    ["upper case", "000000000000000A-000000000000000A.ltx"],
    ["a single id", "0000000000000001.ltx"],
    ["a path", "0/0000000000000001-0000000000000001.ltx"],
    ["another ending", "0000000000000001-0000000000000001.LTX"],
    ["a trailing newline", "0000000000000001-0000000000000001.ltx\n"],
    ["a range that starts at 0", "0000000000000000-0000000000000001.ltx"],
    ["a range that ends before it starts", "0000000000000002-0000000000000001.ltx"],
    ["nothing", ""],
  ])("passes over %s", (_, name) => {
    expect(parseLtxName(name)).toBeUndefined();
  });
});
