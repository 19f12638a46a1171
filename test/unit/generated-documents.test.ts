// Holds docs/ to the program: what is made from it is what it would be made now.

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, it } from "vitest";
import { GENERATED, withRegions } from "../../scripts/documents/regions.ts";
import { COMMANDS } from "../../src/cli/arguments.ts";
import { FLAGS, SWITCHES, variableOf } from "../../src/config/settings.ts";

const textOf = (name: string) => readFileSync(GENERATED.find((path) => basename(path) === name) ?? "", "utf8");

describe("what `npm run docs` writes", () => {
  it.each(GENERATED.map((path) => [basename(path), path]))("is what stands in %s", (_, path) => {
    expect(readFileSync(path, "utf8")).toBe(withRegions(path));
  });

  it("has each setting with its variable", () => {
    const text = textOf("settings.md");
    for (const flag of [...FLAGS, ...SWITCHES]) {
      expect(text).toMatch(new RegExp(`^\\| \`--${flag}\` +\\| \`${variableOf(flag)}\` `, "m"));
    }
  });

  it("has each command", () => {
    const text = textOf("commands.md");
    for (const command of Object.keys(COMMANDS)) expect(text).toContain(`flysqlite ${command}`);
  });
});
