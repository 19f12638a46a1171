import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FAILURES } from "../../../src/base/errors.ts";
import { exitStatusRows } from "../../../src/cli/exit-statuses.ts";
import { helpText } from "../../../src/cli/help.ts";
import { FLAGS, SWITCHES } from "../../../src/config/settings.ts";

describe("helpText", () => {
  const help = helpText("1.2.3");

  it("begins with name and version, and fits a terminal", () => {
    expect(help).toMatch(/^flysqlite 1\.2\.3: /);
    expect(help).toMatch(/\n$/);
    for (const line of help.split("\n")) expect(line.length, line).toBeLessThanOrEqual(120);
  });

  it.each([...FLAGS, ...SWITCHES, "dry", "json", "help", "version"])("names --%s", (flag) => {
    expect(help).toMatch(new RegExp(`--${flag}\\b(?!-)`));
  });

  it.each(Object.entries(FAILURES))("has %s with its status", (code, { exitStatus }) => {
    expect(help).toMatch(new RegExp(`^ +${exitStatus}  .*\\b${code}\\b`, "m"));
  });
});

describe("the table of exit statuses", () => {
  const rows = exitStatusRows();

  it("has each failure once, by status", () => {
    const ours = rows.filter(({ code }) => code !== "");
    expect(ours.map(({ code }) => code).sort()).toEqual(Object.keys(FAILURES).sort());
    const statuses = ours.map(({ status }) => Number(status));
    expect(statuses).toEqual(statuses.toSorted((left, right) => left - right));
  });

  it("keeps clear of an app's 1 and 2, and of a shell's 128 + n", () => {
    for (const { exitStatus } of Object.values(FAILURES)) {
      expect(exitStatus).toBeGreaterThanOrEqual(64);
      expect(exitStatus).toBeLessThan(128);
    }
  });

  it("is the one that README shows", () => {
    const readme = readFileSync(join(import.meta.dirname, "../../../README.md"), "utf8");
    const section = /^## Exit statuses\n([\s\S]*?)\n## /m.exec(readme)?.[1] ?? "";
    const shown = [...section.matchAll(/^\| (.*?) +\| (.*?) *\| (.*?) *\|$/gm)]
      .map(([, status = "", code = "", meaning = ""]) => ({ status, code: code.replaceAll("`", ""), meaning }))
      .filter(({ status }) => /\d/.test(status));
    expect(shown).toEqual(rows);
  });
});
