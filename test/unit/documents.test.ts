// Holds the Markdown files to what a renderer makes of them: a formatter that reflows a list ruins it without a word.

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");

const NOT_OURS = ["node_modules", "dist", "test/fixtures"];

const documents = globSync("**/*.md", { cwd: root, exclude: (path) => NOT_OURS.some((name) => path.endsWith(name)) });

/** The text without its code: what stands in fences is no Markdown. */
const proseOf = (path: string) => readFileSync(join(root, path), "utf8").replace(/^```[\s\S]*?^```$/gm, "");

/** The numbers of each list, as they are written. */
function numberedLists(text: string): readonly (readonly number[])[] {
  const lists: number[][] = [];
  for (const block of text.split(/\n(?!\d+\. |\s+\S)/)) {
    const numbers = [...block.matchAll(/^(\d+)\. /gm)].map(([, number]) => Number(number));
    if (numbers.length > 0) lists.push(numbers);
  }
  return lists;
}

describe.each(documents)("%s", (path) => {
  it("has numbered lists that count up from 1, an item a line", () => {
    const prose = proseOf(path);
    for (const numbers of numberedLists(prose)) expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    expect(prose).not.toMatch(/^\d+\. .*, (?:and )?\d+\. /m);
  });
});
