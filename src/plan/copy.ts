// Which copy of the database is right: the one on the volume, the one in the replica, or neither. Pure.
// A start on the wrong copy is the one mistake that no later step can mend, so every doubt is a refusal.

import { FlysqliteError } from "../base/errors.ts";
import { formatTxid, NO_TXID } from "../replica/ltx/txid.ts";
import type { ReplicatedPosition } from "../replica/state.ts";
import type { Facts } from "./facts.ts";

export type CopyDecision =
  /** There is no database anywhere: one is made. */
  | { readonly kind: "create"; readonly why: string }
  | { readonly kind: "restore"; readonly why: string }
  /** The one on the volume; `position` is where its replica stands, if the replica continues from it. */
  | { readonly kind: "keep"; readonly why: string; readonly position: ReplicatedPosition | undefined };

export type CopyFacts = Pick<Facts, "replica" | "state" | "unborn"> & {
  readonly database: Pick<Facts["database"], "path" | "state">;
};

/** Decides, or throws where no copy can be told to be the right one. */
export function decideCopy({ database, replica, state, unborn }: CopyFacts): CopyDecision {
  const present = database.state === "present" && !unborn;
  const history = replica !== undefined && replica.files.length > 0 ? replica : undefined;
  if (!present) {
    if (history !== undefined) {
      if (unborn && database.state === "present") {
        throw diverged(
          `"${database.path}" was never finished, and "${history.address}" holds a history that is not its own`,
        );
      }
      return { kind: "restore", why: "the volume has no database" };
    }
    if (state !== undefined) throw lostBoth(database.path, state.replica, replica?.address);
    if (unborn) return { kind: "create", why: "an earlier start did not finish making it" };
    return {
      kind: "create",
      why:
        replica === undefined
          ? "the volume has none, and no replica is configured"
          : "the volume has none, and the replica is empty",
    };
  }

  if (replica === undefined) return { kind: "keep", why: "it is on the volume", position: undefined };
  if (history === undefined)
    return { kind: "keep", why: "it is on the volume, and the replica is empty", position: undefined };
  if (state === undefined || state.databaseId !== history.databaseId) {
    throw diverged(`"${history.address}" holds the history of another database than "${database.path}"`);
  }

  const newest = state.pending ?? state.acked;
  const newestTxid = newest?.txid ?? NO_TXID;
  if (history.lastTxid > newestTxid) {
    throw diverged(
      `"${database.path}" knows of its replica up to transaction ${formatTxid(newestTxid)}, and "${history.address}" ` +
        `goes on to ${formatTxid(history.lastTxid)}: the volume is older than its replica, or another machine writes to it`,
    );
  }
  const position = [state.pending, state.acked].find((known) => known?.txid === history.lastTxid);
  return { kind: "keep", why: "it is on the volume, and its replica is not ahead", position };
}

function diverged(message: string): FlysqliteError {
  return new FlysqliteError("E_DIVERGED", `Cannot tell which copy is right: ${message}`);
}

function lostBoth(path: string, replicatedTo: string, configured: string | undefined): FlysqliteError {
  const now = configured === undefined ? "no replica is configured" : `"${configured}" is empty`;
  return new FlysqliteError(
    "E_CONFIG",
    `Cannot start without "${path}": this volume had that database and replicated it to "${replicatedTo}", and now ${now}`,
    { hint: "Configure the replica that holds it, or start with an empty volume to begin anew" },
  );
}
