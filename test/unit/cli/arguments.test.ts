import { describe, expect, it } from "vitest";
import { parseCommandLine } from "../../../src/cli/arguments.ts";
import { FLAGS } from "../../../src/config/settings.ts";

const run = { kind: "run", dry: false, json: false, flags: {}, command: [] };

describe("parseCommandLine", () => {
  it.each([
    [[], run],
    [["run"], run],
    [["--"], run],
    [["run", "--"], run],
    [["node", "server.js"], { ...run, command: ["node", "server.js"] }],
    [["run", "node", "server.js"], { ...run, command: ["node", "server.js"] }],
    [["run", "--dry"], { ...run, dry: true }],
    [["--dry", "--json", "node"], { ...run, dry: true, json: true, command: ["node"] }],
    [["--volume", "/vol", "node"], { ...run, flags: { volume: "/vol" }, command: ["node"] }],
    [["--volume=/vol", "node"], { ...run, flags: { volume: "/vol" }, command: ["node"] }],
    [["--seed=a=b", "node"], { ...run, flags: { seed: "a=b" }, command: ["node"] }],
    [["--volume=", "node"], { ...run, flags: { volume: "" }, command: ["node"] }],
    [["--volume", "/a", "--volume", "/b"], { ...run, flags: { volume: "/b" } }],
  ])("reads %j", (words, expected) => {
    expect(parseCommandLine(words)).toEqual(expected);
  });

  it("takes a value for each flag that has one", () => {
    const words = FLAGS.flatMap((flag) => [`--${flag}`, `of ${flag}`]);
    const flags = Object.fromEntries(FLAGS.map((flag) => [flag, `of ${flag}`]));
    expect(parseCommandLine([...words, "node"])).toEqual({ ...run, flags, command: ["node"] });
  });

  it.each([
    [["node", "--volume", "/vol", "--help"]],
    [["node", "-h"]],
    [["sh", "-c", "exec node --dry", "--", "x"]],
    [["npm", "run", "start", "--", "--json"]],
    [["node", ""]],
  ])("does not look at the command's own words: %j", (command) => {
    expect(parseCommandLine(command)).toEqual({ ...run, command });
    expect(parseCommandLine(["run", "--log", "json", ...command])).toEqual({ ...run, flags: { log: "json" }, command });
  });

  it.each(["run", "build", "help", "--dry", "-x", "--"])("takes %j after -- for the app's program", (word) => {
    expect(parseCommandLine(["--", word, "a"])).toEqual({ ...run, command: [word, "a"] });
  });

  it("takes a word of ours in second place for the app's program", () => {
    expect(parseCommandLine(["run", "run"])).toEqual({ ...run, command: ["run"] });
    expect(parseCommandLine(["run", "build"])).toEqual({ ...run, command: ["build"] });
  });

  it.each([[["help"]], [["--help"]], [["-h"]], [["run", "--help"]], [["--dry", "-h"]], [["--volume", "/v", "--help"]]])(
    "is asked for help by %j",
    (words) => {
      expect(parseCommandLine(words)).toEqual({ kind: "help" });
    },
  );

  it("is asked for the version, or to build", () => {
    expect(parseCommandLine(["--version"])).toEqual({ kind: "version" });
    expect(parseCommandLine(["build", "--out", "x"])).toEqual({ kind: "build" });
  });

  it.each([
    [["--volum", "/v"], "--volum"],
    [["--DRY"], "--DRY"],
    [["-v"], "-v"],
    [["-"], "-"],
    [["--dry=yes"], "--dry"],
    [["--volume"], "--volume"],
    [["--volume", "--dry"], "--volume"],
    [["--volume", "--", "node"], "--volume"],
    [["--json"], "--json without --dry"],
    [["--no-dry"], "--no-dry"],
  ])("refuses %j, and names it in one sentence without a full stop", (words, name) => {
    const message = expect.toSatisfy(
      (text: string) => text.includes(name) && !/\n|\.$/.test(text),
      "one sentence",
    ) as string;
    expect(() => parseCommandLine(words)).toThrow(expect.objectContaining({ code: "E_USAGE", message }));
  });
});
