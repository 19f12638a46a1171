import { describe, expect, it } from "vitest";
import { FAILURES } from "../../../src/base/errors.ts";
import { exitStatusTable, helpText } from "../../../src/cli/help.ts";
import { FLAGS } from "../../../src/config/settings.ts";

describe("helpText", () => {
  const help = helpText("1.2.3");

  it("begins with name and version, and fits a terminal", () => {
    expect(help).toMatch(/^flysqlite 1\.2\.3: /);
    expect(help).toMatch(/\n$/);
    for (const line of help.split("\n")) expect(line.length, line).toBeLessThanOrEqual(120);
  });

  it.each([...FLAGS, "dry", "json", "help", "version"])("names --%s", (flag) => {
    expect(help).toMatch(new RegExp(`--${flag}\\b(?!-)`));
  });

  it.each(Object.entries(FAILURES))("has %s with its status", (code, { exitStatus }) => {
    expect(help).toMatch(new RegExp(`^ +${exitStatus}  .*\\b${code}\\b`, "m"));
  });
});

describe("exitStatusTable", () => {
  it("has each status once, in order", () => {
    const statuses = exitStatusTable()
      .split("\n")
      .map((line) => Number.parseInt(line, 10));
    expect(statuses).toEqual(
      [...new Set(Object.values(FAILURES).map(({ exitStatus }) => exitStatus))].sort((a, b) => a - b),
    );
  });
});
