// Replicas small enough to damage every byte of, in both formats, of a database that SQLite wrote.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { encodeLtx } from "../../src/replica/ltx/encode.ts";
import { type LtxHeader, NO_WAL } from "../../src/replica/ltx/header.ts";
import { compressBlock, maxCompressedSize } from "../../src/replica/ltx/lz4.ts";
import { formatLtxName } from "../../src/replica/ltx/names.ts";
import { toTxid } from "../../src/replica/ltx/txid.ts";
import { xxHash32 } from "../../src/replica/ltx/xxhash32.ts";
import { parsePageSize, toPageNumber } from "../../src/sqlite/page.ts";
import type { Objects } from "./corruption.ts";
import type { MemoryObject } from "./memory-store.ts";
import { temporaryDirectory } from "./temporary.ts";

const PAGE_SIZE = 512;

/** What happens to the database: transactions, and after each list the log is restarted. */
const HISTORY = [
  [
    "CREATE TABLE c AS SELECT zeroblob(3000)",
    "DROP TABLE c; VACUUM",
    "INSERT INTO a VALUES (1)",
    "INSERT INTO b VALUES (1)",
  ],
  ["UPDATE a SET n = 2"],
  ["INSERT INTO a VALUES (4)", "UPDATE b SET n = 3", "CREATE TABLE d AS SELECT 1"],
  ["CREATE TABLE e AS SELECT zeroblob(2000)"],
] as const;

export const GENERATION = "0123456789abcdef";

/**
 * As Litestream 0.3 leaves it: a snapshot, and the logs cut between transactions. The second log and the last have a
 * single segment. With `snapshots` 2 there is another one at the third log.
 */
export function makeV03Replica({ snapshots }: { readonly snapshots: 1 | 2 }): Objects {
  const objects = new Map<string, MemoryObject>();
  const put = (name: string, content: Uint8Array) =>
    objects.set(`generations/${GENERATION}/${name}.lz4`, { bytes: lz4Frame(content), modifiedMs: objects.size + 1 });
  using directory = temporaryDirectory();
  const path = join(directory.path, "small.db");
  using database = openDatabase(path);
  put("snapshots/00000000.snapshot", readFileSync(path));
  for (const [index, transactions] of HISTORY.entries()) {
    if (index === 2 && snapshots === 2) put("snapshots/00000002.snapshot", readFileSync(path));
    let end = 0;
    for (const sql of transactions) {
      database.exec(sql);
      const log = readFileSync(`${path}-wal`);
      put(`wal/${hex(index)}_${hex(end)}.wal`, log.subarray(end));
      end = log.length;
    }
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  }
  return objects;
}

/** As flysqlite and Litestream 0.5 leave it: a full copy at level 9, and a file for each transaction at level 0. */
export function makeLtxReplica(): Objects {
  const objects = new Map<string, MemoryObject>();
  using directory = temporaryDirectory();
  const path = join(directory.path, "small.db");
  using database = openDatabase(path);
  let before = new Uint8Array(0);
  let txid = 0n;
  const put = (level: 0 | 9) => {
    const after = new Uint8Array(readFileSync(path));
    const pages = changedPages(level === 9 ? new Uint8Array(0) : before, after);
    const range = { min: toTxid(level === 9 ? 1n : txid), max: toTxid(txid) };
    const wal = { ...NO_WAL, offsetBytes: 32 };
    const header: LtxHeader = { ...range, pageSize: pageSize(), commit: after.length / PAGE_SIZE, timestampMs: 1, wal };
    const bytes = new Uint8Array(Buffer.concat([...encodeLtx(header, pages)]));
    objects.set(`ltx/${level}/${formatLtxName(range)}`, { bytes, modifiedMs: objects.size + 1 });
    before = after;
  };
  for (const sql of HISTORY.flat()) {
    database.exec(sql);
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    txid += 1n;
    put(txid === 2n ? 9 : 0);
  }
  return objects;
}

/** An LZ4 frame as Litestream 0.3 writes it, but that its blocks have 64 KiB, which the format lets them have. */
export function lz4Frame(content: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x64, 0x70, 0xb9)];
  for (let at = 0; at < content.byteLength; at += 65536) {
    const source = content.subarray(at, at + 65536);
    const target = new Uint8Array(maxCompressedSize(source.byteLength));
    const size = compressBlock({ source, target, at: 0 });
    const isStored = size >= source.byteLength;
    parts.push(littleEndian(isStored ? source.byteLength + 0x80000000 : size));
    parts.push(isStored ? source : target.subarray(0, size));
  }
  parts.push(littleEndian(0), littleEndian(xxHash32(content)));
  return new Uint8Array(Buffer.concat(parts));
}

export function littleEndian(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec(`PRAGMA page_size = ${PAGE_SIZE}; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0`);
  database.exec("CREATE TABLE a (n INTEGER); CREATE TABLE b (n INTEGER); PRAGMA wal_checkpoint(TRUNCATE)");
  return database;
}

function changedPages(before: Uint8Array, after: Uint8Array) {
  return Array.from({ length: after.length / PAGE_SIZE }, (_, i) => i)
    .map((i) => ({ page: toPageNumber(i + 1), data: after.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE) }))
    .filter(({ data }, i) => Buffer.compare(data, before.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE)) !== 0);
}

function pageSize() {
  const size = parsePageSize(PAGE_SIZE);
  if (size === undefined) throw new Error("no page size");
  return size;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, "0");
}
