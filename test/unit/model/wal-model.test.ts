import { describe, expect, it } from "vitest";
import { PLANTED, type Planted } from "../../model/planted.ts";
import { search } from "../../model/search.ts";
import { NO_READ, type State, saltOf } from "../../model/state.ts";
import { createModel } from "../../model/wal-model.ts";

/** `npm run model` looks further: to depth 12 in some ten seconds. */
const DEPTH = 10;

/** What the search finds first where a bug is planted, and in how many steps. */
const FOUND: readonly (readonly [Exclude<Planted, "any-salts-once-sealed">, string, number])[] = [
  ["hold-has-a-gap", "reset: the log was begun anew before it was captured", 3],
  ["reader-ends-before-capture", "needless: the whole database is copied", 5],
  ["any-salt-change", "lost: what was committed is skipped", 8],
  ["restart-not-sealed", "lost: what was committed is skipped", 8],
  ["reads-to-the-files-end", "invented: what was not committed is captured", 4],
  ["trusts-checksums", "invented: what was not committed is captured", 5],
  ["seals-without-lock", "reset: the log was begun anew before it was captured", 5],
  ["seals-and-reads-later", "torn: pages are read from the log after it has changed", 8],
  ["pages-from-the-log", "torn: pages are read from the log after it has changed", 9],
  ["recorded-before-staged", "lost: the position is ahead of what is on the volume", 7],
  ["resumes-without-salts", "lost: what was committed is not seen", 7],
  ["resumes-without-stamp", "lost: what was committed is not seen", 7],
];

/** The steps to the nearest state of that kind, which must not go by what keyOf() leaves out; undefined where none is near. */
function pathTo(isThere: (state: State) => boolean, planted?: Planted): readonly string[] | undefined {
  const model = createModel({ planted });
  const aimed = { ...model, wrong: (state: State) => (isThere(state) ? "there" : undefined) };
  return search(aimed, { depth: DEPTH }).violation?.path.map(({ name }) => name);
}

const isLost = ({ wrong }: State) => wrong?.startsWith("lost") === true;

describe("the model of the log and our protocol", () => {
  it("comes to no state in which a commit is lost, invented, or needlessly copied", () => {
    const { states, violation } = search(createModel(), { depth: DEPTH });
    expect(violation).toBeUndefined();
    expect(states).toBeGreaterThan(100_000);
  });

  it.each([
    ["a log that was begun anew and is captured on", (s: State) => s.found?.salt === saltOf(s.position) + 1],
    ["a log that is emptied while it is captured", (s: State) => s.found !== undefined && s.salt > s.found.salt],
    ["a log that was sealed under the write lock", (s: State) => s.phase === "renewed" && s.found?.sealed === true],
    ["a copy of the whole database", (s: State) => s.view !== NO_READ],
    ["a keeper that goes on from where another died", (s: State) => s.isFresh && s.position !== undefined],
  ])("comes to %s", (_, isThere) => {
    expect(pathTo(isThere)).toBeDefined();
  });

  it.each(FOUND)("sees the planted bug %s", (planted, reason, steps) => {
    const { violation } = search(createModel({ planted }), { depth: DEPTH });
    expect(violation?.reason).toBe(reason);
    expect(violation?.path).toHaveLength(1 + steps);
  });

  it("is told of each bug what it does", () => {
    expect(FOUND.map(([planted]) => planted)).toEqual(
      Object.keys(PLANTED).filter((planted) => planted !== "any-salts-once-sealed"),
    );
  });

  it("tells how the bug comes about, on the shortest path", () => {
    expect(pathTo(isLost, "resumes-without-salts")).toEqual([
      "start: a log of one commit, which is copied",
      "app: checkpoint PASSIVE",
      "keeper: crashes",
      "app: commit",
      "keeper: attaches",
      "keeper: resumes",
      "keeper: second reader begins",
      "keeper: captures nothing",
    ]);
  });

  it.each(["hold-has-a-gap", "seals-without-lock"] as const)("sees commits lost unnoticed by %s", (planted) => {
    expect(pathTo(isLost, planted)).toBeDefined();
  });

  it("does without the salts where the log was sealed, as the hold has no gap", () => {
    expect(search(createModel({ planted: "any-salts-once-sealed" }), { depth: DEPTH }).violation).toBeUndefined();
  });
});
