// Transaction ids: the counter that orders everything in a replica.
// Source: superfly/ltx, format version 3

import { assert } from "../../base/assert.ts";
import type { Brand } from "../../base/brand.ts";
import { FlysqliteError } from "../../base/errors.ts";

/**
 * Identifies one step of a replica's history. The first is 1; 0 stands for "nothing yet".
 *
 * Litestream counts one per sync, which may hold several transactions of SQLite.
 */
export type Txid = Brand<bigint, "Txid">;

const PATTERN = /^[0-9a-f]{16}$/;

/** The id before the first. */
export const NO_TXID: Txid = toTxid(0n);

/** The first id of every history. A file that starts here holds the whole database. */
export const FIRST_TXID: Txid = toTxid(1n);

/** Reads an id from 16 lower-case hex digits. */
export function parseTxid(text: string): Txid {
  if (!PATTERN.test(text)) {
    throw new FlysqliteError(
      "E_REPLICA_CORRUPT",
      `Cannot read transaction id "${text}": it must be 16 lower-case hex digits`,
    );
  }
  return toTxid(BigInt(`0x${text}`));
}

/** The id as 16 lower-case hex digits, so that names sort in the order of ids. */
export function formatTxid(txid: Txid): string {
  return txid.toString(16).padStart(16, "0");
}

/** The id in `value`, which the caller read as 64 bits or reckoned. */
export function toTxid(value: bigint): Txid {
  assert(value >= 0n && value < 1n << 64n, `${value} is no transaction id`);
  return value as Txid;
}

/** The id that follows. */
export function nextTxid(txid: Txid): Txid {
  return toTxid(txid + 1n);
}

export function laterTxid(a: Txid, b: Txid): Txid {
  return a > b ? a : b;
}
