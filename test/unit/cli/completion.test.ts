// The script for bash is asked as bash asks it, and the other two are held to the table; their shells are asked where
// they are installed.

import { execFileSync, spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { COMMANDS, type Command, SHELLS } from "../../../src/cli/arguments.ts";
import { completionScript } from "../../../src/cli/completion.ts";
import { flagsOf } from "../../../src/cli/flags.ts";

const commands = Object.keys(COMMANDS) as Command[];

/** What bash offers behind `words`, of which the last is being typed, as readline would call the function. */
function offered(...words: readonly string[]): readonly string[] {
  const script = `${completionScript("bash")}
COMP_WORDS=(flysqlite "$@")
COMP_CWORD=$#
_flysqlite
printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync("bash", ["--norc", "-uc", script, "bash", ...words], { encoding: "utf8", cwd: "/" })
    .split("\n")
    .filter((line) => line !== "");
}

describe("bash's completions", () => {
  it("are a script that bash can parse", () => {
    const { status, stderr } = spawnSync("bash", ["-n"], { input: completionScript("bash"), encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });

  it("are registered for the command", () => {
    const script = `${completionScript("bash")}\ncomplete -p flysqlite`;
    expect(execFileSync("bash", ["--norc", "-c", script], { encoding: "utf8" })).toMatch(/-F _flysqlite flysqlite/);
  });

  it("offer the commands first", () => {
    expect(offered("s")).toEqual(["snapshots", "seed", "status", "sync"]);
    expect(offered("")).toEqual(expect.arrayContaining(["run", "restore", "build", "completion", "help"]));
  });

  it.each(commands)("offer all flags of %s", (command) => {
    expect(offered(...command.split(" "), "--")).toEqual(flagsOf(command).map((flag) => `--${flag}`));
  });

  it("offer the flags of a run before any command", () => {
    expect(offered("--vol")).toEqual(["--volume"]);
    expect(offered("--dry", "--vol")).toEqual(["--volume"]);
  });

  it.each([
    ["a value that is one of a few words", ["run", "--fence", ""], ["auto", "required", "off"]],
    ["the same behind an equals sign", ["run", "--fence", "="], ["auto", "required", "off"]],
    ["the rest of it", ["run", "--fence", "=", "r"], ["required"]],
    ["a directory", ["run", "--volume", "/et"], ["/etc"]],
    ["nothing for a time", ["sync", "--timeout", ""], []],
    ["the word behind migrate", ["migrate", "re"], ["resolve"]],
    ["topics of help", ["help", "rep"], ["replicate"]],
    ["the shells", ["completion", ""], [...SHELLS]],
    ["nothing where the app's command is", ["run", "x"], []],
  ])("offer %s", (_, words, expected) => {
    expect(offered(...words)).toEqual(expected);
  });
});

/** How fish's condition for a command's flags begins. Those of a run are offered where no other command is. */
const conditionOf = (command: Command) =>
  command === "run"
    ? "not __fish_seen_subcommand_from doctor "
    : `__fish_seen_subcommand_from ${command.split(" ").join("; and __fish_seen_subcommand_from ")}'`;

describe.each(["zsh", "fish"] as const)("%s's completions", (shell) => {
  const script = completionScript(shell);

  it.each(commands)("know the flags of %s", (command) => {
    const lines = script.split("\n");
    for (const flag of flagsOf(command)) {
      const known =
        shell === "zsh"
          ? (line: string) => line.includes(`'${command}') `) && new RegExp(`'--${flag}[=[]`).test(line)
          : (line: string) => line.includes(`-l ${flag} `) && line.includes(` -n '${conditionOf(command)}`);
      expect(lines.filter(known), flag).not.toEqual([]);
    }
  });

  it.skipIf(spawnSync(shell, ["-c", "true"]).status !== 0)("are a script that it can parse", () => {
    const { status, stderr } = spawnSync(shell, ["-n"], { input: script, encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});
