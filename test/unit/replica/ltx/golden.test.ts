import { describe, expect, it } from "vitest";
import { planRestore } from "../../../../src/replica/ltx/plan.ts";
import { parseTxid } from "../../../../src/replica/ltx/txid.ts";
import {
  decode,
  encode,
  listReplica,
  REPLICAS,
  type RestoreResult,
  readExpected,
  readFixture,
  restore,
  SMALL_BLOCK_FILE,
  SMALL_FRAME_FILE,
  sha256,
} from "./support.ts";

describe.each(REPLICAS)("a replica made by Litestream $version", ({ version, flavour }) => {
  const files = listReplica(version);
  const expected = readExpected(version);
  const results: [string, RestoreResult][] = Object.entries(expected.by_txid);

  it.each(files)("decodes: $key", async ({ key, min, max, sizeBytes, modifiedMs }) => {
    const { summary } = await decode(readFixture(key), { key });
    expect(summary).toMatchObject({ header: { min, max, pageSize: 1024 }, sizeBytes });
    // Release 0.5.0 left the files' times as they came.
    if (version !== "v0.5.0") expect(summary.header.timestampMs).toBe(modifiedMs);
  });

  // The bytes and the file's checksum are others: compressors differ, and the checksum takes in the compressed sizes.
  it.each(files)("encodes again to the same content: $key", async ({ key }) => {
    const original = readFixture(key);
    const { summary, pages } = await decode(original, { key });
    const again = encode(summary.header, pages, flavour);
    expect(again.subarray(0, 100)).toEqual(original.subarray(0, 100));
    const decoded = await decode(again, { key });
    expect(decoded.pages).toEqual(pages);
    expect(decoded.summary.header).toEqual(summary.header);
  });

  it("takes no more room when flysqlite writes it", async () => {
    let written = 0;
    for (const { key } of files) {
      const { summary, pages } = await decode(readFixture(key));
      written += encode(summary.header, pages, flavour).length;
    }
    expect(written).toBeLessThanOrEqual(files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  });

  it("restores to the latest state, byte for byte", async () => {
    if (expected.latest.plan_error !== undefined) throw new Error("unexpected fixture");
    const database = await restore(planRestore(files, { kind: "latest" }));
    expect({ sha256: sha256(database), bytes: database.length }).toEqual({
      sha256: expected.latest.sha256,
      bytes: expected.latest.bytes,
    });
  });

  it.each(results)("restores to transaction %s as Litestream does, or fails as it does", async (text, result) => {
    const target = { kind: "txid", txid: parseTxid(text) } as const;
    if (result.plan_error !== undefined) {
      expect(() => planRestore(files, target)).toThrow(expect.objectContaining({ code: "E_REPLICA_GAP" }));
      return;
    }
    const database = await restore(planRestore(files, target));
    expect({ sha256: sha256(database), bytes: database.length }).toEqual({
      sha256: result.sha256,
      bytes: result.bytes,
    });
  });
});

describe("Litestream's smallest file", () => {
  it("holds what its bytes say, one by one", async () => {
    const { summary, pages } = await decode(readFixture(SMALL_BLOCK_FILE));
    expect(summary).toEqual({
      header: {
        pageSize: 1024,
        commit: 7,
        min: 4n,
        max: 4n,
        timestampMs: 1795470772180,
        wal: { offsetBytes: 32, sizeBytes: 1048, salts: [0xabeb734e, 0x66a35475] },
      },
      pageCount: 1,
      sizeBytes: 179,
      fileChecksum: 0xe33092b4f1d10d45n,
    });
    expect(pages.map(({ page }) => page)).toEqual([4]);
  });

  it.each([
    ["block", SMALL_BLOCK_FILE],
    ["frame", SMALL_FRAME_FILE],
  ] as const)("is written with the same structure: %s", async (flavour, path) => {
    const original = readFixture(path);
    const { summary, pages } = await decode(original);
    const again = encode(summary.header, pages, flavour);
    expect(again.subarray(0, 106)).toEqual(original.subarray(0, 106));
    expect(again.subarray(-16, -8)).toEqual(new Uint8Array(8));
    // End of the pages, index of page 4 at byte 100, and the index's size.
    const size = again.length - 100 - 6 - 4 - 8 - 16;
    const end = again.subarray(100 + size, -16);
    expect([...end]).toEqual([0, 0, 0, 0, 0, 0, 4, 100, size, 0, 0, 0, 0, 0, 0, 0, 0, 4]);
  });
});
