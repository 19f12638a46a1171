// The header of a SQLite database file, decoded. Pure.
// Source: https://sqlite.org/fileformat2.html#the_database_header, section 1.3

import { type PageSize, parsePageSize } from "./page.ts";

export const DATABASE_HEADER_SIZE = 100;

const MAGIC = Buffer.from("SQLite format 3\0");

export type DatabaseHeader = {
  readonly pageSize: PageSize;
  /** True when the file is in write-ahead-log mode (read version 2). */
  readonly walMode: boolean;
  /** Size in pages as the header says it. Trust it only where `pageCountIsCurrent`. */
  readonly pageCount: number;
  /** False where an old library wrote last, which keeps no page count. */
  readonly pageCountIsCurrent: boolean;
};

/** Decodes the first 100 bytes of a database file, or tells in words why they are none. */
export function decodeDatabaseHeader(bytes: Uint8Array): DatabaseHeader | string {
  if (bytes.byteLength < DATABASE_HEADER_SIZE) return `it has ${bytes.byteLength} bytes, a header has 100`;
  if (!MAGIC.equals(bytes.subarray(0, MAGIC.length))) {
    return "it does not begin with SQLite's header (not a database, or an encrypted one)";
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stored = view.getUint16(16);
  const pageSize = parsePageSize(stored === 1 ? 65536 : stored);
  if (pageSize === undefined) return `its header says a page size of ${stored} bytes`;
  return {
    pageSize,
    walMode: view.getUint8(19) === 2,
    pageCount: view.getUint32(28),
    pageCountIsCurrent: view.getUint32(24) === view.getUint32(92) && view.getUint32(28) > 0,
  };
}
