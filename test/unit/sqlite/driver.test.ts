import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Event } from "../../../src/base/events.ts";
import { SqliteError } from "../../../src/sqlite/driver.ts";
import { loadDriver } from "../../../src/sqlite/load-driver.ts";
import { createNodeSqliteDriver } from "../../../src/sqlite/node-sqlite.ts";
import { describeDriver } from "./driver-behaviour.ts";

const noAssets = { read: () => undefined };

describeDriver("better-sqlite3", () => loadDriver({ assets: noAssets, temporaryDirectories: [], log: () => {} }));

it("never lets a second SQLite library open databases in the same process", async () => {
  const directory = mkdtempSync(join(tmpdir(), "flysqlite-test-"));
  try {
    const path = join(directory, "app.db");
    writeFileSync(path, "");
    const first = await loadDriver({ assets: noAssets, temporaryDirectories: [], log: () => {} });
    using connection = first.open(path, { busyTimeoutMs: 0 });
    connection.all("SELECT 1");
    expect(() => createNodeSqliteDriver().open(path, { busyTimeoutMs: 0 })).toThrow("must not open one too");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

it("refuses a name that better-sqlite3 would cut", async () => {
  const driver = await loadDriver({ assets: noAssets, temporaryDirectories: [], log: () => {} });
  expect(() => driver.open("/data/app.db ", { busyTimeoutMs: 0 })).toThrow(SqliteError);
});

it("says which SQLite it took", async () => {
  const events: Event[] = [];
  await loadDriver({ assets: noAssets, temporaryDirectories: [], log: (event) => events.push(event) });
  expect(events).toEqual([
    { level: "debug", step: "keeper", text: expect.stringMatching(/^SQLite 3\.\d+\.\d+ of better-sqlite3$/) },
  ]);
});
