import { describe, expect, it } from "vitest";
import { formatBytes, formatCount, formatDuration, formatProgress } from "../../../src/base/format.ts";

describe("formatBytes", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1 kB"],
    [33_400, "33 kB"],
    [999_499, "999 kB"],
    [999_500, "1.0 MB"],
    [12_400_000, "12.4 MB"],
    [999_949_999, "999.9 MB"],
    [999_950_000, "1.0 GB"],
    [1_200_000_000, "1.2 GB"],
  ])("writes %i as %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe("formatDuration", () => {
  it.each([
    [0, "0 ms"],
    [36.6, "37 ms"],
    [999.4, "999 ms"],
    [999.5, "1.0 s"],
    [1840, "1.8 s"],
    [59_949, "59.9 s"],
    [59_950, "1 min 0 s"],
    [119_600, "2 min 0 s"],
    [125_000, "2 min 5 s"],
  ])("writes %d as %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});

describe("formatProgress", () => {
  it.each([
    [{ doneBytes: 0, totalBytes: 222_000_000, elapsedMs: 0 }, "0 B of 222.0 MB (0 %), 0 B/s"],
    [
      { doneBytes: 12_400_000, totalBytes: 222_000_000, elapsedMs: 200 },
      "12.4 MB of 222.0 MB (5 %), 62.0 MB/s, 3.4 s left",
    ],
    [{ doneBytes: 5, totalBytes: 5, elapsedMs: 1000 }, "5 B of 5 B (100 %), 5 B/s, 0 ms left"],
    [{ doneBytes: 0, totalBytes: 0, elapsedMs: 1 }, "0 B of 0 B (100 %), 0 B/s"],
  ])("says how far it is, how fast, and how long it will take: %j", (progress, text) => {
    expect(formatProgress(progress)).toBe(text);
  });
});

describe("formatCount", () => {
  it("writes one of a thing as one", () => {
    expect([0, 1, 4].map((count) => formatCount(count, "migration"))).toEqual([
      "0 migrations",
      "1 migration",
      "4 migrations",
    ]);
  });
});
