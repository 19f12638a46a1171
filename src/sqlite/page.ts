// Pages of a SQLite database: their numbers, their sizes, and the one page that is never used.
// Source: SQLite file format, sections 1.2 and 1.3.2, https://sqlite.org/fileformat2.html

import { assert } from "../base/assert.ts";
import type { Brand } from "../base/brand.ts";

/** A page of the database, counted from 1. */
export type PageNumber = Brand<number, "PageNumber">;

/** Size of a page, in bytes: a power of two from 512 to 65536. */
export type PageSize = Brand<number, "PageSize">;

/** Highest page number that SQLite uses: 2^32 - 2. */
export const MAX_PAGE_NUMBER = 0xff_ff_ff_fe;

/** Byte at which SQLite places its file locks, 1 GiB. The page around it holds no data. */
const LOCK_BYTE = 0x40_00_00_00;

/** The page number in `value`, or undefined if no page can have it. */
export function parsePageNumber(value: number): PageNumber | undefined {
  if (!Number.isInteger(value) || value < 1 || value > MAX_PAGE_NUMBER) return undefined;
  return value as PageNumber;
}

/** The page number in `value`, which the caller counted or checked. */
export function toPageNumber(value: number): PageNumber {
  const page = parsePageNumber(value);
  assert(page !== undefined, `${value} is no page number`);
  return page;
}

/**
 * The page size in `value`, in bytes, or undefined if SQLite knows no such size.
 *
 * A database's header stores 65536 as 1; whoever reads that header translates it first.
 */
export function parsePageSize(value: number): PageSize | undefined {
  if (!Number.isInteger(value) || value < 512 || value > 65536) return undefined;
  return (value & (value - 1)) === 0 ? (value as PageSize) : undefined;
}

/** The page that SQLite leaves unused, as it contains the bytes that carry the file locks. */
export function lockPage(pageSize: PageSize): PageNumber {
  return toPageNumber(LOCK_BYTE / pageSize + 1);
}
