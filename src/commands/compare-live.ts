// Whether a restored database is what the live one was at that transaction. The live one may be in use: it is read
// beside those who use it, and what they changed since is left out and counted.

import { closeSync, openSync, readSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { describe, FlysqliteError } from "../base/errors.ts";
import { inspectReplica, type ReplicaContent } from "../replica/inspect.ts";
import { planContinuation } from "../replica/ltx/plan.ts";
import { formatTxid, type Txid } from "../replica/ltx/txid.ts";
import { continueTo } from "../replica/restore-to.ts";
import { type ReplicatedPosition, type ReplicationState, readState } from "../replica/state.ts";
import type { Driver } from "../sqlite/driver.ts";
import { freePages } from "../sqlite/free-pages.ts";
import { lockPage, type PageNumber, type PageSize, toPageNumber } from "../sqlite/page.ts";
import { type PinnedView, pinDatabase } from "../sqlite/pinned.ts";
import { stateDirectory } from "../steps/places.ts";
import type { ObjectStore } from "../storage/store.ts";

/** A database that was restored from a replica, and how far. */
export type Restored = {
  readonly path: string;
  readonly txid: Txid;
  readonly pageSize: PageSize;
  readonly pageCount: number;
};

export type Comparison =
  | {
      readonly kind: "compared";
      /** Of the live database. */
      readonly path: string;
      readonly txid: Txid;
      /** Pages that are the same in both. */
      readonly same: number;
      /** Pages that were changed since, and could not be compared. */
      readonly changedSince: number;
      /** Free pages with other leftovers in them: SQLite doesn't write a page that it frees. */
      readonly free: number;
      /** Pages that are not the same, in words; a few of them. */
      readonly different: readonly string[];
    }
  | { readonly kind: "not compared"; readonly why: string };

/** How often it is begun anew, where the live database's log was, too. */
const TRIES = 5;

/** Pages between two looks at the signal. */
const PAGES_AT_ONCE = 256;

/** As many differences are told. */
const MOST_TOLD = 5;

/**
 * Compares the live database at `path` with `restored`, which is taken further where the replica goes on meanwhile.
 * Its position is that of its replication state: written by the keeper, and checked against the log.
 */
export async function compareWithLive(
  path: string,
  restored: Restored,
  { store, driver, signal }: { readonly store: ObjectStore; readonly driver: Driver; readonly signal: AbortSignal },
): Promise<Comparison> {
  let current = restored;
  for (let tries = 0; tries < TRIES; tries += 1) {
    const state = readState(stateDirectory(path)); // before the listing, which then has what is acknowledged
    const content = await inspectReplica(store, { signal });
    const position = findPosition(path, current, { state, lastTxid: content.lastTxid, address: store.address });
    if (typeof position === "string") return { kind: "not compared", why: position };
    if (position.txid !== current.txid) {
      const moved = await catchUp(current, position.txid, { content, store, signal });
      if (typeof moved === "string") return { kind: "not compared", why: moved };
      current = moved;
    }
    if (position.pageCount !== current.pageCount) {
      const different = [`the live database had ${position.pageCount} pages, the restored one ${current.pageCount}`];
      return { kind: "compared", path, txid: current.txid, same: 0, changedSince: 0, free: 0, different };
    }
    using live = pinDatabase(path, position.position, { driver, pageSize: current.pageSize });
    if (live === undefined) continue; // the keeper has moved on: its state tells where
    const compared = await comparePages(live, current, signal);
    if (live.holds()) return { kind: "compared", path, txid: current.txid, ...compared };
  }
  return { kind: "not compared", why: `"${path}" was changed each time between two looks at it` };
}

/** The newest transaction at which the live database and its replica can be compared, or why there is none. */
function findPosition(
  path: string,
  { txid }: Restored,
  {
    state,
    lastTxid,
    address,
  }: { readonly state: ReplicationState | undefined; readonly lastTxid: Txid; readonly address: string },
): ReplicatedPosition | string {
  if (state === undefined) return `nothing beside "${path}" says which transaction it is at`;
  if (state.replica !== address) return `"${path}" is replicated to ${state.replica}`;
  // What was being uploaded when the state was written has mostly arrived since.
  const known = [state.pending, state.acked].filter((position) => position !== undefined);
  const found = known.find((position) => position.txid >= txid && position.txid <= lastTxid);
  if (found !== undefined) return found;
  const newest = known[0] === undefined ? "no transaction" : `transaction ${formatTxid(known[0].txid)}`;
  return `"${path}" knows of ${newest}, and its replica is at ${formatTxid(txid)}`;
}

async function catchUp(
  restored: Restored,
  to: Txid,
  {
    content: { files },
    store,
    signal,
  }: { readonly content: ReplicaContent; readonly store: ObjectStore; readonly signal: AbortSignal },
): Promise<Restored | string> {
  try {
    const steps = planContinuation(files, { from: restored.txid, to });
    return { ...restored, ...(await continueTo(restored, steps, { store, signal })) };
  } catch (error) {
    // Merged or removed by retention at this very moment: no finding about the replica.
    if (!(error instanceof FlysqliteError) || error.code !== "E_REPLICA_GAP") throw error;
    return `the replica moved on meanwhile: ${describe(error)}`;
  }
}

async function comparePages(live: PinnedView, { path, pageSize, pageCount }: Restored, signal: AbortSignal) {
  const file = openSync(path, "r");
  const buffer = new Uint8Array(pageSize);
  const restoredPage = (page: PageNumber) => {
    readSync(file, buffer, 0, pageSize, (page - 1) * pageSize);
    return buffer;
  };
  try {
    const lock = lockPage(pageSize);
    const different: string[] = [];
    let [same, changedSince, free, differing] = [0, 0, 0, 0];
    let freeList: ReadonlySet<PageNumber> | undefined;
    for (let number = 1; number <= pageCount; number += 1) {
      if (number % PAGES_AT_ONCE === 0) await setImmediate();
      signal.throwIfAborted();
      const page = toPageNumber(number);
      if (page === lock) continue;
      const expected = live.page(page);
      if (expected === undefined) changedSince += 1;
      else if (Buffer.compare(restoredPage(page), expected) === 0) same += 1;
      else {
        freeList ??= freePages(restoredPage);
        if (freeList.has(page)) free += 1;
        else if (++differing <= MOST_TOLD) different.push(`page ${page} is not the same`);
      }
    }
    if (differing > MOST_TOLD) different.push(`and ${differing - MOST_TOLD} more`);
    return { same, changedSince, free, different };
  } finally {
    closeSync(file);
  }
}
