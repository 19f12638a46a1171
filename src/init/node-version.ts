// Which Node a project asks for. Pure.
// Source: https://github.com/nvm-sh/nvm#nvmrc, https://docs.npmjs.com/cli/v11/configuring-npm/package-json#engines

import type { Found, NodeVersion } from "./facts.ts";

/** The line that executables are built on. Taken where the project allows it: the image needs no second Node then. */
export const OWN_NODE = 24;

/** Lines to try in turn where a range excludes our own. Odd ones are no releases for production. */
const OTHER_LINES = [22, 26, 20, 18];

/** Names of the lines with long-term support. */
const CODE_NAMES: Readonly<Record<string, number>> = { hydrogen: 18, iron: 20, jod: 22, krypton: 24 };

export function detectNode({ package: app, texts }: Found): NodeVersion {
  const named = [
    { source: ".nvmrc", text: texts.get(".nvmrc") },
    { source: ".node-version", text: texts.get(".node-version") },
    { source: "package.json#volta", text: app.volta },
  ];
  for (const { source, text } of named) {
    const version = text === undefined ? undefined : readVersion(text);
    if (version !== undefined) return { ...version, source };
  }
  if (app.engine !== undefined) {
    const { engine } = app;
    const major = [OWN_NODE, ...OTHER_LINES].find((line) => allows(engine, line));
    if (major !== undefined) return { tag: String(major), major, source: "package.json#engines" };
  }
  return { tag: String(OWN_NODE), major: OWN_NODE };
}

/** Reads "v22.11.0", "22" or "lts/jod"; undefined for an alias that names no line, such as "node". */
function readVersion(text: string): Pick<NodeVersion, "tag" | "major"> | undefined {
  const word = text.trim().split(/\s/)[0] ?? "";
  const major = CODE_NAMES[/^lts\/(\w+)$/.exec(word)?.[1] ?? ""];
  if (major !== undefined) return { tag: String(major), major };
  const [, tag, line] = /^v?((\d+)(?:\.\d+(?:\.\d+)?)?)$/.exec(word) ?? [];
  return tag === undefined ? undefined : { tag, major: Number(line) };
}

/** Whether a range takes the newest release of a line. An approximation of npm's: by the major number alone. */
function allows(range: string, line: number): boolean {
  return range.split("||").some((part) => {
    const [, from, to] = /^\s*v?(\d+)\S*\s+-\s+v?(\d+)\S*\s*$/.exec(part) ?? [];
    if (from !== undefined) return line >= Number(from) && line <= Number(to);
    const comparators = part
      .replaceAll(/([<>=^~])\s+/g, "$1")
      .trim()
      .split(/\s+/);
    return comparators.every((comparator) => {
      const [, operator, major, rest] = /^(>=|<=|[<>^~=])?v?(\d+)(.*)$/.exec(comparator) ?? [];
      if (major === undefined) return comparator === "" || comparator === "*" || comparator === "x";
      const number = Number(major);
      if (operator === ">=") return line >= number;
      if (operator === ">") return rest === "" || /^(?:\.x)+$/.test(rest ?? "") ? line > number : line >= number;
      if (operator === "<=") return line < number || (line === number && rest === "");
      if (operator === "<") return line < number;
      return line === number;
    });
  });
}
