import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { decodeDatabaseHeader } from "../../../src/sqlite/header.ts";
import { lockPage, parsePageNumber, parsePageSize } from "../../../src/sqlite/page.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

/** A database file as SQLite leaves it. */
function makeFile(sql: string): Uint8Array {
  using directory = temporaryDirectory();
  const path = join(directory.path, "app.db");
  {
    using database = new DatabaseSync(path);
    database.exec(sql);
  }
  return new Uint8Array(readFileSync(path));
}

function withBytes(bytes: Uint8Array, at: number, values: readonly number[]): Uint8Array {
  const changed = bytes.slice();
  changed.set(values, at);
  return changed;
}

describe("decodeDatabaseHeader", () => {
  it.each([512, 1024, 2048, 4096, 8192, 16384, 32768, 65536])(
    "reads what SQLite writes: pages of %d bytes, with and without a log",
    (pageSize) => {
      for (const walMode of [true, false]) {
        const file = makeFile(
          `PRAGMA page_size = ${pageSize}; PRAGMA journal_mode = ${walMode ? "WAL" : "DELETE"}; CREATE TABLE t (x)`,
        );
        const pageCount = file.byteLength / pageSize;
        expect(decodeDatabaseHeader(file)).toEqual({ pageSize, walMode, pageCount, pageCountIsCurrent: true });
      }
    },
  );

  const file = makeFile("CREATE TABLE t (x)");

  it("doesn't trust the page count where an old library wrote last", () => {
    // It counts the change, but doesn't note for which change the page count is right.
    expect(decodeDatabaseHeader(withBytes(file, 27, [99]))).toMatchObject({ pageCountIsCurrent: false });
    expect(decodeDatabaseHeader(withBytes(file, 28, [0, 0, 0, 0]))).toMatchObject({ pageCountIsCurrent: false });
  });

  it.each([
    ["an empty file", new Uint8Array(), "it has 0 bytes"],
    ["a file that is cut off", file.subarray(0, 99), "it has 99 bytes"],
    ["another kind of file", new Uint8Array(100).fill(65), "does not begin with SQLite's header"],
    ["zeros", new Uint8Array(4096), "does not begin with SQLite's header"],
    ["a header with one letter changed", withBytes(file, 3, [0x58]), "does not begin with SQLite's header"],
    ["a page size of 0", withBytes(file, 16, [0, 0]), "a page size of 0 bytes"],
    ["a page size of 256", withBytes(file, 16, [1, 0]), "a page size of 256 bytes"],
    ["a page size of 1000", withBytes(file, 16, [3, 0xe8]), "a page size of 1000 bytes"],
  ])("says what is wrong with %s", (_, bytes, why) => {
    expect(decodeDatabaseHeader(bytes)).toContain(why);
  });
});

describe("pages", () => {
  it.each([
    [512, 2097153],
    [1024, 1048577],
    [2048, 524289],
    [4096, 262145],
    [8192, 131073],
    [16384, 65537],
    [32768, 32769],
    [65536, 16385],
  ])("of %d bytes leave number %d to the file locks", (size, page) => {
    const pageSize = parsePageSize(size);
    expect(pageSize && lockPage(pageSize)).toBe(page);
  });

  it("have sizes from 512 to 65536 bytes, and numbers from 1 to 2^32 - 2", () => {
    for (const size of [0, 1, 256, 513, 131072, -512, 512.5, Number.NaN]) expect(parsePageSize(size)).toBeUndefined();
    for (const page of [0, -1, 1.5, 0xffff_ffff, Number.NaN]) expect(parsePageNumber(page)).toBeUndefined();
    expect(parsePageNumber(0xffff_fffe)).toBe(0xffff_fffe);
  });
});
