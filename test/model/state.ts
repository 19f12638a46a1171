// The state of the model: a database in WAL mode, the app that uses it, and the keeper that copies it. Pure.
//
// A transaction is one frame, and the log's frames are consecutive commits, so counts say all: the database is what
// the first N commits made. Of SQLite's five reader slots only what counts is here: whether a read transaction is on
// slot 0, or which mark it holds. Salts are numbers in which a restart adds 1, and a draw begins the next hundred.

/** A read transaction: none, on slot 0 (it reads the database file alone), or the mark that it holds in the log. */
export type Read = number;
export const NO_READ: Read = -1;
export const SLOT_0: Read = 0;

/** Up to where was copied, as in src/sqlite/attached.ts, and which commit that really was: the keeper can't look at it. */
export type Position =
  | { readonly kind: "log"; readonly salt: number; readonly frame: number; readonly commit: number }
  /** While the log was empty. `isSame` until a checkpoint writes to the database file. */
  | { readonly kind: "file"; readonly isSame: boolean; readonly commit: number };

export const PAGES = ["log", "file", "memory"] as const;

/** What was found to copy, and is not on the volume yet. */
export type Found = {
  /** Commits `first` to `last`; of a copy of the whole database `first` is 0. */
  readonly first: number;
  readonly last: number;
  /** Where its pages are read when it is staged: the log with that salt, the database file, or it has them already. */
  readonly pages: (typeof PAGES)[number];
  readonly salt: number;
  readonly position: Position;
  readonly sealed: boolean;
};

export const PHASES = [
  "dead",
  "attached",
  "idle",
  "gap",
  "begun",
  "found",
  "staged",
  "recorded",
  "copied",
  "locked",
  "kept",
  "checkpointed",
  "renewed",
] as const;

/** Where the keeper stands: what it did last. */
export type Phase = (typeof PHASES)[number];

/** What follows the last commit in the file. */
export const TAILS = ["none", "uncommitted", "phantom"] as const;

export type State = {
  /** The log's index, in shared memory: salt, the commits before frame 1, mxFrame, nBackfill. */
  readonly salt: number;
  readonly base: number;
  readonly frames: number;
  readonly backfilled: number;
  /** The log's file: the salt of its header, or NO_HEADER; whether that is a file's first; what is under it. */
  readonly headerSalt: number;
  readonly isFirstHeader: boolean;
  readonly headerBase: number;
  readonly written: number;
  /** What follows the last commit: frames of a transaction that was not committed, or a commit whose fsync failed. */
  readonly tail: (typeof TAILS)[number];
  /** Commits that the database file holds. */
  readonly stored: number;

  readonly appRead: Read;
  /** The read transaction of the app's writer, which has the write lock. */
  readonly appWrite: Read;
  readonly hasSpilled: boolean;

  readonly phase: Phase;
  readonly reader: Read;
  readonly spare: Read;
  /** The read transaction of a copy of the whole database. */
  readonly view: Read;
  /** The read transaction of our writer, which has the write lock. */
  readonly lock: Read;
  readonly position: Position | undefined;
  readonly sealed: boolean;
  readonly found: Found | undefined;
  /** What outlives the keeper: commits in files on the volume, and the position that was noted with them. */
  readonly kept: number;
  readonly remembered: Position | undefined;

  /** True from attaching to the end of the first round: only then may a copy of the whole database be needed. */
  readonly isFresh: boolean;
  /** True where an empty log was emptied once more since the last look at it. */
  readonly isEmptiedAgain: boolean;
  /** What must never be, where it came to be. */
  readonly wrong: string | undefined;
};

export const NO_HEADER = -1;
export const DRAW = 100;

/** A salt that was never there before. */
export function drawSalt({ salt, headerSalt, position, remembered, found }: State): number {
  const known = [salt, headerSalt, saltOf(position), saltOf(remembered), found?.salt ?? NO_HEADER];
  return (Math.floor(Math.max(...known) / DRAW) + 1) * DRAW;
}

export function saltOf(position: Position | undefined): number {
  return position?.kind === "log" ? position.salt : NO_HEADER;
}

const COPIED = { kind: "log", salt: 0, frame: 1, commit: 1 } as const;

/** A log of one commit, which is copied and not checkpointed. */
export const ONE_COMMIT: State = {
  salt: 0,
  base: 0,
  frames: 1,
  backfilled: 0,
  headerSalt: 0,
  isFirstHeader: true,
  headerBase: 0,
  written: 1,
  tail: "none",
  stored: 0,
  appRead: NO_READ,
  appWrite: NO_READ,
  hasSpilled: false,
  phase: "idle",
  reader: 1,
  spare: NO_READ,
  view: NO_READ,
  lock: NO_READ,
  position: COPIED,
  sealed: false,
  found: undefined,
  kept: 1,
  remembered: COPIED,
  isFresh: false,
  isEmptiedAgain: false,
  wrong: undefined,
};

const AT_FILE = { kind: "file", isSame: true, commit: 0 } as const;

/** A database that was copied whole, and has no log yet. */
export const NO_LOG: State = {
  ...ONE_COMMIT,
  ...{ frames: 0, headerSalt: NO_HEADER, isFirstHeader: false, written: 0 },
  ...{ reader: SLOT_0, position: AT_FILE, sealed: true, kept: 0, remembered: AT_FILE },
};

/** The number of commits so far. */
export function committed({ base, frames }: State): number {
  return base + frames;
}
