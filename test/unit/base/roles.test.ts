import { expect, it } from "vitest";
import { COMMAND_WORDS, KEEPER_ROLE, startedAs } from "../../../src/base/roles.ts";
import { COMMANDS } from "../../../src/cli/arguments.ts";

it.each([
  ["app", "/usr/local/bin/flysqlite", "run"],
  ["app", "/usr/local/bin/flysqlite"],
  ["app", "/usr/local/bin/flysqlite", "--volume", "migrate"],
  ["command", "/usr/local/bin/flysqlite", "migrate", "--dry"],
  ["role", "/usr/local/bin/flysqlite", KEEPER_ROLE],
  ["node", "/tmp/flysqlite-node-x/node", "server.js"],
  ["node", "node", "server.js"],
  ["node", "/tmp/node", KEEPER_ROLE],
  ["app", "/opt/node/flysqlite", "node"],
] as const)("a process is started for %s: %s %s", (as, ...words) => {
  expect(startedAs(["/proc/self/exe", ...words])).toBe(as);
});

it("knows the words of all commands", () => {
  const words = new Set(Object.keys(COMMANDS).map((command) => command.split(" ")[0]));
  expect([...words].filter((word) => word !== "run").sort()).toEqual([...COMMAND_WORDS].sort());
});
