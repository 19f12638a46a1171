import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import type { LtxFlavour, LtxPage } from "../../../../src/replica/ltx/encode.ts";
import { NO_WAL } from "../../../../src/replica/ltx/header.ts";
import { formatLtxName } from "../../../../src/replica/ltx/names.ts";
import { toTxid } from "../../../../src/replica/ltx/txid.ts";
import { toPageNumber } from "../../../../src/sqlite/page.ts";
import { encode, headerWith, pageSizeOf } from "./support.ts";

// Litestream's own reader, as an extension that lets SQLite query a replica. It looks for a page by the page index, so
// it also proves the offsets and sizes there, which a restore doesn't look at.
const EXTENSION = fileURLToPath(
  new URL("../../../../node_modules/litestream-vfs-linux-amd64/litestream-vfs.so", import.meta.url),
);

/** Prints the answer to a query of the replica, as JSON. Runs on its own, as the extension can't be unloaded. */
const READER = `
  import { DatabaseSync } from "node:sqlite";
  new DatabaseSync(":memory:", { allowExtension: true }).loadExtension(process.env.EXTENSION);
  const database = new DatabaseSync("file:replica.db?vfs=litestream", { readOnly: true });
  const rows = database.prepare("SELECT id, name, hex(blob) AS blob FROM item ORDER BY id").all();
  const { integrity_check } = database.prepare("PRAGMA integrity_check").get();
  console.log(JSON.stringify({ rows, integrity_check }));
`;

const isSupported = process.platform === "linux" && process.arch === "x64";

describe.skipIf(!isSupported)("Litestream 0.5.17", () => {
  it.each([
    { flavour: "frame", pageSize: 512 },
    { flavour: "frame", pageSize: 4096 },
    { flavour: "frame", pageSize: 65536 },
    { flavour: "block", pageSize: 512 },
    { flavour: "block", pageSize: 4096 },
    { flavour: "block", pageSize: 65536 },
  ] as const)("reads what flysqlite writes: $flavour pages of $pageSize bytes", async ({ flavour, pageSize }) => {
    const directory = mkdtempSync(join(tmpdir(), "flysqlite-oracle-"));
    try {
      using database = openDatabase(join(directory, "source.db"), pageSize);
      database.exec("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, blob BLOB)");
      // Random content of more than a page: stored pages, and pages all over the file.
      database.exec(`${COUNT_TO_300} INSERT INTO item SELECT n, 'item ' || n, randomblob(700) FROM counter`);
      const first = readPages(database, pageSize);
      database.exec("DELETE FROM item WHERE id % 3 = 0");
      database.exec("UPDATE item SET name = upper(name) WHERE id % 7 = 0");
      database.exec("INSERT INTO item VALUES (1000, 'last', zeroblob(100000))");
      const second = readPages(database, pageSize);

      const replica = join(directory, "replica");
      writeFile(replica, { txid: 1n, pages: first, commit: first.length, flavour });
      const changed = second.filter(({ data }, i) => Buffer.compare(data, first[i]?.data ?? new Uint8Array()) !== 0);
      writeFile(replica, { txid: 2n, pages: changed, commit: second.length, flavour });

      const rows = database.prepare("SELECT id, name, hex(blob) AS blob FROM item ORDER BY id").all();
      expect(rows.length).toBe(201);
      expect(await readThroughLitestream(replica)).toEqual({ rows, integrity_check: "ok" });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

const COUNT_TO_300 = "WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 300)";

function openDatabase(path: string, pageSize: number): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec(`PRAGMA page_size = ${pageSize}; PRAGMA journal_mode = WAL`);
  return database;
}

/** All pages of the database as it is now. */
function readPages(database: DatabaseSync, pageSize: number): readonly LtxPage[] {
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  const bytes = new Uint8Array(readFileSync(database.location() ?? ""));
  return Array.from({ length: bytes.length / pageSize }, (_, i) => ({
    page: toPageNumber(i + 1),
    data: bytes.subarray(i * pageSize, (i + 1) * pageSize),
  }));
}

type File = {
  readonly txid: bigint;
  readonly pages: readonly LtxPage[];
  readonly commit: number;
  readonly flavour: LtxFlavour;
};

function writeFile(replica: string, { txid, pages, commit, flavour }: File): void {
  const range = { min: toTxid(txid), max: toTxid(txid) };
  const pageSize = pageSizeOf(pages[0]?.data.length ?? 0);
  const header = headerWith({
    ...range,
    pageSize,
    commit,
    timestampMs: Date.now(),
    wal: { ...NO_WAL, offsetBytes: 32 },
  });
  mkdirSync(join(replica, "ltx/0"), { recursive: true });
  writeFileSync(join(replica, "ltx/0", formatLtxName(range)), encode(header, pages, flavour));
}

async function readThroughLitestream(replica: string): Promise<unknown> {
  const env = { ...process.env, EXTENSION, LITESTREAM_REPLICA_URL: pathToFileURL(replica).href };
  const options = { env, maxBuffer: 16 * 1024 * 1024, timeout: 20_000 };
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", READER], options);
  return JSON.parse(stdout);
}
