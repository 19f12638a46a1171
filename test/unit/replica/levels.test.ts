import { describe, expect, it } from "vitest";
import { MAX_INPUTS, MERGE_MEMORY_BYTES, PIECE_BYTES, planMerge, reachedWith } from "../../../src/replica/levels.ts";
import type { LtxFileInfo } from "../../../src/replica/ltx/names.ts";
import { planRestore } from "../../../src/replica/ltx/plan.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import { file, listing, short } from "../../support/listing.ts";
import { seededRandom } from "../../support/random.ts";

/** The plan for a level that has reached a transaction, in short: "1-3: 0/1-1 0/2-2 0/3-3". */
function plan(files: readonly string[], { reached = 0, upTo = 999, snapshots = [] as readonly string[] } = {}): string {
  const found = planMerge({
    files: listing(...files),
    snapshots: listing(...snapshots),
    reached: toTxid(BigInt(reached)),
    upTo: toTxid(BigInt(upTo)),
  });
  if (found.kind === "nothing") return "nothing";
  if (found.kind === "hole") return `hole ${found.first}-${found.last}`;
  return `${found.min}-${found.max}: ${found.inputs.map(short).join(" ")}`;
}

const uploads = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, i) => `0/${first + i}-${first + i}`);

describe("planMerge", () => {
  it("takes all that the level does not hold yet", () => {
    expect(plan(uploads(1, 3))).toBe("1-3: 0/1-1 0/2-2 0/3-3");
    expect(plan(uploads(1, 5), { reached: 3 })).toBe("4-5: 0/4-4 0/5-5");
    expect(plan(["1/1-3", "1/4-9", "1/10-12"], { reached: 3 })).toBe("4-12: 1/4-9 1/10-12");
  });

  it("takes nothing where there is nothing new", () => {
    expect(plan([])).toBe("nothing");
    expect(plan(uploads(1, 5), { reached: 5 })).toBe("nothing");
    expect(plan(uploads(1, 5), { reached: 9 })).toBe("nothing");
  });

  it("takes nothing beyond the transaction that it may take", () => {
    expect(plan(uploads(1, 5), { upTo: 3 })).toBe("1-3: 0/1-1 0/2-2 0/3-3");
    expect(plan(["1/1-3", "1/4-9"], { upTo: 8 })).toBe("1-3: 1/1-3");
    expect(plan(["1/1-3"], { upTo: 2 })).toBe("nothing");
  });

  it("does not depend on the order of the files", () => {
    expect(plan(uploads(1, 9).reverse())).toBe(plan(uploads(1, 9)));
  });

  it("begins an empty level where the level below does", () => {
    expect(plan(uploads(7, 9))).toBe("7-9: 0/7-7 0/8-8 0/9-9");
  });

  it("leaves out a first copy of the database that a snapshot repeats", () => {
    expect(plan(uploads(1, 3), { snapshots: ["9/1-1"] })).toBe("2-3: 0/2-2 0/3-3");
    expect(plan(uploads(1, 1), { snapshots: ["9/1-1"] })).toBe("nothing");
    expect(plan(uploads(1, 3), { snapshots: ["9/1-2"] })).toBe("1-3: 0/1-1 0/2-2 0/3-3");
    expect(plan(uploads(4, 5), { snapshots: ["9/1-4"] })).toBe("4-5: 0/4-4 0/5-5");
  });

  it("takes only so many files at a time", () => {
    const files = uploads(1, MAX_INPUTS + 10);
    expect(plan(files)).toMatch(new RegExp(`^1-${MAX_INPUTS}: `));
    expect(plan(files, { reached: MAX_INPUTS })).toMatch(new RegExp(`^${MAX_INPUTS + 1}-${MAX_INPUTS + 10}: `));
  });

  it("takes only so much memory, and always one file", () => {
    const huge = Array.from({ length: 100 }, (_, i) => file(1, i + 1, i + 1, 0, 1e9));
    const options = { snapshots: [], reached: toTxid(0n), upTo: toTxid(999n) };
    const found = planMerge({ files: huge, ...options });
    if (found.kind !== "merge") throw new Error(found.kind);
    expect(found.inputs.length * PIECE_BYTES * 1.5).toBeLessThanOrEqual(MERGE_MEMORY_BYTES);
    expect(found.inputs.length).toBeGreaterThan(15);
  });

  it("stops before a hole, so that what comes before it is not held up", () => {
    expect(plan([...uploads(1, 3), ...uploads(5, 6)])).toBe("1-3: 0/1-1 0/2-2 0/3-3");
  });

  it("says what a hole lacks", () => {
    expect(plan(uploads(5, 6), { reached: 3 })).toBe("hole 4-4");
    expect(plan(uploads(7, 9), { reached: 3 })).toBe("hole 4-6");
    expect(plan(uploads(7, 9), { reached: 3, snapshots: ["9/1-5"] })).toBe("hole 4-6");
  });

  it("bridges a hole with a copy of the database from behind it", () => {
    expect(plan(uploads(7, 9), { reached: 3, snapshots: ["9/1-8"] })).toBe("4-8: 9/1-8");
    expect(plan(uploads(7, 9), { reached: 8, snapshots: ["9/1-8"] })).toBe("9-9: 0/9-9");
    expect(plan(uploads(7, 9), { reached: 3, snapshots: ["9/1-6"] })).toBe("4-6: 9/1-6");
  });

  it("bridges with the oldest copy that does, to keep the most points", () => {
    expect(plan(uploads(7, 12), { reached: 3, snapshots: ["9/1-2", "9/1-7", "9/1-11"] })).toBe("4-7: 9/1-7");
  });

  it("ends a bridge where a file of the level below ends", () => {
    expect(plan(["1/7-9", "1/10-12"], { reached: 3, snapshots: ["9/1-8"] })).toBe("4-9: 9/1-8 1/7-9");
    expect(plan(["1/7-9", "1/10-12"], { reached: 3, snapshots: ["9/1-9"] })).toBe("4-9: 9/1-9");
  });

  it("waits with a bridge until the level below has come as far", () => {
    expect(plan(["1/7-9"], { reached: 3, snapshots: ["9/1-11"] })).toBe("nothing");
    expect(plan(["1/7-9", "1/10-12"], { reached: 3, snapshots: ["9/1-11"] })).toBe("4-12: 9/1-11 1/10-12");
  });

  it("cuts a file that begins within what the level holds, and takes the farthest of files that overlap", () => {
    expect(plan(["1/1-5", "1/6-9"], { reached: 3 })).toBe("4-9: 1/1-5 1/6-9");
    expect(plan(["1/4-6", "1/4-8", "1/7-8", "1/9-9"], { reached: 3 })).toBe("4-9: 1/4-8 1/9-9");
  });

  it("stays quick with as many files as a long outage leaves", () => {
    const files = Array.from({ length: 100_000 }, (_, i) => file(0, i + 1, i + 1));
    const options = { snapshots: [], reached: toTxid(5000n), upTo: toTxid(999_999n) };
    expect(planMerge({ files, ...options })).toMatchObject({ kind: "merge", min: 5001n });
  });

  it("makes levels without a hole and with nested ends of whatever it is given, with a snapshot at each hole", () => {
    const random = seededRandom(5);
    const upTo = (most: number) => Math.floor(random.unit() * most);
    let bridges = 0;
    for (let round = 0; round < 300; round += 1) {
      const levels: LtxFileInfo[][] = [[], [], [], []];
      const snapshots: LtxFileInfo[] = [file(9, 1, 1)];
      let last = 0;
      // What is lost before the level above has begun is for a snapshot to make good.
      const lose = (level: number) => {
        const files = levels[level] ?? [];
        if ((levels[level + 1]?.length ?? 0) > 0) files.splice(upTo(files.length), 1);
      };
      const compact = (level: number) => {
        for (;;) {
          const target = levels[level] ?? [];
          const reached = reachedWith(level, (other) => levels[other]?.at(-1)?.max ?? toTxid(0n));
          const files = levels[level - 1] ?? [];
          const found = planMerge({ files, snapshots, reached, upTo: toTxid(BigInt(last)) });
          if (found.kind === "nothing") return;
          if (found.kind === "hole") {
            snapshots.push(file(9, 1, last));
            bridges += 1;
            continue;
          }
          if (reached > 0n) expect(found.min).toBe(reached + 1n);
          expect(found.max).toBeGreaterThan(reached);
          expect(found.inputs[0]?.min).toBeLessThanOrEqual(found.min);
          for (const [i, input] of found.inputs.entries()) {
            const before = found.inputs[i - 1];
            if (before === undefined) continue;
            expect(input.min).toBeLessThanOrEqual(before.max + 1n);
            expect(input.max).toBeGreaterThan(before.max);
          }
          // An end within a file of the level below would make Litestream pass over that file.
          expect(files.filter(({ min, max }) => min <= found.max && max > found.max)).toEqual([]);
          target.push(file(level, Number(found.min), Number(found.max)));
        }
      };
      for (let step = 0; step < 60; step += 1) {
        last += 1;
        levels[0]?.push(file(0, last, last));
        if (random.unit() < 0.1) lose(0);
        if (random.unit() < 0.05) snapshots.push(file(9, 1, last));
        if (random.unit() < 0.2) compact(1);
        if (random.unit() < 0.05) lose(1);
        if (random.unit() < 0.08) compact(2);
        if (random.unit() < 0.03) lose(2);
        if (random.unit() < 0.03) compact(3);
      }
      last += 1;
      levels[0]?.push(file(0, last, last));
      for (const level of [1, 2, 3]) compact(level);
      const top = levels[3] ?? [];
      for (const [i, { min }] of top.entries()) {
        if (i > 0) expect(min).toBe((top[i - 1]?.max ?? 0n) + 1n);
      }
      const merged = [file(9, 1, 1), ...top, ...(levels[2] ?? []), ...(levels[1] ?? [])];
      expect(planRestore(merged, { kind: "latest" }).at(-1)?.max).toBe(BigInt(last));
    }
    expect(bridges).toBeGreaterThan(100);
  });
});

describe("reachedWith", () => {
  it("counts what a higher level holds, but no snapshot", () => {
    const reached = (level: number) => toTxid(BigInt([9, 4, 7, 0, 0, 0, 0, 0, 0, 99][level] ?? 0));
    expect([1, 2, 3].map((level) => reachedWith(level, reached))).toEqual([7n, 7n, 0n]);
  });
});
