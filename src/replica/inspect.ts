// What a replica holds, as its listing shows it. "Nothing" is a fact only when the store answered so.

import { FlysqliteError } from "../base/errors.ts";
import type { ObjectStore } from "../storage/store.ts";
import { LEVELS, type LtxFileInfo, parseLtxName } from "./ltx/names.ts";
import { NO_TXID, type Txid } from "./ltx/txid.ts";
import { listV03, type V03Files } from "./v03/names.ts";

export type ReplicaContent = {
  /** All LTX files of all levels. */
  readonly files: readonly LtxFileInfo[];
  /** What Litestream 0.3 left there. */
  readonly v03: V03Files;
  /** Id of the database whose history this is, where flysqlite wrote or took over the replica. */
  readonly databaseId: string | undefined;
  /** Last transaction of any file; 0 where there is none. */
  readonly lastTxid: Txid;
};

/** Says whose history a replica holds. Litestream passes over it, as its name is no LTX file's. */
export const IDENTITY_KEY = "flysqlite/identity.json";

/** More than an identity object ever needs, in bytes. */
const MAX_IDENTITY_BYTES = 4096;

export async function inspectReplica(
  store: ObjectStore,
  { signal }: { readonly signal: AbortSignal },
): Promise<ReplicaContent> {
  // Asked for together with the listing, as a round trip is most of what a start waits for. The listing decides.
  const early = findIdentity(store, signal);
  early.catch(() => {});
  const objects = await store.list("", { signal });
  const files: LtxFileInfo[] = [];
  for (const level of LEVELS) {
    const directory = `${store.levelDirectory(level)}/`;
    for (const object of objects) {
      if (!object.key.startsWith(directory)) continue;
      const range = parseLtxName(object.key.slice(directory.length));
      if (range !== undefined) files.push({ level, ...range, ...object });
    }
  }
  const isClaimed = objects.some(({ key }) => key === IDENTITY_KEY);
  const databaseId = isClaimed ? ((await early) ?? (await readIdentity(store, signal))) : undefined;
  let lastTxid = NO_TXID;
  for (const { max } of files) if (max > lastTxid) lastTxid = max;
  return { files, v03: listV03(objects), databaseId, lastTxid };
}

/** True where there is something to restore, or something in its place that can't be. Only false means "empty". */
export function hasHistory({ files, v03 }: ReplicaContent): boolean {
  return files.length > 0 || v03.snapshots.length > 0 || v03.segments.length > 0 || v03.betaKey !== undefined;
}

/** Writes the identity of a replica that has none; gives the one that holds, which may be another's. */
export async function claimReplica(
  store: ObjectStore,
  { databaseId, signal }: { readonly databaseId: string; readonly signal: AbortSignal },
): Promise<string> {
  const body = new TextEncoder().encode(`${JSON.stringify({ databaseId })}\n`);
  if (await store.put(IDENTITY_KEY, [body], { ifAbsent: true, signal })) return databaseId;
  return readIdentity(store, signal);
}

async function readIdentity(store: ObjectStore, signal: AbortSignal): Promise<string> {
  const databaseId = await findIdentity(store, signal);
  if (databaseId !== undefined) return databaseId;
  throw unreadable(store);
}

/** Undefined where there is none. */
async function findIdentity(store: ObjectStore, signal: AbortSignal): Promise<string | undefined> {
  const body = await store.get(IDENTITY_KEY, { signal });
  if (body === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > MAX_IDENTITY_BYTES) break;
    chunks.push(chunk);
  }
  const databaseId = parseIdentity(Buffer.concat(chunks).toString("utf8"));
  if (databaseId === undefined) throw unreadable(store);
  return databaseId;
}

function unreadable({ address }: ObjectStore): FlysqliteError {
  return new FlysqliteError("E_REPLICA_CORRUPT", `Cannot read "${IDENTITY_KEY}" of "${address}": it names no database`);
}

function parseIdentity(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !("databaseId" in value)) return undefined;
    return typeof value.databaseId === "string" ? value.databaseId : undefined;
  } catch {
    return undefined;
  }
}
