// Names and levels of LTX files. Where a level's directory is, the store knows.
// Source: superfly/ltx, format version 3; Litestream 0.5

import { formatTxid, parseTxid, type Txid } from "./txid.ts";

/** Level of the files that are written at each sync. */
export const SYNC_LEVEL = 0;

/** Level of the full copies. The levels between hold merges of the level below. */
export const SNAPSHOT_LEVEL = 9;

/** All levels that a replica may have, lowest first. */
export const LEVELS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] as const;

/** An LTX file of a replica, as a listing shows it. */
export type LtxFileInfo = {
  readonly level: number;
  /** First transaction that the file holds. */
  readonly min: Txid;
  /** Last transaction that the file holds. */
  readonly max: Txid;
  readonly key: string;
  readonly sizeBytes: number;
  /** When the state after `max` was current, in milliseconds since the Unix epoch, as the store knows it. */
  readonly modifiedMs: number;
  /** The store's, where it tells one. */
  readonly version?: string;
};

const PATTERN = /^([0-9a-f]{16})-([0-9a-f]{16})\.ltx$/;

/** Name of the file that holds `min` to `max`, both included. */
export function formatLtxName({ min, max }: { readonly min: Txid; readonly max: Txid }): string {
  return `${formatTxid(min)}-${formatTxid(max)}.ltx`;
}

/**
 * The range in a file's name (without directory), or undefined for a name that isn't an LTX file's.
 *
 * Other names are no failure: temporary files and other tools' files may lie in the same directory.
 */
export function parseLtxName(name: string): { readonly min: Txid; readonly max: Txid } | undefined {
  const [, first, last] = PATTERN.exec(name) ?? [];
  if (first === undefined || last === undefined) return undefined;
  const min = parseTxid(first);
  const max = parseTxid(last);
  return min >= 1n && min <= max ? { min, max } : undefined;
}

/** True for a key whose last part is an LTX file's name. */
export function isLtxKey(key: string): boolean {
  return parseLtxName(key.slice(key.lastIndexOf("/") + 1)) !== undefined;
}
