import { describe, expect, it } from "vitest";
import { Crc64 } from "../../../src/base/crc64.ts";
import { noise } from "../replica/ltx/support.ts";

const text = (value: string) => new TextEncoder().encode(value);
const random = (length: number) => Uint8Array.from({ length }, noise(length));

describe("Crc64", () => {
  it.each([
    ["nothing", text(""), 0n],
    ["the digits 1 to 9, the check value of CRC catalogues", text("123456789"), 0xb90956c775a41001n],
    ["4096 zero bytes", new Uint8Array(4096), 0x492fc33c906fff90n],
  ])("gives the known value of %s", (_, bytes, expected) => {
    expect(new Crc64().update(bytes).digest()).toBe(expected);
  });

  it("agrees with the definition, bit by bit, for every length up to 64", () => {
    for (let length = 0; length <= 64; length++) {
      const bytes = random(length);
      expect(new Crc64().update(bytes).digest()).toBe(crc64ByDefinition(bytes));
    }
  });

  it("doesn't depend on how its input is cut, nor on where it lies in memory", () => {
    const bytes = random(100);
    const whole = new Crc64().update(bytes).digest();
    for (let cut = 0; cut <= bytes.length; cut++) {
      const crc = new Crc64().update(bytes.subarray(0, cut)).update(bytes.subarray(cut));
      expect(crc.digest()).toBe(whole);
    }
  });

  it("can go on after a digest", () => {
    const crc = new Crc64().update(text("12345"));
    crc.digest();
    expect(crc.update(text("6789")).digest()).toBe(0xb90956c775a41001n);
  });
});

function crc64ByDefinition(bytes: Uint8Array): bigint {
  const ones = (1n << 64n) - 1n;
  let crc = ones;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ 0xd800000000000000n : crc >> 1n;
  }
  return crc ^ ones;
}
