// One look at the log, as capture() in src/sqlite/attached.ts takes it, and what is checked of it. Pure.

import type { Planted } from "./planted.ts";
import { committed, type Found, NO_HEADER, type Position, type State } from "./state.ts";

type Look =
  | { readonly kind: "nothing"; readonly state: State }
  | { readonly kind: "changes"; readonly state: State; readonly found: Found }
  | { readonly kind: "broken"; readonly state: State };

/** Looks for what was committed behind the position. */
export function look(before: State, planted: Planted | undefined): Look {
  const s = { ...before, isEmptiedAgain: false };
  const frames = framesToRead(s, planted);
  const { position, sealed } = s;
  if (position === undefined) return broken(before);
  if (frames === 0) {
    if (position.kind !== "file" && !sealed) return broken(before);
    const file = { kind: "file", isSame: true, commit: position.commit } as const;
    return nothing(position.kind === "log" ? { ...s, position: file } : s);
  }
  const from = continuation(s, position, planted);
  if (from === undefined || frames < from.frame) return broken(before);
  if (frames === from.frame) return nothing({ ...s, sealed: s.backfilled === frames });
  const isCheckpointed = s.backfilled === s.frames && planted !== "pages-from-the-log";
  const first = s.headerBase + from.frame + 1;
  const last = s.headerBase + frames;
  const found: Found = {
    first,
    last,
    pages: isCheckpointed ? "file" : "log",
    salt: s.headerSalt,
    position: { kind: "log", salt: s.headerSalt, frame: frames, commit: last },
    sealed: s.backfilled === s.frames,
  };
  return { kind: "changes", found, state: checked(s, found) };
}

function framesToRead({ frames, headerSalt, written, tail }: State, planted: Planted | undefined): number {
  if (planted !== "reads-to-the-files-end" && planted !== "trusts-checksums") return frames;
  if (headerSalt === NO_HEADER) return 0;
  return written + (tail === "phantom" || (tail === "uncommitted" && planted === "reads-to-the-files-end") ? 1 : 0);
}

/** The frame of this log behind which copying goes on; undefined where it can't. */
function continuation(
  { headerSalt, isFirstHeader, sealed }: State,
  position: Position,
  planted: Planted | undefined,
): { readonly frame: number } | undefined {
  const inLog = position.kind === "log" ? position : undefined;
  if (inLog?.salt === headerSalt) return inLog;
  if (planted === "any-salt-change") return { frame: 0 };
  if (!sealed && planted !== "restart-not-sealed") return undefined;
  if (planted === "any-salts-once-sealed") return { frame: 0 };
  if (inLog !== undefined && headerSalt !== inLog.salt + 1 && !isFirstHeader) return undefined;
  return { frame: 0 };
}

/** The whole database, as the view that has just begun sees it. */
export function wholeDatabase(s: State): Found {
  const commit = committed(s);
  const isCheckpointed = s.backfilled === s.frames;
  return {
    first: 0,
    last: commit,
    pages: isCheckpointed ? "file" : "log",
    salt: s.headerSalt,
    position:
      s.frames === 0
        ? { kind: "file", isSame: true, commit }
        : { kind: "log", salt: s.headerSalt, frame: s.frames, commit },
    sealed: isCheckpointed,
  };
}

/** Nothing is found exactly where nothing was committed since. */
function nothing(s: State): Look {
  const wrong = committed(s) === s.kept ? s.wrong : "lost: what was committed is not seen";
  return { kind: "nothing", state: { ...s, wrong } };
}

/**
 * A copy of the whole database must not be needed once a round has come to its end, as our hold has no gap. The one
 * exception: the app empties an empty log once more before we look, and the salts say that there was more than one restart.
 */
function broken(s: State): Look {
  const wrong = s.isFresh || s.isEmptiedAgain ? undefined : "needless: the whole database is copied";
  return { kind: "broken", state: { ...s, position: undefined, sealed: false, wrong } };
}

/** What is found goes on behind what is kept, and was committed. */
function checked(s: State, { first, last }: Found): State {
  if (last > committed(s)) return { ...s, wrong: "invented: what was not committed is captured" };
  if (first > s.kept + 1) return { ...s, wrong: "lost: what was committed is skipped" };
  if (first <= s.kept) return { ...s, wrong: "twice: a commit is captured again" };
  return s;
}

/** Reads the pages of what was found: they must still be what they were. */
export function readPages(s: State, { pages, salt, first, last }: Found): State {
  const isInLog = s.headerSalt === salt && (first === 0 ? s.stored <= last : true);
  const isRead = pages === "memory" || (pages === "file" ? s.stored === last : isInLog);
  return isRead ? s : { ...s, wrong: `torn: pages are read from the ${pages} after it has changed` };
}
