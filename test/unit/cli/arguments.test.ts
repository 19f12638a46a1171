import { describe, expect, it } from "vitest";
import { asksForJson, HELP_TOPICS, parseCommandLine } from "../../../src/cli/arguments.ts";
import { FLAGS } from "../../../src/config/settings.ts";

const NO_INIT = {
  kind: "init",
  yes: false,
  dry: false,
  force: false,
  stdout: false,
  litestreamYml: false,
  schema: undefined,
};
const run = { kind: "run", dry: false, json: false, offline: false, flags: {}, command: [] };

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

  it.each([
    [["replicate"], { kind: "replicate", flags: {} }],
    [
      [
        "replicate",
        "--database",
        "/data/app.db",
        "--replica=s3://b/p",
        "--sync-interval",
        "2s",
        "--stop-timeout",
        "9s",
      ],
      {
        kind: "replicate",
        flags: { database: "/data/app.db", replica: "s3://b/p", "sync-interval": "2s", "stop-timeout": "9s" },
      },
    ],
    [["status"], { kind: "status", flags: {}, json: false }],
    [["status", "--json", "--volume", "/vol"], { kind: "status", flags: { volume: "/vol" }, json: true }],
    [["init"], NO_INIT],
    [["init", "-y", "--force"], { ...NO_INIT, yes: true, force: true }],
    [["init", "--dry", "--stdout", "--litestream-yml"], { ...NO_INIT, dry: true, stdout: true, litestreamYml: true }],
    [["init", "--schema", "db/schema.prisma"], { ...NO_INIT, schema: "db/schema.prisma" }],
    [["sync"], { kind: "sync", flags: {}, timeout: undefined, json: false }],
    [["sync", "--timeout", "5s", "--json"], { kind: "sync", flags: {}, timeout: "5s", json: true }],
  ])("reads %j", (words, expected) => {
    expect(parseCommandLine(words)).toEqual(expected);
  });

  it.each(HELP_TOPICS)("is asked for help on %s in three ways", (topic) => {
    for (const words of [
      ["help", topic],
      [topic, "--help"],
      [topic, "-h"],
    ]) {
      expect(parseCommandLine(words)).toEqual({ kind: "help", topic });
    }
  });

  it("has one page for all else", () => {
    for (const words of [
      ["help", "run"],
      ["help", "x"],
      ["run", "--help"],
    ]) {
      expect(parseCommandLine(words)).toEqual({ kind: "help" });
    }
  });

  it.each([
    [["replicate", "node", "server.js"], "node"],
    [["replicate", "--seed", "x"], "--seed"],
    [["replicate", "--dry"], "--dry"],
    [["status", "--timeout", "5s"], "--timeout"],
    [["sync", "now"], "now"],
    [["sync", "--timeout"], "--timeout"],
  ])("refuses %j, and names what has no place there", (words, name) => {
    const message = expect.stringContaining(name) as string;
    expect(() => parseCommandLine(words)).toThrow(expect.objectContaining({ code: "E_USAGE", message }));
  });

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

describe("the words of migrate and seed", () => {
  const migrate = { kind: "migrate", flags: {}, dry: false, json: false, dropLitestreamTables: false };

  it.each([
    [["migrate"], migrate],
    [["migrate", "--dry", "--json"], { ...migrate, dry: true, json: true }],
    [["migrate", "--drop-litestream-tables"], { ...migrate, dropLitestreamTables: true }],
    [
      ["migrate", "--volume", "/v", "--on-migration-failure=keep"],
      { ...migrate, flags: { volume: "/v", "on-migration-failure": "keep" } },
    ],
    [["seed", "--json", "--seed", "node s.js"], { kind: "seed", flags: { seed: "node s.js" }, json: true }],
    [
      ["migrate", "resolve", "--applied", "1_init"],
      { kind: "resolve", flags: {}, json: false, migration: "1_init", as: "applied" },
    ],
    [
      ["migrate", "resolve", "--rolled-back=1_init", "--json"],
      { kind: "resolve", flags: {}, json: true, migration: "1_init", as: "rolled back" },
    ],
    [["migrate", "resolve", "--help"], { kind: "help", topic: "migrate" }],
  ])("are read: %j", (words, expected) => {
    expect(parseCommandLine(words)).toEqual(expected);
  });

  it.each([
    [["migrate", "deploy"]],
    [["migrate", "--applied", "1_init"]],
    [["migrate", "resolve"]],
    [["migrate", "resolve", "1_init"]],
    [["migrate", "resolve", "--applied", "1_init", "--rolled-back", "1_init"]],
    [["seed", "node", "seed.js"]],
  ])("are refused: %j", (words) => {
    expect(() => parseCommandLine(words)).toThrow(expect.objectContaining({ code: "E_USAGE" }));
  });

  it("ask for JSON wherever --json stands", () => {
    expect(asksForJson(["migrate", "resolve", "--json"])).toBe(true);
    expect(asksForJson(["migrate", "--dri", "--json"])).toBe(true);
    expect(asksForJson(["node", "migrate", "--json"])).toBe(false);
  });
});

describe("parseCommandLine on doctor", () => {
  const doctor = { kind: "doctor", json: false, offline: false, flags: {}, command: [] };

  it.each([
    [["doctor"], doctor],
    [["doctor", "--json", "--offline"], { ...doctor, json: true, offline: true }],
    [["doctor", "--volume", "data", "--user", "node"], { ...doctor, flags: { volume: "data", user: "node" } }],
    [["doctor", "--json", "node", "--json"], { ...doctor, json: true, command: ["node", "--json"] }],
    [["doctor", "--", "--odd"], { ...doctor, command: ["--odd"] }],
    [["doctor", "--help"], { kind: "help", topic: "doctor" }],
  ])("reads %j", (words, expected) => expect(parseCommandLine(words)).toEqual(expected));

  it("knows whether JSON is asked for, and leaves the app's own flags to the app", () => {
    expect(asksForJson(["doctor", "--json", "--wrong"])).toBe(true);
    expect(asksForJson(["doctor", "node", "--json"])).toBe(false);
  });
});

describe("--offline", () => {
  it("goes with a dry run, and with no start", () => {
    expect(parseCommandLine(["run", "--dry", "--offline"])).toEqual({ ...run, dry: true, offline: true });
    expect(() => parseCommandLine(["--offline", "node"])).toThrow(expect.objectContaining({ code: "E_USAGE" }));
  });
});
