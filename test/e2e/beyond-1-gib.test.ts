// A database beyond 1 GiB, where SQLite leaves out the page that carries its file locks: replicated, changed on both
// sides of that page, and restored by the real executable.

import { execFileSync } from "node:child_process";
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { systemRandom } from "../../src/base/system.ts";
import { createNodeSqliteDriver } from "../../src/sqlite/node-sqlite.ts";
import { openFileStore } from "../../src/storage/file.ts";
import { ROOT } from "../support/box.ts";
import { replicateTo } from "../support/replicate.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const GIB = 2 ** 30;
const PAGE_SIZE = 65_536;

/** Rows of a megabyte, which shrink to next to nothing on their way. */
const FILL = `
  CREATE TABLE fill (n INTEGER PRIMARY KEY, content BLOB);
  WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1100)
    INSERT INTO fill SELECT n, zeroblob(1000000) FROM c;
`;

describe("a database beyond 1 GiB", () => {
  it("is restored byte for byte, and the page of the locks is zeros", { timeout: 600_000 }, async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "app.db");
    const replica = join(directory.path, "replica");
    {
      using database = new DatabaseSync(path);
      database.exec(`PRAGMA page_size = ${PAGE_SIZE}; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; ${FILL}`);
      database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    }
    {
      const store = openFileStore(replica, { random: systemRandom });
      using replicating = await replicateTo(store, {
        path,
        stateDirectory: directory.path,
        driver: createNodeSqliteDriver(),
      });
      await replicating.sync();
      {
        using database = new DatabaseSync(path);
        database.exec("UPDATE fill SET content = randomblob(200000) WHERE n IN (3, 1050, 1099)");
        database.exec("INSERT INTO fill VALUES (2000, randomblob(3000000))");
        await replicating.sync();
      }
    }

    const output = join(directory.path, "restored.db");
    execFileSync(join(ROOT, "dist/flysqlite"), ["restore", "--replica", replica, "-o", output], { stdio: "pipe" });
    expect(statSync(output).size).toBeGreaterThan(GIB + 50 * PAGE_SIZE);
    expect(firstDifference(output, path)).toBeUndefined();
    const lockPage = readAt(output, GIB, PAGE_SIZE);
    expect(lockPage.every((byte) => byte === 0)).toBe(true);
    expect(readAt(output, GIB + PAGE_SIZE, PAGE_SIZE).some((byte) => byte !== 0)).toBe(true);
  });
});

/** The first byte, in mebibytes, from which the files differ; undefined where they are the same. */
function firstDifference(a: string, b: string): number | undefined {
  const step = 2 ** 20;
  const size = Math.max(statSync(a).size, statSync(b).size);
  for (let at = 0; at < size; at += step) {
    if (Buffer.compare(readAt(a, at, step), readAt(b, at, step)) !== 0) return at / step;
  }
  return undefined;
}

function readAt(path: string, offset: number, size: number): Uint8Array {
  const file = openSync(path, "r");
  try {
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, readSync(file, bytes, 0, size, offset));
  } finally {
    closeSync(file);
  }
}
