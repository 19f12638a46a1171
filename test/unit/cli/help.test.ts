import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FAILURES } from "../../../src/base/errors.ts";
import { COMMANDS, type Command, HELP_TOPICS, parseCommandLine } from "../../../src/cli/arguments.ts";
import { exitStatusRows } from "../../../src/cli/exit-statuses.ts";
import { commandHelp, helpText } from "../../../src/cli/help.ts";
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

/** Flags of those pages that take no value. */
/** Flags of `init` without a value. */
const SWITCHES_OF_INIT = ["--yes", "--dry", "--force", "--stdout", "--litestream-yml"];

describe("the help on a command", () => {
  it.each(HELP_TOPICS)("of %s begins with its name, fits a terminal, and is listed", (topic) => {
    const page = commandHelp(topic);
    expect(page).toMatch(new RegExp(`^flysqlite ${topic}: .*\\n`));
    for (const line of page.split("\n")) expect(line.length, line).toBeLessThanOrEqual(120);
    expect(helpText("1.2.3")).toMatch(new RegExp(`^ {2}(?:npx )?flysqlite ${topic}\\b`, "m"));
  });

  it.each(HELP_TOPICS)("of %s has examples that it understands, and no flag that it doesn't", (topic) => {
    const page = commandHelp(topic);
    const examples = [...page.slice(page.indexOf("Examples")).matchAll(/flysqlite (\w(?:"[^"\n]*"|[^&>"\n])*)/g)]
      .map(([, words = ""]) => [...words.matchAll(/"[^"]*"|\S+/g)].map(([word]) => word))
      .filter(([word]) => word === topic);
    expect(examples.length).toBeGreaterThan(0);
    if (topic === "init") {
      for (const words of examples) expect(parseCommandLine(words).kind).toBe(topic);
      for (const [, flag = ""] of page.matchAll(/^ {2}(--[\w-]+)/gm)) {
        const words = SWITCHES_OF_INIT.includes(flag) ? [topic, flag] : [topic, flag, "x"];
        expect(parseCommandLine(words).kind, flag).toBe(topic);
      }
      return;
    }
    for (const words of examples) expect(() => parseCommandLine(words)).not.toThrow();
    const commands = (Object.keys(COMMANDS) as Command[]).filter((command) => command.split(" ")[0] === topic);
    const known = commands.flatMap((command): string[] => [
      ...COMMANDS[command].strings,
      ...COMMANDS[command].booleans,
    ]);
    for (const [, flag = ""] of page.matchAll(/^ {2}--([\w-]+)/gm)) expect(known).toContain(flag);
  });

  it("says how each ends", () => {
    const statuses = (topic: (typeof HELP_TOPICS)[number]) =>
      [...commandHelp(topic).matchAll(/^ {2}(\d+) {2,}(?:(E_\w+))?/gm)].map(([, status, code]) => [
        Number(status),
        code,
      ]);
    const { E_USAGE, E_FINAL_SYNC, E_SYNC, E_NO_KEEPER } = FAILURES;
    expect(statuses("init")).toEqual([
      [0, undefined],
      [E_USAGE.exitStatus, "E_USAGE"],
    ]);
    expect(statuses("replicate")).toEqual([
      [0, undefined],
      [E_FINAL_SYNC.exitStatus, "E_FINAL_SYNC"],
    ]);
    expect(statuses("doctor")).toEqual([[0, undefined]]);
    expect(statuses("status")).toEqual([
      [0, undefined],
      [E_SYNC.exitStatus, undefined],
      [E_NO_KEEPER.exitStatus, undefined],
    ]);
    expect(statuses("sync")).toEqual([
      [0, undefined],
      [E_SYNC.exitStatus, "E_SYNC"],
      [E_NO_KEEPER.exitStatus, "E_NO_KEEPER"],
    ]);
  });
});
