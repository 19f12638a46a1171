import { describe, expect, it } from "vitest";
import { parseDuration } from "../../../src/config/duration.ts";

describe("parseDuration", () => {
  it.each([
    ["1ms", 1],
    ["500ms", 500],
    ["1s", 1000],
    ["10m", 600_000],
    ["2h", 7_200_000],
    ["1h30m", 5_400_000],
    ["1m30s500ms", 90_500],
    ["1.5s", 1500],
    ["0.5h", 1_800_000],
    ["0h1s", 1000],
    [" 4500ms\n", 4500],
    ["596h", 2_145_600_000],
  ])("reads %j as %i ms", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(["10", "1", "s", "1 s", "1d", "1S", "-1s", "+1s", "1s!", "1.s", ".5s", "1e3s", "1,5s", "0x10s", "1s 2s"])(
    "refuses %j, which is no duration",
    (text) => {
      expect(() => parseDuration(text)).toThrow(`"${text}" is no duration such as 500ms, 10s or 1h30m`);
    },
  );

  it.each(["", " ", "0s", "0ms", "0.5ms", "597h", "99999999999999999999h", `${"9".repeat(400)}s`])(
    "refuses %j, which no timer can take",
    (text) => {
      expect(() => parseDuration(text)).toThrow("is not between 1ms and 596h");
    },
  );

  it("takes longer ones where no timer waits for them, and zero where that has a meaning", () => {
    expect(parseDuration("8760h", "long")).toBe(31_536_000_000);
    expect(() => parseDuration("876001h", "long")).toThrow("is not between 1ms and 876000h");
    expect(() => parseDuration("0s", "long")).toThrow("is not between 1ms and 876000h");
    for (const zero of ["0", "0s", " 0m ", "0h"]) expect(parseDuration(zero, "long or zero")).toBe(0);
    expect(() => parseDuration("0.1ms", "long or zero")).toThrow("is not between");
  });

  it("is done at once with a long text", () => {
    expect(() => parseDuration("1s".repeat(100_000))).not.toThrow();
    expect(() => parseDuration(`${"1".repeat(100_000)}x`)).toThrow("is no duration");
  });
});
