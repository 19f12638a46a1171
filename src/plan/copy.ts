// Which copy of the database is right: the one on the volume, the one in the replica, or neither. Pure.
// A start on the wrong copy is the one mistake that no later step can mend, so every doubt is a refusal.

import { FlysqliteError } from "../base/errors.ts";
import { hasHistory } from "../replica/inspect.ts";
import { formatTxid, NO_TXID } from "../replica/ltx/txid.ts";
import type { ReplicatedPosition } from "../replica/state.ts";
import { listGenerations } from "../replica/v03/plan.ts";
import type { Facts } from "./facts.ts";

export type CopyDecision =
  /** There is no database anywhere: one is made. */
  | { readonly kind: "create"; readonly why: string }
  | { readonly kind: "restore"; readonly why: string }
  /** The one on the volume; `position` is where its replica stands, if the replica continues from it. */
  | { readonly kind: "keep"; readonly why: string; readonly position: ReplicatedPosition | undefined };

export type CopyFacts = Pick<Facts, "replica" | "state" | "litestream" | "unborn"> & {
  readonly database: Pick<Facts["database"], "path" | "state">;
};

/** Decides, or throws where no copy can be told to be the right one. */
export function decideCopy(facts: CopyFacts): CopyDecision {
  const { database, replica, unborn } = facts;
  const history = replica !== undefined && hasHistory(replica) ? replica : undefined;
  if (database.state !== "present" || unborn) return decideAbsent(facts, history);
  if (replica === undefined) return keep("it is on the volume");
  if (history === undefined) return keep("it is on the volume, and the replica is empty");
  return decidePresent(facts, history);
}

type History = NonNullable<Facts["replica"]>;

function decideAbsent({ database, replica, state, unborn }: CopyFacts, history: History | undefined): CopyDecision {
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
  const and = replica === undefined ? "no replica is configured" : "the replica is empty";
  return { kind: "create", why: `the volume has none, and ${and}` };
}

function decidePresent({ database, state, litestream }: CopyFacts, history: History): CopyDecision {
  if (state === undefined || state.databaseId !== history.databaseId) {
    if (history.databaseId === undefined && isLitestreams(litestream, history)) {
      return keep("it is on the volume, and Litestream replicated it before");
    }
    throw diverged(`"${history.address}" holds the history of another database than "${database.path}"`);
  }
  const newestTxid = (state.pending ?? state.acked)?.txid ?? NO_TXID;
  if (history.lastTxid > newestTxid) {
    throw diverged(
      `"${database.path}" knows of its replica up to transaction ${formatTxid(newestTxid)}, and "${history.address}" ` +
        `goes on to ${formatTxid(history.lastTxid)}: the volume is older than its replica, or another machine writes to it`,
    );
  }
  const position = [state.pending, state.acked].find((known) => known?.txid === history.lastTxid);
  return { kind: "keep", why: "it is on the volume, and its replica is not ahead", position };
}

/**
 * True where Litestream's own state on the volume says that this very history was written from here, up to its end:
 * the database is then the same or newer. Litestream ships nothing that its volume does not have.
 */
function isLitestreams(litestream: Facts["litestream"], { files, v03, lastTxid }: History): boolean {
  if (litestream === undefined) return false;
  if (files.length > 0) return litestream.lastTxid >= lastTxid;
  return litestream.generation !== undefined && listGenerations(v03)[0]?.generation === litestream.generation;
}

function keep(why: string): CopyDecision {
  return { kind: "keep", why, position: undefined };
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
