// What SQLite does with a write-ahead log, on states of the model. Pure.
// Sources: https://sqlite.org/walformat.html, and the comments of SQLite's wal.c

import { drawSalt, NO_HEADER, NO_READ, type Position, type Read, SLOT_0, type State } from "./state.ts";

/** The place that a read transaction gets which begins now. */
export function beginRead({ frames, backfilled }: State): Read {
  return backfilled === frames ? SLOT_0 : frames;
}

function reads({ appRead, appWrite, reader, spare, view, lock }: State): readonly Read[] {
  return [appRead, appWrite, reader, spare, view, lock];
}

export function isWriteLocked({ appWrite, lock }: State): boolean {
  return appWrite !== NO_READ || lock !== NO_READ;
}

/**
 * Begins the log anew where it is wholly checkpointed and no reader has a mark in it. The file keeps its header until
 * something is written. `own` is the writer's read transaction.
 */
export function restartIfDone(s: State, own: Read): State {
  if (own !== SLOT_0 || s.backfilled === 0 || reads(s).some((read) => read > SLOT_0)) return s;
  return emptyIndex(s);
}

function emptyIndex(s: State): State {
  const isEmptiedAgain = s.isEmptiedAgain || s.frames === 0;
  return { ...s, salt: s.salt + 1, base: s.base + s.frames, frames: 0, backfilled: 0, isEmptiedAgain };
}

/**
 * Writes the file's header, where the log has no frames yet. A connection that never restarted a log draws the salts
 * anew, and says that the header is a first one; the index has them only with the commit.
 */
export function writeHeader(s: State, { draws }: { readonly draws: boolean }): State {
  if (s.frames > 0) return s;
  const headerSalt = draws ? drawSalt(s) : s.salt;
  return { ...s, headerSalt, isFirstHeader: draws, headerBase: s.base, written: 0, tail: "none" };
}

/** Publishes one more frame. */
export function publish(s: State): State {
  return { ...s, salt: s.headerSalt, frames: s.frames + 1, written: s.frames + 1, tail: "none" };
}

/**
 * Copies commits into the database file: up to the oldest mark, and none while a reader is on slot 0. A RESTART or FULL
 * checkpoint leaves the same behind, as what it waits for it does not hold on to.
 */
export function checkpoint(s: State): State {
  let upTo = s.frames;
  for (const read of reads(s)) {
    if (read === SLOT_0 && s.backfilled < s.frames) return s;
    if (read > SLOT_0) upTo = Math.min(upTo, read);
  }
  if (upTo <= s.backfilled) return s;
  return {
    ...s,
    backfilled: upTo,
    stored: Math.max(s.stored, s.base + upTo),
    position: touched(s.position),
    remembered: touched(s.remembered),
    found: s.found && { ...s.found, position: touched(s.found.position) ?? s.found.position },
  };
}

function touched(position: Position | undefined): Position | undefined {
  return position?.kind === "file" && position.isSame ? { ...position, isSame: false } : position;
}

/** Needs the write lock, or does what a PASSIVE checkpoint does. Empties the file where nobody needs anything of it. */
export function truncate(s: State): State {
  const done = checkpoint(s);
  if (isWriteLocked(s) || done.backfilled < done.frames || reads(done).some((read) => read > SLOT_0)) return done;
  return { ...emptyIndex(done), headerSalt: NO_HEADER, isFirstHeader: false, headerBase: 0, written: 0, tail: "none" };
}

/** The last connection copies what there is and deletes log and index. */
export function deleteLog(s: State): State {
  const gone = truncate(s);
  return gone.headerSalt === NO_HEADER ? { ...gone, salt: drawSalt(gone) } : s;
}

/**
 * The index is made anew of the log's file: after all processes died, or one in the middle of changing it. A commit whose
 * fsync failed is one then, and how much was checkpointed is forgotten.
 */
export function recover(s: State): State {
  if (s.headerSalt === NO_HEADER) return s;
  const frames = s.written + (s.tail === "phantom" ? 1 : 0);
  const tail = s.tail === "phantom" ? "none" : s.tail;
  return { ...s, salt: s.headerSalt, base: s.headerBase, frames, written: frames, backfilled: 0, tail };
}
