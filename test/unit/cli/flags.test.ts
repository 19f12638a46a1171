import { describe, expect, it } from "vitest";
import { COMMANDS, type Command, parseCommandLine } from "../../../src/cli/arguments.ts";
import { flagLines, flagsOf, flagText, SETTING_TEXTS } from "../../../src/cli/flags.ts";
import { FLAGS, type Flag, readSettings, type Sourced } from "../../../src/config/settings.ts";

const commands = Object.keys(COMMANDS) as Command[];

const read = (flags: { readonly [flag in Flag]?: string }) =>
  readSettings({ flags, command: [], environment: {}, workingDirectory: "/nowhere" });

/** Where a flag's value is in the settings. */
const VALUE_OF: { readonly [flag in Flag]?: (settings: Awaited<ReturnType<typeof read>>) => Sourced<unknown> } = {
  "sync-interval": ({ syncIntervalMs }) => syncIntervalMs,
  "stop-timeout": ({ stopTimeoutMs }) => stopTimeoutMs,
  "seed-timeout": ({ seedTimeoutMs }) => seedTimeoutMs,
  fence: ({ fence }) => fence,
  "on-stale-volume": ({ onStaleVolume }) => onStaleVolume,
  "on-migration-failure": ({ onMigrationFailure }) => onMigrationFailure,
  "hook-timeout": ({ hookTimeoutMs }) => hookTimeoutMs,
  log: ({ log }) => log,
  restart: ({ restart }) => restart,
  "share-aws": ({ shareAws }) => shareAws,
  "keep-package-manager": ({ keepPackageManager }) => keepPackageManager,
};

describe("what is said of a setting", () => {
  it.each(Object.keys(VALUE_OF) as (keyof typeof VALUE_OF)[])("has the default of --%s", async (flag) => {
    const { default: told = "" } = SETTING_TEXTS[flag];
    const pick = VALUE_OF[flag];
    expect(pick?.(await read({ [flag]: told })).value).toEqual(pick?.(await read({})).value);
  });

  it.each(FLAGS.filter((flag) => SETTING_TEXTS[flag].words !== undefined))(
    "has the words that --%s may be, and no other",
    async (flag) => {
      const { words = [] } = SETTING_TEXTS[flag];
      for (const word of words) await expect(read({ [flag]: word })).resolves.toBeDefined();
      const problem = `--${flag}: "another" is none of ${words.join(", ")}`;
      await expect(read({ [flag]: "another" })).rejects.toMatchObject({ problems: [problem] });
    },
  );
});

describe("what is said of a flag", () => {
  it.each(commands)("of %s tells whether it takes a value", (command) => {
    const booleans: readonly string[] = COMMANDS[command].booleans;
    for (const flag of flagsOf(command)) {
      expect(flagText(flag).value === undefined, flag).toBe(booleans.includes(flag));
    }
  });

  it.each(commands)("of %s fits a terminal, in a line each", (command) => {
    const lines = flagLines(flagsOf(command)).split("\n");
    expect(lines.length).toBe(flagsOf(command).length);
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(120);
  });
});

describe("the table of commands", () => {
  /** What some flags of a command make no sense without. */
  const needed: { readonly [command in Command]?: readonly string[] } = {
    run: ["--dry"],
    "migrate resolve": ["--applied", "x"],
  };

  it.each(commands)("is what the parser takes for %s", (command) => {
    for (const flag of COMMANDS[command].booleans.filter((name) => name !== "json")) {
      const words = [...command.split(" "), ...(needed[command] ?? []), `--${flag}`];
      expect(() => parseCommandLine(words)).not.toThrow();
    }
    const unknown = [...command.split(" "), "--no-such-flag"];
    expect(() => parseCommandLine(unknown)).toThrow(expect.objectContaining({ code: "E_USAGE" }));
  });
});
