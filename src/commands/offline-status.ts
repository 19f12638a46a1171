// What can be told of a database's replication where no keeper answers: from the state beside the database, from the
// files themselves, and from the replica. Nothing is changed, and neither the database nor its index is opened.

import { closeSync, openSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { OfflineStatus } from "../base/control.ts";
import { describe, systemCode } from "../base/errors.ts";
import { version } from "../base/version.ts";
import { hasHistory, inspectReplica } from "../replica/inspect.ts";
import { formatTxid, NO_TXID, type Txid } from "../replica/ltx/txid.ts";
import { type ReplicatedPosition, readPositions } from "../replica/state.ts";
import { isBusy } from "../sqlite/driver.ts";
import { countCommitsAfter } from "../sqlite/wal/commits-after.ts";
import { readWalHeader, stillAt, walStart } from "../sqlite/wal/read.ts";
import type { StepContext } from "../steps/context.ts";
import { stateDirectory } from "../steps/places.ts";

/** How long the replica is asked, in milliseconds: someone waits for the answer. */
const REPLICA_LIMIT_MS = 10_000;

export async function lookOffline(path: string, context: StepContext): Promise<OfflineStatus> {
  const databaseBytes = statSync(path, { throwIfNoEntry: false })?.size;
  const known = readPositions(stateDirectory(path));
  const replica = await lookAtReplica(path, context);
  const missing = missingCommits(path, known, replica?.last);
  const keeper = (await isLocked(path, context)) ? "silent" : "none";
  const facts = {
    keeper,
    version,
    database: path,
    ...(databaseBytes === undefined ? {} : { databaseBytes }),
    ...(replica === undefined ? {} : { replica: replica.address }),
    ...(known[0] === undefined ? {} : { captured: formatTxid(known[0].txid) }),
    ...(replica?.last === undefined || replica.last === NO_TXID ? {} : { replicated: formatTxid(replica.last) }),
    ...(replica?.error === undefined ? {} : { replicaError: replica.error }),
    ...(missing === undefined ? {} : { missingCommits: missing }),
  } as const;
  const isEmpty = replica?.isEmpty === true;
  return { answer: "not replicated", summary: summarizeOffline(facts, { isEmpty }), ...facts };
}

/** The facts as a sentence. Pure. */
export function summarizeOffline(
  facts: Omit<OfflineStatus, "answer" | "summary">,
  { isEmpty }: { readonly isEmpty: boolean },
): string {
  const { keeper, database } = facts;
  const who = keeper === "none" ? "no flysqlite runs for it" : "the flysqlite that has it does not answer";
  return `${database}: ${who}, and ${whatIsWhere(facts, { isEmpty })}`;
}

function whatIsWhere(
  { databaseBytes, replica, replicated, replicaError, missingCommits }: Omit<OfflineStatus, "answer" | "summary">,
  { isEmpty }: { readonly isEmpty: boolean },
): string {
  if (replica === undefined) return "no replica is configured";
  if (replicaError !== undefined) return `its replica can't be asked: ${replicaError}`;
  if (databaseBytes === undefined) {
    return isEmpty ? `there is no database, nor anything in ${replica}` : `it is only in ${replica}`;
  }
  if (isEmpty) return `nothing of it is in ${replica}`;
  const all = `up to transaction ${replicated}`;
  if (missingCommits === undefined) return `whether ${replica}, ${all}, has all of it can't be told from outside`;
  if (missingCommits === 0) return `all that it holds is in ${replica}, ${all}`;
  return `${replica} lacks its last ${missingCommits === 1 ? "commit" : `${missingCommits} commits`}`;
}

type ReplicaLook = {
  readonly address: string;
  readonly isEmpty?: boolean;
  readonly last?: Txid;
  readonly error?: string;
};

async function lookAtReplica(path: string, context: StepContext): Promise<ReplicaLook | undefined> {
  const configured = await context.replica(basename(path));
  if (configured === undefined) return undefined;
  const { address } = configured.store;
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(REPLICA_LIMIT_MS)]);
  try {
    const content = await inspectReplica(configured.store, { signal });
    return { address, isEmpty: !hasHistory(content), last: content.lastTxid };
  } catch (error) {
    context.signal.throwIfAborted();
    return { address, error: describe(error) };
  }
}

/** Commits of the volume that a replica up to `last` lacks; undefined where that can't be told. */
function missingCommits(
  path: string,
  known: readonly ReplicatedPosition[],
  last: Txid | undefined,
): number | undefined {
  const place = known.find(({ txid }) => txid === last)?.position;
  if (place === undefined) return undefined;
  const log = openIfPresent(`${path}-wal`);
  try {
    if (place.kind === "log")
      return log !== undefined && stillAt(log, place) ? countCommitsAfter(log, place) : undefined;
    const { size, mtimeMs } = statSync(path);
    if (size !== place.sizeBytes || mtimeMs !== place.modifiedMs) return undefined;
    const header = log === undefined ? undefined : readWalHeader(log);
    return log === undefined || header === undefined ? 0 : countCommitsAfter(log, walStart(header));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  } finally {
    if (log !== undefined) closeSync(log);
  }
}

function openIfPresent(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** True where another flysqlite has the database. */
async function isLocked(path: string, context: StepContext): Promise<boolean> {
  const lock = join(stateDirectory(path), "lock");
  if (statSync(lock, { throwIfNoEntry: false }) === undefined) return false;
  const driver = await context.sqlite(dirname(path));
  using connection = driver.open(lock, { readOnly: true, busyTimeoutMs: 0 });
  try {
    connection.all("SELECT 1 FROM sqlite_schema LIMIT 1");
    return false;
  } catch (error) {
    if (isBusy(error)) return true;
    throw error;
  }
}
