// Holds the Markdown files to what a renderer makes of them: a formatter that reflows a list ruins it without a word,
// and a heading that is renamed breaks the links to it.

import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse as parseYaml } from "yaml";
import { parseCommandLine } from "../../src/cli/arguments.ts";

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

/** Where the Markdown's links lead, of those to files and headings of the project. */
function linksOf(path: string): readonly string[] {
  const prose = proseOf(path).replace(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = ""]) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** The names by which a renderer lets headings be linked to. Source: https://github.com/Flet/github-slugger */
function anchorsOf(path: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of proseOf(path).matchAll(/^#{1,6} (.+)$/gm)) {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const name = text.replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, "").replaceAll(" ", "-");
    let anchor = name;
    for (let times = 1; anchors.has(anchor); times++) anchor = `${name}-${times}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** What is wrong with a link, or undefined. */
function faultOf(link: string, from: string): string | undefined {
  const [file = "", anchor] = link.split("#");
  const target = file === "" ? from : join(dirname(from), file);
  if (!existsSync(join(root, target))) return `${link}: there is no ${target}`;
  if (anchor === undefined || anchorsOf(target).has(anchor)) return undefined;
  return `${link}: no heading of ${target} has that name`;
}

/** The blocks of code in a language. */
function blocksOf(path: string, language: string): readonly string[] {
  const text = readFileSync(join(root, path), "utf8");
  return [...text.matchAll(/^( *)```(\w+)\n([\s\S]*?)^ *```$/gm)]
    .filter(([, , found]) => found === language)
    .map(([, indent = "", , block = ""]) => block.replace(new RegExp(`^${indent}`, "gm"), ""));
}

/** The command lines of flysqlite in a shell's lines, without those that only the npm package knows. */
function commandLinesOf(block: string): readonly (readonly string[])[] {
  return [...block.matchAll(/(?:^|[ "/])flysqlite ([a-z-](?:"[^"\n]*"|'[^'\n]*'|[^#&|>"'\n])*)/gm)]
    .map(([, words = ""]) => words.match(/"[^"]*"|'[^']*'|\S+/g) ?? [])
    .filter(([command = ""]) => !["build"].includes(command));
}

describe("the command lines in blocks", () => {
  it("are found", () => {
    const block = 'fly ssh console -C "flysqlite status"  # x\nnpx flysqlite build\n./flysqlite seed --seed "a b" && x';
    expect(commandLinesOf(block)).toEqual([["status"], ["seed", "--seed", '"a b"']]);
    expect(documents.flatMap((path) => blocksOf(path, "sh").flatMap(commandLinesOf)).length).toBeGreaterThan(20);
  });
});

describe("the links", () => {
  it("are told from those that lead nowhere", () => {
    expect(linksOf("README.md").length).toBeGreaterThan(5);
    expect(faultOf("migrations.md#seeds", "docs/errors.md")).toBeUndefined();
    expect(faultOf("../README.md#see-it-work", "docs/errors.md")).toBeUndefined();
    expect(faultOf("#e_volume", "docs/errors.md")).toBeUndefined();
    expect(faultOf("#e_nothing", "docs/errors.md")).toMatch(/no heading of docs\/errors\.md/);
    expect(faultOf("missing.md", "docs/errors.md")).toMatch(/there is no docs\/missing\.md/);
  });
});

describe.each(documents)("%s", (path) => {
  it("links to files and headings that are there", () => {
    const faults = linksOf(path).map((link) => faultOf(link, path));
    expect(faults.filter((fault) => fault !== undefined)).toEqual([]);
  });

  it("shows command lines that flysqlite takes, and YAML that is some", () => {
    for (const words of blocksOf(path, "sh").flatMap(commandLinesOf)) {
      expect(() => parseCommandLine(words), words.join(" ")).not.toThrow();
    }
    for (const block of blocksOf(path, "yaml")) expect(parseYaml(block)).toBeTypeOf("object");
  });

  it("has numbered lists that count up from 1, an item a line", () => {
    const prose = proseOf(path);
    for (const numbers of numberedLists(prose)) expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    expect(prose).not.toMatch(/^\d+\. .*, (?:and )?\d+\. /m);
  });
});
