import { describe, expect, it } from "vitest";
import { xxHash32 } from "../../../../src/replica/ltx/xxhash32.ts";
import { noise } from "./support.ts";

const text = (value: string) => new TextEncoder().encode(value);
const random = (length: number) => Uint8Array.from({ length }, noise(length));

describe("xxHash32", () => {
  it.each([
    ["", 0x02cc5d05],
    ["a", 0x550d7456],
    ["abc", 0x32d153ff],
    ["Nobody inspects the spammish repetition", 0xe2293b2f],
  ])('gives the known value of "%s"', (value, expected) => {
    expect(xxHash32(text(value))).toBe(expected);
  });

  it.each([
    [0x40, 0xa7],
    [0x50, 0x08],
    [0x60, 0x85],
    [0x70, 0xb9],
  ])("gives the check byte of an LZ4 frame's header with block size code %i", (blockSize, expected) => {
    expect((xxHash32(Uint8Array.of(0x64, blockSize)) >>> 8) & 0xff).toBe(expected);
  });

  it("doesn't depend on where its input lies in memory", () => {
    const bytes = random(61);
    for (let shift = 1; shift < 8; shift++) {
      const moved = new Uint8Array(shift + bytes.length);
      moved.set(bytes, shift);
      expect(xxHash32(moved.subarray(shift))).toBe(xxHash32(bytes));
    }
  });
});
