import { describe, expect, it } from "vitest";
import { listV03, parseGeneration, parseWalIndex, type V03Files } from "../../../../src/replica/v03/names.ts";
import { planV03, type V03Plan, type V03Target } from "../../../../src/replica/v03/plan.ts";

const A = "aaaaaaaaaaaaaaaa";
const B = "bbbbbbbbbbbbbbbb";

/** Objects as "<generation> <snapshot's index or index_offset> <time>". */
function replica(...objects: readonly string[]): V03Files {
  return listV03(
    objects.map((text) => {
      const [generation = "", place = "", time] = text.split(" ");
      const [index = "", offset] = place.split("_").map((digits) => digits.padStart(8, "0"));
      const name = offset === undefined ? `snapshots/${index}.snapshot` : `wal/${index}_${offset}.wal`;
      return { key: `generations/${generation.repeat(16)}/${name}.lz4`, sizeBytes: 1, modifiedMs: Number(time) };
    }),
  );
}

function generation(text: string) {
  const found = parseGeneration(text);
  if (found === undefined) throw new Error(text);
  return found;
}

function toLog(id: string, value: number): V03Target {
  const index = parseWalIndex(value);
  if (index === undefined) throw new Error(`${value}`);
  return { kind: "index", generation: generation(id), index };
}

/** The plan as "<first letter of the generation> <snapshot's index>: <index>_<offset> ...". */
function describePlan({ generation: id, snapshot, segments }: V03Plan): string {
  return `${id[0]} ${snapshot.index}: ${segments.map(({ index, offset }) => `${index}_${offset.toString(16)}`).join(" ")}`;
}

const plan = (files: V03Files, target: V03Target = { kind: "latest" }) => describePlan(planV03(files, target));
const refusal = (files: V03Files, target: V03Target = { kind: "latest" }): string => {
  try {
    return describePlan(planV03(files, target));
  } catch (error) {
    expect(error).toMatchObject({ code: "E_REPLICA_GAP" });
    return String(error);
  }
};

