// A look at a database that other processes use: its pages as they were at a place in its log. Nothing is written,
// and nobody is kept from anything but from overwriting what is looked at.
//
// For a process that has no other handle on the database: closing the file drops all of a process's locks on it.
// sqlite/README.md has the facts about readers, checkpoints and restarts of the log that this rests on.

import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { systemCode } from "../base/errors.ts";
import { beginRead, type Position, sameStamp, stamp } from "./attached.ts";
import type { Connection, Driver } from "./driver.ts";
import type { PageNumber, PageSize } from "./page.ts";
import {
  readChanges,
  readWalHeader,
  stillAt,
  type WalChanges,
  WalMismatch,
  type WalPosition,
  walStart,
} from "./wal/read.ts";

export type PinnedView = Disposable & {
  /**
   * A page as it was at the position, zeros where the file ends before it; undefined where it has changed since and
   * its old content is nowhere any more.
   */
  page(page: PageNumber): Uint8Array | undefined;
  /** False where something may have been written over what was read. To be asked when all has been read. */
  holds(): boolean;
};

/** How often a view is begun while commits get in between. */
const TRIES = 20;

/**
 * Holds the database at `path` still where `position` says. Undefined where it can't be had any more: the log was begun
 * anew since, or the file was written. While the view is open the log can't be emptied, so it grows.
 */
export function pinDatabase(
  path: string,
  position: Position,
  { driver, pageSize }: { readonly driver: Driver; readonly pageSize: PageSize },
): PinnedView | undefined {
  using opened = new DisposableStack();
  const database = openSync(path, "r"); // before SQLite's handles, and closed after them
  opened.defer(() => closeSync(database));
  const inDatabase = (page: PageNumber) => readPage(database, (page - 1) * pageSize, pageSize);

  if (position.kind === "file") {
    // Commits since then are in the log; only a checkpoint writes to the file, and changes its stamp.
    if (!sameStamp(position, stamp(database))) return undefined;
    const kept = opened.move();
    return {
      page: inDatabase,
      holds: () => sameStamp(position, stamp(database)),
      [Symbol.dispose]: () => kept.dispose(),
    };
  }

  if (position.header.pageSize !== pageSize) return undefined;
  const connect = () => opened.use(driver.open(path, { readOnly: true, busyTimeoutMs: 5000 }));
  const [control, view] = [connect(), connect()];
  const log = openLog(`${path}-wal`);
  if (log === undefined) return undefined;
  opened.defer(() => closeSync(log)); // the log carries no locks
  const found = pinLog(log, position, { control, view });
  if (found === undefined) return undefined;

  const { before, since } = found;
  const kept = opened.move();
  return {
    page(page) {
      const offset = before?.pages.get(page);
      if (offset !== undefined) return readPage(log, offset, pageSize);
      const changed = since !== undefined && (since.pages.has(page) || page > since.smallestCommitSize);
      return changed ? undefined : inDatabase(page);
    },
    holds() {
      const [held, there] = [fstatSync(database), statSync(path, { throwIfNoEntry: false })];
      return there?.ino === held.ino && there.dev === held.dev;
    },
    [Symbol.dispose]: () => kept.dispose(),
  };
}

type Pinned = {
  /** What the log gives of the state at the position; undefined where the database file has all of it. */
  readonly before: WalChanges | undefined;
  /** What was committed after the position. */
  readonly since: WalChanges | undefined;
};

function pinLog(
  log: number,
  position: WalPosition,
  { control, view }: { readonly control: Connection; readonly view: Connection },
): Pinned | undefined {
  for (let tries = 0; tries < TRIES; tries += 1) {
    beginRead(view);
    const { frames, checkpointed } = walState(control);
    const header = readWalHeader(log);
    if (header === undefined || frames < position.frame || !stillAt(log, position)) return undefined;
    try {
      const since = frames > position.frame ? readChanges(log, position, frames) : undefined;
      // A log that is wholly in the database file may be overwritten by the next writer, but then our view keeps the
      // file as it is. Any other log is kept by our view.
      const isWhole = checkpointed === frames || position.frame === 0;
      const before = isWhole ? undefined : readChanges(log, walStart(header), position.frame);
      return { before, since };
    } catch (error) {
      if (!(error instanceof WalMismatch)) throw error;
      view.exec("ROLLBACK");
    }
  }
  return undefined;
}

/** mxFrame and nBackfill. Source: https://sqlite.org/pragma.html#pragma_wal_checkpoint, NOOP */
function walState(control: Connection): { readonly frames: number; readonly checkpointed: number } {
  const row = control.all("PRAGMA wal_checkpoint(NOOP)")[0];
  return { frames: Number(row?.["log"]), checkpointed: Number(row?.["checkpointed"]) };
}

function openLog(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** The page; what lies beyond the file's end is zeros, as SQLite never wrote it. */
function readPage(file: number, offset: number, pageSize: PageSize): Uint8Array {
  const bytes = new Uint8Array(pageSize);
  readSync(file, bytes, 0, pageSize, offset);
  return bytes;
}
