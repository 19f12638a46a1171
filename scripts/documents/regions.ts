// The parts of docs/ that are made from the program, each between two marks of its file. The rest is written by hand.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { commandSections } from "./commands.ts";
import { levelTable, settingsTable } from "./settings.ts";

const docs = join(import.meta.dirname, "../../docs");

/** What stands in each region, by name. */
const REGIONS: Readonly<Record<string, () => string>> = {
  settings: settingsTable,
  levels: levelTable,
  commands: commandSections,
};

/** The files that have regions. */
export const GENERATED = ["settings.md", "commands.md"].map((name) => join(docs, name));

/** The file's text, its regions made anew. Throws where a mark names none. */
export function withRegions(path: string): string {
  return readFileSync(path, "utf8").replace(
    /(<!-- made by `npm run docs`: (\w+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, begin: string, name: string, end: string) => {
      const make = REGIONS[name];
      if (make === undefined) throw new Error(`${path}: there is no region "${name}"`);
      return `${begin}\n${make()}\n\n${end}`;
    },
  );
}
