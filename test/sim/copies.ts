// Which copies of the whole database had to be, and which were needless.
//
// A keeper that holds the log never loses its place in it. One that died may: whether the log was begun anew just once
// between its last note and its successor's first capture can't be told from the log. Nor can anybody tell a log that was
// begun anew with nothing in it, by a transaction that was rolled back or by a TRUNCATE checkpoint, from one whose frames
// were lost, where it is begun anew another time before it is looked at.

import { existsSync, readFileSync } from "node:fs";
import { Violation } from "./violation.ts";

export type Copies = ReturnType<typeof createCopies>;

export function createCopies({
  path,
  isReplicaEmpty,
  wasFull,
}: {
  /** Of the database. */
  readonly path: string;
  readonly isReplicaEmpty: () => boolean;
  /** True where the volume has been full. */
  readonly wasFull: () => boolean;
}) {
  const needed: string[] = [];
  let needless: string | undefined;
  let starts = 0;
  /** The log that was looked at last, and the one in which a keeper has last noted its place. */
  let looked = "";
  let noted = "";
  /** True where that was not there any more when the last copy began. */
  let wasGone = false;
  /** The log as the app has left it. */
  let left = "";
  /** True where it was begun anew, or emptied, with nothing in it, since a keeper has last noted its place. */
  let isEmptied = false;
  /** Likewise when that note was made. */
  let wasEmptied = false;

  function isNeeded(reason: string): boolean {
    if (reason === "the replica is empty") return isReplicaEmpty();
    if (reason === "the volume had no room to wait") return wasFull();
    if (reason === "the log was restarted more than once" && wasEmptied) return true;
    return starts > 1 && wasGone;
  }

  return {
    /** Reasons of those that had to be. */
    needed,

    /** A keeper starts. */
    started(): void {
      starts += 1;
    },

    /** The app did something, and committed by it or not. */
    acted({ committed }: { readonly committed: boolean }): void {
      const salts = saltsOf(path);
      if (salts !== left && !committed) isEmptied = true;
      left = salts;
    },

    /** The keeper looks into the log as it is now. */
    looks(): void {
      looked = saltsOf(path);
    },

    /** The keeper comes by a label. */
    at(label: string): void {
      if (label === "recorded") {
        noted = looked;
        wasEmptied = isEmptied;
        isEmptied = false;
      }
      if (label !== "snapshot begun") return;
      looked = saltsOf(path);
      wasGone = looked !== noted;
    },

    /** A copy was made. */
    made(reason: string): void {
      if (isNeeded(reason)) needed.push(reason);
      else needless ??= reason;
    },

    requireNoneNeedless(): void {
      if (needless !== undefined) throw new Violation(`a needless copy: ${needless}`);
    },
  };
}

/** Tells one log from the next; empty where there is none. */
function saltsOf(path: string): string {
  const log = `${path}-wal`;
  return existsSync(log) ? readFileSync(log).toString("latin1", 16, 24) : "";
}
