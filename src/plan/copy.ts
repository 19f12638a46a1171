// Which copy of the database is right: the one on the volume, the one in the replica, or neither. Pure.
// A start on the wrong copy is the one mistake that no later step can mend, so every doubt is a refusal.

import { FlysqliteError } from "../base/errors.ts";
import type { OnStaleVolume } from "../config/settings.ts";
import { hasHistory } from "../replica/inspect.ts";
import { formatTxid, NO_TXID } from "../replica/ltx/txid.ts";
import { isAmong, isWrittenHere } from "../replica/newest.ts";
import { isNoPlace, newestTxid, type ReplicatedPosition, type ReplicationState } from "../replica/state.ts";
import { listGenerations } from "../replica/v03/plan.ts";
import type { Facts } from "./facts.ts";

export type CopyDecision =
  /** There is no database anywhere: one is made. */
  | { readonly kind: "create"; readonly why: string }
  /** `stale`: the volume has a database, which is older, and which is moved aside with all that it has. */
  | { readonly kind: "restore"; readonly why: string; readonly stale?: true }
  /** The one on the volume; `position` is where its replica stands, if the replica continues from it. */
  | {
      readonly kind: "keep";
      readonly why: string;
      readonly position: ReplicatedPosition | undefined;
      /** What somebody should know who looks after the replica. */
      readonly warning?: string | undefined;
    };

export type CopyFacts = Pick<Facts, "replica" | "state" | "litestream" | "unborn"> &
  Partial<Pick<Facts, "lease" | "newest">> & {
    readonly database: Pick<Facts["database"], "path" | "state"> & Partial<Pick<Facts["database"], "others">>;
  };

/** Decides, or throws where no copy can be told to be the right one. */
export function decideCopy(facts: CopyFacts, onStaleVolume: OnStaleVolume = "refuse"): CopyDecision {
  const { database, replica, state, unborn } = facts;
  const history = replica !== undefined && hasHistory(replica) ? replica : undefined;
  if (database.state !== "present" || unborn) return decideAbsent(facts, history);
  if (replica === undefined) return keep("it is on the volume");
  if (history === undefined) return keep("it is on the volume, and the replica is empty", lostHistory(state, replica));
  return decidePresent(facts, history, onStaleVolume);
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
  const [other] = database.others ?? [];
  if (other !== undefined) throw renamed(database.path, other);
  const and = replica === undefined ? "no replica is configured" : "the replica is empty";
  return { kind: "create", why: `the volume has none, and ${and}` };
}

function decidePresent(facts: CopyFacts, history: History, onStaleVolume: OnStaleVolume): CopyDecision {
  const { database, state, litestream } = facts;
  if (state === undefined || !isSameDatabase(state, history)) {
    if (history.databaseId === undefined && isLitestreams(litestream, history)) {
      return keep("it is on the volume, and Litestream replicated it before");
    }
    throw diverged(`"${history.address}" holds the history of another database than "${database.path}"`);
  }
  const wrong = whyNotOurs(facts, state, history);
  if (wrong === undefined) {
    const isGivenUp = isAmong(facts.newest, state.givenUp);
    const position = isGivenUp ? undefined : knownPositions(state).find(({ txid }) => txid === history.lastTxid);
    const why = "it is on the volume, and its replica is not ahead";
    return { ...keep(why, lostEnd(state, history)), position };
  }
  if (history.lastTxid > newestTxid(state) && isLitestreams(litestream, history)) {
    return keep("it is on the volume, and Litestream replicated it since");
  }
  if (onStaleVolume === "restore") return { kind: "restore", why: `--on-stale-volume: ${wrong}`, stale: true };
  throw diverged(wrong, STALE_HINT);
}

/** A replica that Litestream wrote names no database: then this volume's may have been restored from it by hand. */
function isSameDatabase({ databaseId, replica, acked, pending }: ReplicationState, history: History): boolean {
  if (history.databaseId !== undefined) return databaseId === history.databaseId;
  if (replica !== history.address || pending !== undefined) return false;
  return (acked?.txid ?? NO_TXID) === history.lastTxid && (acked === undefined || isNoPlace(acked.position));
}

