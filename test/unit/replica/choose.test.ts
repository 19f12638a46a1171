import { describe, expect, it } from "vitest";
import { chooseFormat } from "../../../src/replica/choose.ts";
import { parseLtxName } from "../../../src/replica/ltx/names.ts";
import { FIRST_TXID } from "../../../src/replica/ltx/txid.ts";
import { listV03 } from "../../../src/replica/v03/names.ts";

const latest = { kind: "latest" } as const;
const at = (ms: number) => ({ kind: "timestamp", ms }) as const;

/** Objects of 0.3 by time: "s" for a snapshot, "w" for a segment. */
function v03(...objects: readonly string[]) {
  return listV03(
    objects.map((text) => ({
      key: `generations/0123456789abcdef/${text.startsWith("s") ? "snapshots/00000000.snapshot" : "wal/00000000_00000000.wal"}.lz4`,
      sizeBytes: 1,
      modifiedMs: Number(text.slice(1)),
    })),
  );
}

/** LTX files as "<level> <time>". */
function ltx(...files: readonly string[]) {
  return files.map((text) => {
    const [level, time] = text.split(" ").map(Number);
    const range = parseLtxName("0000000000000001-0000000000000001.ltx");
    if (range === undefined || level === undefined || time === undefined) throw new Error(text);
    return { level, ...range, key: text, sizeBytes: 1, modifiedMs: time };
  });
}

describe("chooseFormat", () => {
  it.each([
    ["nothing at all", v03(), ltx(), latest, "ltx"],
    ["only LTX", v03(), ltx("0 1"), latest, "ltx"],
    ["only 0.3", v03("s1"), ltx(), latest, "v03"],
    ["only 0.3, at a time", v03("s1"), ltx(), at(1), "v03"],
    ["only 0.3, without a snapshot", v03("w1"), ltx(), latest, "v03"],
    ["a newer object of 0.3", v03("s1", "w9"), ltx("9 8", "0 8"), latest, "v03"],
    ["a newer LTX file", v03("s1", "w8"), ltx("9 1", "0 9"), latest, "ltx"],
    ["equally new objects", v03("s9"), ltx("9 9"), latest, "ltx"],
    ["a later snapshot of 0.3 before the time", v03("s5"), ltx("9 4", "0 9"), at(9), "v03"],
    ["a later LTX snapshot before the time", v03("s4", "w9"), ltx("9 5"), at(9), "ltx"],
    ["equally late snapshots", v03("s5"), ltx("9 5"), at(9), "ltx"],
    ["snapshots of the very time: 0.3's counts, LTX's doesn't", v03("s5"), ltx("9 5"), at(5), "v03"],
    ["no snapshot before the time in either", v03("s5"), ltx("9 5"), at(4), "ltx"],
    ["no LTX snapshot, only files", v03("s5"), ltx("0 1", "1 6"), at(9), "v03"],
  ] as const)("%s", (_, old, files, target, expected) => {
    expect(chooseFormat({ v03: old, ltx: files, target }).format).toBe(expected);
  });

  it("takes LTX for a transaction id, which 0.3 has not", () => {
    const target = { kind: "txid", txid: FIRST_TXID } as const;
    expect(chooseFormat({ v03: v03("s9"), ltx: [], target })).toEqual({
      format: "ltx",
      why: "only LTX files have transaction ids",
    });
  });

  it("refuses the layout of 0.4's betas by name, unless something else is there", () => {
    const key = "generations/0000000000000000/wal/0000000000000000/0000000000000000.wal.lz4";
    const beta = { ...v03(), betaKey: key };
    expect(() => chooseFormat({ v03: beta, ltx: [], target: latest })).toThrow(
      expect.objectContaining({ code: "E_REPLICA_CORRUPT", message: expect.stringContaining("Litestream 0.4 beta") }),
    );
    expect(chooseFormat({ v03: beta, ltx: ltx("0 1"), target: latest }).format).toBe("ltx");
    expect(chooseFormat({ v03: { ...v03("s1"), betaKey: key }, ltx: [], target: latest }).format).toBe("v03");
  });
});
