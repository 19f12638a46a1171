import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { attach } from "../../../src/sqlite/attached.ts";
import { loadDriver } from "../../../src/sqlite/load-driver.ts";
import type { PageNumber } from "../../../src/sqlite/page.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

// One library for the app's side too: two of them in one process don't see each other's locks.
const driver = await loadDriver({ assets: { read: () => undefined }, temporaryDirectories: [], log: () => {} });

/** An app's connection to a new database with one row. */
function openApp(path: string) {
  writeFileSync(path, "");
  const app = driver.open(path, { busyTimeoutMs: 5000 });
  app.exec("PRAGMA journal_mode=WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)");
  return app;
}

/** The rows of the database that these pages make. */
function rowsOf(pages: Uint8Array, path: string): readonly unknown[] {
  writeFileSync(path, pages);
  using copy = driver.open(path, { busyTimeoutMs: 0 });
  return copy.all("SELECT x FROM t ORDER BY x").map(({ x }) => x);
}

describe("snapshot", () => {
  it("does not disturb an app's transaction that reads first and then writes", () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "app.db");
    using app = openApp(path);
    let wrote = false;
    const attached = attach(path, {
      driver,
      at(label) {
        if (label !== "snapshot begun") return;
        // Under someone else's write lock this fails at once: SQLite calls no busy handler for it.
        app.exec("BEGIN; SELECT * FROM t; INSERT INTO t VALUES (2); COMMIT");
        wrote = true;
      },
    });
    attached.snapshot()[Symbol.dispose]();
    expect(wrote).toBe(true);
    attached.close();
  });

  it.each([
    ["stays in the log", ""],
    ["restarts a log that was copied into the file", "PRAGMA wal_checkpoint(PASSIVE);"],
  ])("is of one commit, where another one comes while it begins and %s", (_, before) => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "app.db");
    using app = openApp(path);
    let commits = 1;
    const attached = attach(path, {
      driver,
      at(label) {
        if (label !== "snapshot begun" || commits > 3) return;
        commits += 1;
        app.exec(`${before} INSERT INTO t VALUES (${commits})`);
      },
    });
    app.exec(before);
    {
      using snapshot = attached.snapshot();
      const atMost = commits;
      app.exec("INSERT INTO t VALUES (99); PRAGMA wal_checkpoint(PASSIVE); INSERT INTO t VALUES (100)");
      const pages = Array.from({ length: snapshot.pageCount }, (_, index) =>
        snapshot.page((index + 1) as PageNumber).slice(),
      );
      const rows = rowsOf(Buffer.concat(pages), join(directory.path, "copy.db"));
      expect(rows.length).toBeGreaterThan(0);
      expect(rows).toEqual(Array.from({ length: rows.length }, (_, index) => index + 1));
      expect(rows.length).toBeLessThanOrEqual(atMost);
    }
    attached.close();
  });
});
