import { describe, expect, it } from "vitest";
import { temporaryDirectory } from "../../support/temporary.ts";
import { torture } from "../../support/torture.ts";

// A small sample; `npm run torture` takes as many seeds as one likes.
describe("a replica of a database under misbehaving writers, with pauses at random points of the protocol", () => {
  it("restores to a state that was, and never to an older one than was asked to be replicated", async () => {
    using directory = temporaryDirectory();
    const found = await torture({ directory: directory.path, seed: 1, seconds: 3, longestPauseMs: 25, kills: false });
    expect(found.wrong).toEqual([]);
    expect(found.fullCopies).toEqual([]);
    expect(found.restores).toBeGreaterThan(0);
    expect(found.restarts).toBeGreaterThan(0);
    expect(found.committed).toBeGreaterThan(0);
  });

  it("does so too where writers and the replicator are killed at any time", async () => {
    using directory = temporaryDirectory();
    const found = await torture({ directory: directory.path, seed: 2, seconds: 3, longestPauseMs: 25, kills: true });
    expect(found.wrong).toEqual([]);
    expect(found.restores).toBeGreaterThan(0);
    expect(found.kills).toBeGreaterThan(0);
    expect(found.committed).toBeGreaterThan(0);
  });
});