describe("planV03", () => {
  const files = replica("a 0 10", "a 0_0 11", "a 0_100 12", "a 1_0 20", "a 1 21", "a 1_80 22", "a 2_0 30");

  it("begins with the last snapshot and takes every segment after it", () => {
    expect(plan(files)).toBe("a 1: 1_0 1_80 2_0");
    expect(plan(replica("a 3 1", "a 3_0 2"))).toBe("a 3: 3_0");
  });

  it.each([
    [10, "a 0: "],
    [11, "a 0: 0_0"],
    [19, "a 0: 0_0 0_100"],
    [20, "a 0: 0_0 0_100 1_0"],
    [21, "a 1: 1_0"],
    [29, "a 1: 1_0 1_80"],
    [30, "a 1: 1_0 1_80 2_0"],
  ])("goes no further than a time: %i", (ms, expected) => {
    expect(plan(files, { kind: "timestamp", ms })).toBe(expected);
  });

  it("goes to the end of a log, from the last snapshot before it", () => {
    expect(plan(files, toLog(A, 0))).toBe("a 0: 0_0 0_100");
    expect(plan(files, toLog(A, 1))).toBe("a 1: 1_0 1_80");
    expect(plan(files, toLog(A, 2))).toBe("a 1: 1_0 1_80 2_0");
  });

  it("stops at the first segment that came too late, whatever the times after it", () => {
    expect(plan(replica("a 0 1", "a 0_0 2", "a 0_100 9", "a 0_200 3"), { kind: "timestamp", ms: 4 })).toBe("a 0: 0_0");
  });

  it("names the segments behind the target that the snapshot may hold already, and the plan without that doubt", () => {
    const target = { kind: "timestamp", ms: 21 } as const;
    const { behind, earlier } = planV03(files, target);
    expect(behind.map(({ offset }) => offset)).toEqual([0x80]);
    expect(earlier && describePlan(earlier)).toBe("a 0: 0_0 0_100 1_0");
    expect(planV03(files, { kind: "timestamp", ms: 22 }).behind).toEqual([]);
    expect(planV03(files, { kind: "timestamp", ms: 30 })).toMatchObject({ behind: [], earlier: undefined });
    expect(planV03(files, { kind: "timestamp", ms: 11 }).earlier).toBeUndefined();
  });

  it("tells whether a log must be whole, as another one follows it", () => {
    const times = [11, 12, 20, 21, 22, 30];
    const followed = times.filter((ms) => planV03(files, { kind: "timestamp", ms }).isFollowed);
    expect(followed).toEqual([12, 22]);
  });

  describe("with several generations", () => {
    const both = replica("a 0 10", "a 0_0 50", "b 0 20", "b 0_0 30");

    it("takes the one that was written to last, and says that Litestream 0.5 would take another", () => {
      expect(plan(both)).toBe("a 0: 0_0");
      expect(planV03(both, { kind: "latest" }).notes).toEqual([
        `Generation "${A}" was written to last, as Litestream 0.3 goes by; Litestream 0.5 would restore "${B}", which has the newest snapshot`,
      ]);
      expect(planV03(replica("a 0 10", "a 0_0 11", "b 0 20", "b 0_0 21"), { kind: "latest" }).notes).toEqual([]);
    });

    it("takes the one that is asked for", () => {
      expect(plan(both, { kind: "latest", generation: generation(B) })).toBe("b 0: 0_0");
      expect(plan(both, { kind: "timestamp", ms: 25, generation: generation(B) })).toBe("b 0: ");
    });

    it("takes for a time one that was being written then, or refuses", () => {
      const apart = replica("a 0 10", "a 0_0 20", "b 0 30", "b 0_0 40");
      expect(plan(apart, { kind: "timestamp", ms: 15 })).toBe("a 0: ");
      expect(plan(apart, { kind: "timestamp", ms: 30 })).toBe("b 0: ");
      for (const ms of [9, 25, 41]) {
        expect(refusal(apart, { kind: "timestamp", ms })).toContain("no generation was being written at 1970-01-01");
      }
    });
  });

  it.each([
    [["a 0 1", "a 0_0 2", "a 2_0 3"], 'log 00000001 is missing before "generations/'],
    [["a 0 1", "a 0_0 2", "a 4_0 3"], "logs 00000001 to before 00000004 are missing"],
    [["a 0 1", "a 1_0 3"], "log 00000000 is missing"],
    [["a 0 1", "a 0_80 3"], "the start of log 00000000 is missing"],
    [["a 0 1", "a 0_0 2", "a 1_80 3"], "the start of log 00000001 is missing"],
    [["a 0_0 2"], "has no snapshot to start from"],
    [[], "there is nothing of a replica of Litestream 0.3"],
  ])("refuses what the names show to be incomplete: %j", (objects, problem) => {
    expect(refusal(replica(...objects))).toContain(problem);
  });

  describe("with a snapshot of whose own log nothing was uploaded", () => {
    it("refuses it where there is no state before it, and names it", () => {
      const cutShort = `"generations/${A}/snapshots/00000003.snapshot.lz4" is whole only with the log after it`;
      expect(refusal(replica("a 3 1"))).toContain(cutShort);
      expect(refusal(replica("a 3 1"), { kind: "timestamp", ms: 1 })).toContain(cutShort);
      expect(refusal(replica("a 3 1"), toLog(A, 3))).toContain("log 00000003 is missing");
    });

    it("goes to the end of the log before it, and says so", () => {
      const cut = replica("a 0 10", "a 0_0 11", "a 1_0 20", "a 2 30");
      expect(plan(cut)).toBe("a 0: 0_0 1_0");
      expect(planV03(cut, { kind: "latest" }).notes).toEqual([
        `Nothing of the log of "generations/${A}/snapshots/00000002.snapshot.lz4" was uploaded: restored is the end of "generations/${A}/wal/00000001_00000000.wal.lz4"`,
      ]);
    });

    it("refuses it where the log before it is not there up to its end", () => {
      expect(refusal(replica("a 0 10", "a 0_0 11", "a 2 30"))).toContain("is whole only with the log after it");
    });

    it("leaves it to the log that was uploaded later whether it is whole by itself", () => {
      const { segments, behind, earlier } = planV03(files, { kind: "timestamp", ms: 10 });
      expect(segments).toEqual([]);
      expect(behind.map(({ offset }) => offset)).toEqual([0, 0x100]);
      expect(earlier).toBeUndefined();
    });
  });

  it("tells the last good position, and how to get there", () => {
    expect(refusal(replica("a 0 1", "a 0_0 2", "a 2_0 3"))).toContain(
      `the last good position is the end of "generations/${A}/wal/00000000_00000000.wal.lz4", of 1970-01-01T00:00:00.002Z`,
    );
  });

  it("doesn't mind a hole that the target doesn't need", () => {
    const holed = replica("a 0 1", "a 0_0 2", "a 2_0 3", "a 3 4", "a 3_0 5", "a 5_0 6");
    expect(plan(holed, { kind: "timestamp", ms: 5 })).toBe("a 3: 3_0");
    expect(plan(holed, { kind: "timestamp", ms: 2 })).toBe("a 0: 0_0");
    expect(refusal(holed)).toContain("log 00000004 is missing");
  });

  it("refuses a log that isn't there, and two names for one place", () => {
    expect(refusal(files, toLog(A, 3))).toContain("log 00000003 is missing");
    const twice = listV03([
      ...files.snapshots.map(({ key }) => ({ key, sizeBytes: 1, modifiedMs: 1 })),
      { key: `generations/${A}/wal/00000001_00000000.wal.lz4`, sizeBytes: 1, modifiedMs: 1 },
      { key: `generations/${A}/wal/00000001_000000000.wal.lz4`, sizeBytes: 1, modifiedMs: 1 },
    ]);
    expect(refusal(twice)).toContain("are of the same place");
  });

  it("plans a hundred thousand segments", () => {
    const many = Array.from(
      { length: 100_000 },
      (_, i) => `a ${Math.floor(i / 100).toString(16)}_${(i % 100).toString(16)} ${i}`,
    );
    expect(planV03(replica("a 0 0", ...many), { kind: "latest" }).segments.length).toBe(100_000);
  });
});
