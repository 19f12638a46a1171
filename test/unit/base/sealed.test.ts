import { describe, expect, it } from "vitest";
import { checksumOf, seal, unseal } from "../../../src/base/sealed.ts";

describe("a sealed line of JSON", () => {
  it.each(["{}", '{"a":"ü€😀"}', "", '{"a":"\\n"}'])("is what it was: %s", (json) => {
    expect(unseal(seal(json))).toBe(json);
  });

  it("is nothing any more where a bit of it changed, or an end is missing", () => {
    const bytes = Buffer.from(seal('{"txid":"00000000000000a1","frame":17}'));
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const damaged = Buffer.from(bytes);
      damaged[bit >>> 3] = (damaged[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
      expect(unseal(damaged.toString("utf8")), `bit ${bit}`).toBeUndefined();
    }
    for (let size = 0; size < bytes.length; size += 1) {
      expect(unseal(bytes.subarray(0, size).toString("utf8")), `${size} bytes`).toBeUndefined();
    }
  });

  it("has a checksum of a fixed length, as CRC catalogues give it", () => {
    expect(checksumOf("123456789")).toBe("b90956c775a41001");
    for (let number = 0; number < 500; number += 1) expect(checksumOf(String(number))).toMatch(/^[0-9a-f]{16}$/);
  });
});
