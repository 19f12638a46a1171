// Holds docs/errors.md to the catalogue of failures, and the tests to provoking each of them.

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FAILURES, type FailureCode } from "../../src/base/errors.ts";
import { MEANINGS } from "../../src/cli/exit-statuses.ts";

const root = join(import.meta.dirname, "../..");
const codes = Object.keys(FAILURES) as FailureCode[];

/** The document's sections, by heading. */
const sections = new Map(
  readFileSync(join(root, "docs/errors.md"), "utf8")
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const [heading = "", ...lines] = section.split("\n");
      return [heading, lines.join("\n").trim()] as const;
    }),
);

/** These look at the catalogue itself, and provoke nothing. */
const OF_THE_CATALOGUE = /^test\/unit\/(?:cli|base)\/|^test\/unit\/errors-document\.test\.ts$/;

/** As a test expects a failure: its whole code in quotes, or as the beginning of a message. */
const EXPECTED = /"(E_[A-Z_]+)"|\b(E_[A-Z_]+):/g;

const provoked = new Set(
  globSync("test/**/*.test.ts", { cwd: root })
    .filter((path) => !OF_THE_CATALOGUE.test(path))
    .flatMap((path) => [...readFileSync(join(root, path), "utf8").matchAll(EXPECTED)])
    .map(([, quoted, begun]) => quoted ?? begun),
);

describe("docs/errors.md", () => {
  it("has a section for each code, and none for another", () => {
    expect([...sections.keys()].toSorted()).toEqual(codes.toSorted());
  });

  it.each(codes)("says what %s means, its status, and a way out", (code) => {
    const [first, ...paragraphs] = sections.get(code)?.split("\n\n") ?? [];
    expect(first).toBe(`Status ${FAILURES[code].exitStatus}: ${MEANINGS[code]}.`);
    expect(paragraphs.join(" ").length).toBeGreaterThan(100);
  });
});

describe("the tests", () => {
  it.each(codes)("provoke %s", (code) => {
    expect(provoked).toContain(code);
  });
});
