import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { formatPlace, listV03, parseV03Key } from "../../../../src/replica/v03/names.ts";
import { FIXTURE, filesBelow } from "./support.ts";

const G = "generations/0123456789abcdef";

describe("parseV03Key", () => {
  it("reads generation, index and offset", () => {
    expect(parseV03Key(`${G}/snapshots/0000000a.snapshot.lz4`)).toEqual({
      generation: "0123456789abcdef",
      index: 10,
      offset: undefined,
    });
    expect(parseV03Key(`${G}/wal/00000001_000020e0.wal.lz4`)).toEqual({
      generation: "0123456789abcdef",
      index: 1,
      offset: 0x20e0,
    });
  });

  it("reads offsets above 4 GiB exactly, where names have more digits", () => {
    expect(parseV03Key(`${G}/wal/00000001_1fffffffffffff.wal.lz4`)?.offset).toBe(Number.MAX_SAFE_INTEGER);
    expect(parseV03Key(`${G}/wal/00000001_123456789.wal.lz4`)?.offset).toBe(0x123456789);
  });

  it.each([
    `${G}/snapshots/0000000a.snapshot.lz4.tmp`,
    `${G}/snapshots/0000000A.snapshot.lz4`,
    `${G}/snapshots/a.snapshot.lz4`,
    `${G}/wal/00000001.wal.lz4`,
    `${G}/wal/00000001_20e0.wal.lz4`,
    `${G}/wal/00000001_00000000000020e00.wal.lz4`,
    `${G}/wal/00000001_ffffffffffffffff.wal.lz4`,
    `${G}/wal/00000001_000020e0.wal`,
    `${G}/wal/0000000000000001/0000000000000000.wal.lz4`,
    "generations/0123456789abcde/wal/00000001_00000000.wal.lz4",
    "generations/0123456789ABCDEF/wal/00000001_00000000.wal.lz4",
    `backup/${G}/wal/00000001_00000000.wal.lz4`,
    "ltx/0/0000000000000001-0000000000000001.ltx",
    "",
  ])("passes over %s", (key) => {
    expect(parseV03Key(key)).toBeUndefined();
  });

  it("reads every name that Litestream wrote", () => {
    const keys = filesBelow(`${FIXTURE}replica`);
    expect(keys.length).toBe(readdirSync(`${FIXTURE}replica`, { recursive: true }).length - 7); // and 7 directories
    for (const key of keys) {
      const { generation, index, offset } = parseV03Key(key) ?? {};
      if (index === undefined) throw new Error(key);
      const place = formatPlace(offset === undefined ? { index } : { index, offset });
      const name = offset === undefined ? `snapshots/${place}.snapshot` : `wal/${place}.wal`;
      expect(`generations/${generation}/${name}.lz4`).toBe(key);
    }
  });
});

describe("listV03", () => {
  const list = (...keys: readonly string[]) => listV03(keys.map((key) => ({ key, sizeBytes: 1, modifiedMs: 2 })));

  it("sorts logs and offsets by number, not by name", () => {
    const { segments } = list(
      `${G}/wal/00000001_100000000.wal.lz4`,
      `${G}/wal/00000001_00000000.wal.lz4`,
      `${G}/wal/00000000_00000000.wal.lz4`,
      `${G}/wal/00000001_fffffff8.wal.lz4`,
    );
    expect(segments.map(({ index, offset }) => [index, offset])).toEqual([
      [0, 0],
      [1, 0],
      [1, 0xfffffff8],
      [1, 0x100000000],
    ]);
  });

  it("ignores what lies beside, and keeps times", () => {
    const files = list(
      `${G}/snapshots/00000000.snapshot.lz4`,
      "ltx/0/x.ltx",
      `${G}/notes.txt`,
      "flysqlite/identity.json",
    );
    expect(files).toEqual({
      snapshots: [expect.objectContaining({ index: 0, sizeBytes: 1, createdMs: 2 })],
      segments: [],
      betaKey: undefined,
    });
  });

  it("knows the layout of 0.4's betas", () => {
    const keys = filesBelow(`${FIXTURE}../../upstream/v0.4-beta-layout/replica`);
    expect(list(...keys)).toEqual({ snapshots: [], segments: [], betaKey: keys[0] });
    for (const key of keys) expect(list(key).betaKey).toBe(key);
  });
});
