import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createNodeSqliteDriver } from "../../../src/sqlite/node-sqlite.ts";
import { describeDriver } from "./driver-behaviour.ts";

describeDriver("node:sqlite", async () => createNodeSqliteDriver());

it("takes double quotes for strings where a migration needs it", () => {
  const directory = mkdtempSync(join(tmpdir(), "flysqlite-test-"));
  try {
    const path = join(directory, "app.db");
    writeFileSync(path, "");
    using connection = createNodeSqliteDriver({ doubleQuotedStrings: true }).open(path, { busyTimeoutMs: 0 });
    expect(connection.all('SELECT "text" AS t')).toStrictEqual([{ t: "text" }]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
