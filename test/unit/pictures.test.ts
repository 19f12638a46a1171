// Holds the pictures of docs/ to what they are made of. That of the demo is of a run, so only its form is held.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BOOT, ROLES } from "../../scripts/documents/boot.ts";
import { bootPicture } from "../../scripts/documents/boot-picture.ts";
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

describe.each([["boot.svg", 20_000]])("docs/%s", (name, limitBytes) => {
  const picture = readFileSync(join(docs, name), "utf8");

  it("is XML with something to read, small, and needs nothing from elsewhere", () => {
    expect(textsOf(picture).length).toBeGreaterThan(20);
    expect(Buffer.byteLength(picture)).toBeLessThan(limitBytes);
    expect(picture).not.toMatch(/href|@import|url\(|<script|<image|<foreignObject/);
  });
});
