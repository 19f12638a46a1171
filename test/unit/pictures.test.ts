// Holds the pictures of docs/ to what they are made of. That of the demo is of a run, so only its form is held.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BOOT, ROLES } from "../../scripts/documents/boot.ts";
import { bootPicture } from "../../scripts/documents/boot-picture.ts";
import { type Line, MAX_PAUSE_MS, pace, READING_MS, rowsOf, stable } from "../../scripts/documents/recording.ts";
import { COLUMNS, framesOf, LAST_SCREEN_MS, ROWS, terminalPicture } from "../../scripts/documents/terminal-picture.ts";
import { makePlan } from "../../src/plan/plan.ts";
import { type Element, parseXml } from "../../src/storage/s3/xml.ts";
import { emptyReplica, firstStart, lease, settings } from "./plan/facts.ts";

const docs = join(import.meta.dirname, "../../docs");

/** Each text that is drawn, in the file's order. Throws where the picture is no XML. */
function textsOf(picture: string): readonly string[] {
  const texts = ({ name, text, children }: Element): readonly string[] =>
    name === "text" ? [text] : children.flatMap(texts);
  return texts(parseXml(new TextEncoder().encode(picture.replace(/<\/?tspan[^>]*>/g, ""))));
}

describe("bootPicture", () => {
  it("is what docs/boot.svg shows", () => {
    expect(readFileSync(join(docs, "boot.svg"), "utf8")).toBe(bootPicture(BOOT));
  });

  it("has the steps of a plan, in its order", () => {
    const plan = makePlan({ ...firstStart, replica: emptyReplica, lease: lease({ by: "mine" }) }, settings);
    if (!("lines" in plan)) throw new Error("it was refused");
    expect(BOOT.map(({ step }) => step)).toEqual(plan.lines.map(({ step }) => step));
  });

  it("draws each step with its number, what it does and its codes, in order, and each role", () => {
    const texts = textsOf(bootPicture(BOOT));
    expect(texts.slice(0, ROLES.length)).toEqual(ROLES);
    const begins = BOOT.map(({ step }) => texts.indexOf(step));
    for (const [index, { step, does, beforehand, meanwhile }] of BOOT.entries()) {
      const [begin, end] = [begins[index], begins[index + 1]];
      const row = texts.slice(begin, end);
      expect(row.join(" ")).toBe([step, does, index + 1, ...beforehand, ...meanwhile].join(" "));
    }
  });

  it("leads from lane to lane as the steps go from role to role", () => {
    const wayOf = (roles: readonly (typeof ROLES)[number][]) => {
      const steps = roles.map((by) => ({ step: "link", does: "x", by, beforehand: [], meanwhile: [] }) as const);
      return /class="way" d="([^"]*)"/.exec(bootPicture(steps))?.[1]?.replace(/[\d. ]+/g, "");
    };
    expect(wayOf(["supervisor", "supervisor"])).toBe("MVV");
    expect(wayOf(["keeper", "keeper", "app"])).toBe("MVHVVVHV");
  });

  it("draws what is markup as text", () => {
    const step = { step: "seed", does: 'a < b && "c"', by: "app", beforehand: [], meanwhile: [] } as const;
    expect(textsOf(bootPicture([step]))).toContain('a < b && "c"');
  });
});

