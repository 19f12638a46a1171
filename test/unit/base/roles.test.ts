import { expect, it } from "vitest";
import { KEEPER_ROLE, startedAs } from "../../../src/base/roles.ts";

it.each([
  ["words", "/usr/local/bin/flysqlite", "run"],
  ["words", "/usr/local/bin/flysqlite"],
  ["role", "/usr/local/bin/flysqlite", KEEPER_ROLE],
  ["node", "/tmp/flysqlite-node-x/node", "server.js"],
  ["node", "node", "server.js"],
  ["node", "/tmp/node", KEEPER_ROLE],
  ["words", "/opt/node/flysqlite", "node"],
] as const)("a process is started for %s: %s %s", (as, ...words) => {
  expect(startedAs(["/proc/self/exe", ...words])).toBe(as);
});
