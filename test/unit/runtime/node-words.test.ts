import { describe, expect, it } from "vitest";
import { OWN_LIMITS, optionsWith, parseNodeWords } from "../../../src/runtime/node-words.ts";

const script = (path: string, ...args: readonly string[]) => ({ kind: "script", path, arguments: args });

describe("parseNodeWords", () => {
  it.each([
    ["a script", ["server.js"], [], script("server.js")],
    [
      "a script with flags of its own",
      ["server.js", "--port", "80", "--", "-x"],
      [],
      script("server.js", "--port", "80", "--", "-x"),
    ],
    ["an option with its value", ["--max-old-space-size=300", "a.js"], ["--max-old-space-size=300"], script("a.js")],
    [
      "options with a value in the next word",
      ["-r", "./x.cjs", "--import", "tsx", "a.ts"],
      ["-r", "./x.cjs", "--import", "tsx"],
      script("a.ts"),
    ],
    ["a switch", ["--enable-source-maps", "a.js"], ["--enable-source-maps"], script("a.js")],
    ["a script behind --", ["--trace-warnings", "--", "-odd.js", "1"], ["--trace-warnings"], script("-odd.js", "1")],
    ["a script in a directory", ["./build/index.js"], [], script("./build/index.js")],
  ])("reads %s", (_, words, options, entry) => {
    expect(parseNodeWords(words)).toMatchObject({ options, entry });
  });

  it.each([
    [["-e", "code", "a"], { kind: "eval", code: "code", print: false, arguments: ["a"] }],
    [["--eval=1 = 2"], { kind: "eval", code: "1 = 2", print: false, arguments: [] }],
    [["-p", "1"], { kind: "eval", code: "1", print: true, arguments: [] }],
    [["--version"], { kind: "version" }],
  ])("reads %j", (words, entry) => {
    expect(parseNodeWords(words).entry).toEqual(entry);
  });

  it("reads files of variables", () => {
    const { envFiles } = parseNodeWords(["--env-file=.env", "--env-file-if-exists", "more.env", "a.js"]);
    expect(envFiles).toEqual([
      { path: ".env", required: true },
      { path: "more.env", required: false },
    ]);
  });

  it.each([[["--test"]], [["--watch", "a.js"]], [["-"]], [[]], [["--check", "a.js"]], [["--"]]])(
    "says of %j that it is not offered",
    (words) => {
      expect(parseNodeWords(words).entry.kind).toBe("unsupported");
    },
  );
});

describe("optionsWith", () => {
  const limits = OWN_LIMITS.join(" ");

  it("lifts flysqlite's own limits, then takes NODE_OPTIONS, then the command line's", () => {
    expect(optionsWith(undefined, ["a.js"])).toBe(limits);
    expect(optionsWith("--max-old-space-size=200", ["--max-old-space-size=300", "a.js"])).toBe(
      `${limits} --max-old-space-size=200 --max-old-space-size=300`,
    );
  });

  it("puts in quotes what has blanks, quotes or backslashes", () => {
    expect(optionsWith("", ["-r", './a b"c\\d.cjs', "a.js"])).toBe(`${limits} -r "./a b\\"c\\\\d.cjs"`);
  });
});
