// Which transaction of a replica stands before which migrations: small objects beside its identity, so that the state
// before a migration can be named by the migration.

import { FlysqliteError } from "../base/errors.ts";
import type { ObjectStore } from "../storage/store.ts";
import { formatTxid, parseTxid, type Txid } from "./ltx/txid.ts";

export type MigrationPoint = {
  /** The last transaction before them. */
  readonly txid: Txid;
  /** In the order in which they were to be applied. */
  readonly migrations: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly timeMs: number;
};

/** Litestream passes over it, as these are no LTX files' names. */
const DIRECTORY = "flysqlite/migrations/";

/** How many are kept: years of deploys, and a listing that is short. */
const MAX_POINTS = 100;

/** More than such an object has, in bytes: each name is a directory's, of at most 255. */
const MAX_POINT_BYTES = 1024 * 1024;

/** Notes a point. The same one may be noted again, as by a start that fails each time. The oldest ones go. */
export async function notePoint(
  store: ObjectStore,
  { txid, migrations, timeMs }: MigrationPoint,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const body = new TextEncoder().encode(`${JSON.stringify({ migrations, time: new Date(timeMs).toISOString() })}\n`);
  await store.put(keyOf(txid), [body], { signal });
  const keys = (await listPoints(store, signal)).map(keyOf);
  const old = keys.slice(0, -MAX_POINTS);
  if (old.length > 0) await store.deleteMany(old, { signal });
}

/** The newest point before a migration; undefined where none is noted. */
export async function findPoint(
  store: ObjectStore,
  migration: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<MigrationPoint | undefined> {
  const txids = await listPoints(store, signal);
  for (const txid of txids.toReversed()) {
    const point = await readPoint(store, txid, signal);
    if (point?.migrations.includes(migration)) return point;
  }
  return undefined;
}

/** Ascending. */
async function listPoints(store: ObjectStore, signal: AbortSignal): Promise<readonly Txid[]> {
  const objects = await store.list(DIRECTORY, { signal });
  return objects.flatMap(({ key }) => {
    const name = /^([0-9a-f]{16})\.json$/.exec(key.slice(DIRECTORY.length))?.[1];
    return name === undefined ? [] : [parseTxid(name)];
  });
}

function keyOf(txid: Txid): string {
  return `${DIRECTORY}${formatTxid(txid)}.json`;
}

async function readPoint(store: ObjectStore, txid: Txid, signal: AbortSignal): Promise<MigrationPoint | undefined> {
  const key = keyOf(txid);
  const content = await store.get(key, { signal, lengthBytes: MAX_POINT_BYTES });
  if (content === undefined) return undefined; // deleted meanwhile
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  const point = parsePoint(Buffer.concat(chunks).toString("utf8"));
  if (point !== undefined) return { txid, ...point };
  throw new FlysqliteError("E_REPLICA_CORRUPT", `Cannot read "${key}" of "${store.address}": it names no migrations`);
}

function parsePoint(text: string): Omit<MigrationPoint, "txid"> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("migrations" in value) || !("time" in value)) return undefined;
  const { migrations, time } = value;
  const timeMs = Date.parse(String(time));
  if (!Array.isArray(migrations) || !migrations.every((name) => typeof name === "string")) return undefined;
  return Number.isNaN(timeMs) ? undefined : { migrations, timeMs };
}
