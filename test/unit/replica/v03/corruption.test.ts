import { describe, expect, it } from "vitest";
import { sweepReplica } from "../../../support/corruption.ts";
import { seededRandom } from "../../../support/random.ts";
import { makeLtxReplica, makeV03Replica } from "../../../support/small-replicas.ts";

// scripts/corruption.ts changes every byte; here it is every third one.
const extent = { random: seededRandom(7), cuts: 10, byteStep: 3 };

describe("a damaged replica", () => {
  it.each([1, 2] as const)("of Litestream 0.3 gives the exact state or is refused: %i snapshots", async (snapshots) => {
    const objects = makeV03Replica({ snapshots });
    const { wrong, unnamed, unproved, refused } = await sweepReplica({ objects, format: "v03", ...extent });
    expect({ wrong, unnamed }).toEqual({ wrong: [], unnamed: [] });
    expect(refused).toBeGreaterThan(300);
    // The limit of the format, which the documentation names.
    expect(unproved).toEqual(["generations/0123456789abcdef/wal/00000002_00000450.wal.lz4: deleted"]);
  });

  it("of LTX files gives the exact state or is refused", async () => {
    const { wrong, unnamed, unproved, refused } = await sweepReplica({
      objects: makeLtxReplica(),
      format: "ltx",
      ...extent,
    });
    expect({ wrong, unnamed, unproved }).toEqual({ wrong: [], unnamed: [], unproved: [] });
    expect(refused).toBeGreaterThan(300);
  });
});
