import { describe, expect, it } from "vitest";
import { parseSize } from "../../../src/config/size.ts";

describe("parseSize", () => {
  it.each([
    ["512MB", 512_000_000],
    ["512M", 512 * 1024 ** 2],
    ["1g", 1024 ** 3],
    ["0.5 GiB", 512 * 1024 ** 2],
    ["4096", 4096],
  ])("reads %s", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(["", "MB", "-1M", "1X", "0", "1 M B", "9999999999G"])('refuses "%s"', (text) => {
    expect(() => parseSize(text)).toThrow(/is no size/);
  });
});