describe("a recording", () => {
  const paced = (...lines: readonly (readonly [number, string])[]) =>
    pace(lines.map(([atMs, text]) => ({ atMs, text }))).map(({ atMs }) => atMs);

  it.each([
    ["app opens /tmp/flysqlite-demo-JJjjw8/app/dev.db (", "app opens /tmp/demo/app/dev.db ("],
    ["to file:///var/tmp/flysqlite-demo-a1B2c3/replica", "to file:///tmp/demo/replica"],
    ["URL=file:/tmp/flysqlite-demo-a1B2c3/volume/dev.db", "URL=file:/tmp/demo/volume/dev.db"],
    ["listening on http://127.0.0.1:34299", "listening on http://127.0.0.1:8080"],
    ["\u001b[33mwarning\u001b[39m: 20 rows in 59 ms", "warning: 20 rows in 59 ms"],
  ])("has %j without what differs from run to run", (text, shown) => {
    expect(stable(text)).toBe(shown);
  });

  it("begins at once, keeps its times, and shortens long pauses", () => {
    expect(paced([700, "a"], [900, "b"], [9000, "c"], [9100, "d"])).toEqual([0, 200, 1200, 1300]);
  });

  it("shows at once what came nearly at once", () => {
    expect(paced([0, "a"], [101, "b"], [103, "c"])).toEqual([0, 100, 100]);
  });

  it("gives time to read before a stage begins, more where there is more to read", () => {
    expect(paced([0, "a"], [0, ""], [0, "1. First."], [0, "b"])).toEqual([0, MAX_PAUSE_MS, MAX_PAUSE_MS, MAX_PAUSE_MS]);
    const long = Array.from({ length: 20 }, () => [0, "line"] as const);
    expect(paced(...long, [0, ""], [0, "2. Second."]).at(-1)).toBe(20 * READING_MS);
    expect(paced([0, "a"], [0, ""], [0, "   | 1. volume"]).at(-1)).toBe(0); // a plan's step is no stage
  });

  it("breaks a line that is too long for the terminal", () => {
    expect(rowsOf("abcdefg", 3)).toEqual(["abc", "def", "g"]);
    expect(rowsOf("", 3)).toEqual([""]);
  });
});

describe("terminalPicture", () => {
  const names = { title: "a < b", bar: "$ x" };
  const draw = (...lines: readonly Line[]) => terminalPicture(lines, names);

  it("has every line in order, and draws what is markup as text", () => {
    const texts = ["1. <first>", "   | flysqlite  volume     warning: a && b", "", "x".repeat(COLUMNS + 1)];
    const drawn = textsOf(draw(...texts.map((text, index) => ({ atMs: index, text }))));
    expect(drawn).toEqual(["$ x", texts[0], texts[1], "x".repeat(COLUMNS), "x"]);
  });

  it("moves in steps, one for each time at which lines came", () => {
    expect(framesOf([0, 0, 10, 30, 30])).toEqual([
      { atMs: 0, count: 2 },
      { atMs: 10, count: 3 },
      { atMs: 30, count: 5 },
    ]);
    expect(framesOf([10])).toEqual([
      { atMs: 0, count: 0 },
      { atMs: 10, count: 1 },
    ]);
  });

  it("uncovers rows until the terminal is full, then scrolls, and stays on the last screen", () => {
    const picture = draw(...Array.from({ length: ROWS + 1 }, (_, index) => ({ atMs: index * 100, text: "x" })));
    const [rows = "", cover = ""] = [...picture.matchAll(/@keyframes [\s\S]*?\n}/g)].map(([text]) => text);
    const placesOf = (text: string) => [...text.matchAll(/translateY\((-?\d+)px\)/g)].map(([, y]) => Number(y) / 17);
    expect(placesOf(cover)).toEqual([...Array.from({ length: ROWS }, (_, index) => index + 1), ROWS]);
    expect(placesOf(rows).slice(-2)).toEqual([0, -1]);
    expect(picture).toContain(`rows ${ROWS * 100 + LAST_SCREEN_MS}ms step-end infinite`);
  });

  it("shows the last screen to who wants no motion, and where nothing moves", () => {
    const picture = draw(...Array.from({ length: ROWS + 2 }, (_, index) => ({ atMs: index, text: "x" })));
    expect(picture).toContain("@media (prefers-reduced-motion: reduce) { .rows, .cover { animation: none } }");
    expect(picture).toContain('class="rows" transform="translate(0 -34)"');
  });
});

describe("docs/demo.svg", () => {
  const texts = textsOf(readFileSync(join(docs, "demo.svg"), "utf8"));

  it("is a run that came to its end", () => {
    expect(texts.at(-1)).toBe("Done: nothing was lost.");
  });

  it("has no path and no port of the machine that recorded it", () => {
    expect(texts.map(stable)).toEqual(texts);
  });
});

describe.each([
  ["boot.svg", 20_000],
  ["demo.svg", 60_000],
])("docs/%s", (name, limitBytes) => {
  const picture = readFileSync(join(docs, name), "utf8");

  it("is XML with something to read, small, and needs nothing from elsewhere", () => {
    expect(textsOf(picture).length).toBeGreaterThan(20);
    expect(Buffer.byteLength(picture)).toBeLessThan(limitBytes);
    expect(picture).not.toMatch(/href|@import|url\(|<script|<image|<foreignObject/);
  });
});