const STALE_HINT =
  "To go on with the replica's copy, start with --on-stale-volume=restore: the volume's is moved aside with all that " +
  "it has. To go on with the volume's, name another replica";

/** How somebody else's writing shows in a history that this volume wrote too; undefined where it does not. */
function whyNotOurs(
  { database, lease, newest }: CopyFacts,
  state: ReplicationState,
  history: History,
): string | undefined {
  const known = formatTxid(newestTxid(state));
  const found = formatTxid(history.lastTxid);
  const who = otherWriter(lease);
  if (history.lastTxid > newestTxid(state)) {
    const by = who === undefined ? "or another machine writes to it" : `which ${who} wrote to since`;
    return (
      `"${database.path}" knows of its replica up to transaction ${known}, and "${history.address}" ` +
      `goes on to ${found}: the volume is older than its replica, ${by}`
    );
  }
  const acked = state.acked?.txid ?? NO_TXID;
  if (history.lastTxid < acked && who !== undefined) {
    return (
      `"${history.address}" held transaction ${formatTxid(acked)} of "${database.path}", and ends at ${found} now: ` +
      `${who} wrote since`
    );
  }
  if (history.lastTxid > acked && !isWrittenHere(newest, state)) {
    const whose = newest === undefined ? "which can't be told to be its own" : "which another machine wrote";
    return (
      `"${database.path}" was about to write transaction ${known}, and "${history.address}" ` +
      `ends at ${found}, ${whose}`
    );
  }
  return undefined;
}

/** Who took the lease after this volume had it last, for a message; undefined where that isn't known, or nobody did. */
function otherWriter(lease: CopyFacts["lease"]): string | undefined {
  if (lease?.seen === undefined || lease.memory === undefined) return undefined;
  const { content } = lease.seen;
  return content.taking === lease.memory.taking ? undefined : `machine "${content.machine}" (epoch ${content.epoch})`;
}

/** That the replica was emptied, where it was. A replica that is another one than before has lost nothing. */
function lostHistory(state: ReplicationState | undefined, { address }: History): string | undefined {
  if (state === undefined || newestTxid(state) === NO_TXID || state.replica !== address) return undefined;
  const was = formatTxid(newestTxid(state));
  return `"${address}" held this database up to transaction ${was} and is empty now: a new history begins there`;
}

function lostEnd(state: ReplicationState, { address, lastTxid }: History): string | undefined {
  const acked = state.acked?.txid ?? NO_TXID;
  if (lastTxid >= acked || state.replica !== address) return undefined;
  return (
    `"${address}" held this database up to transaction ${formatTxid(acked)} and ends at ${formatTxid(lastTxid)} now: ` +
    "a copy of the whole database goes there"
  );
}

/** The newest first. */
function knownPositions({ pending, acked }: ReplicationState): readonly ReplicatedPosition[] {
  return [pending, acked].filter((position) => position !== undefined);
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

function keep(why: string, warning?: string): Extract<CopyDecision, { kind: "keep" }> {
  return { kind: "keep", why, position: undefined, warning };
}

function diverged(message: string, hint?: string): FlysqliteError {
  return new FlysqliteError("E_DIVERGED", `Cannot tell which copy is right: ${message}`, hint ? { hint } : {});
}

function lostBoth(path: string, replicatedTo: string, configured: string | undefined): FlysqliteError {
  const now = configured === undefined ? "no replica is configured" : `"${configured}" is empty`;
  return new FlysqliteError(
    "E_CONFIG",
    `Cannot start without "${path}": this volume had that database and replicated it to "${replicatedTo}", and now ${now}`,
    { hint: "Configure the replica that holds it, or start with an empty volume to begin anew" },
  );
}

/** An empty database in the place of the one that the app had: nobody would want that, and nothing else shows it. */
function renamed(path: string, other: string): FlysqliteError {
  return new FlysqliteError(
    "E_CONFIG",
    `Cannot make "${path}": this volume has "${other}", and one app has one database, so its name seems to have changed`,
    {
      hint: `Name the old one with --database, or rename it and its directory; to have both, move ".${other.slice(other.lastIndexOf("/") + 1)}-flysqlite" away`,
    },
  );
}
