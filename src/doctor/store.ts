// Whether the replica's store does what replication asks of it: takes an object, gives it back, lists and deletes it,
// and keeps to the conditions of a write. The objects are flysqlite/probe-<uuid>, which Litestream passes over, and are
// deleted whatever happens.

import type { Clock, Random } from "../base/context.ts";
import { describe, FlysqliteError, toFlysqliteError } from "../base/errors.ts";
import { formatDuration } from "../base/format.ts";
import { withTimeLimit } from "../base/time-limit.ts";
import { probeConditions } from "../replica/lease/probe.ts";
import type { ObjectStore } from "../storage/store.ts";
import { type Finding, failed, ok, warning } from "./finding.ts";

/** Where probes are: beside the lease, and never among the history's files. */
const DIRECTORY = "flysqlite/";

/** Size of the probe, in bytes: about that of a small commit's upload. */
const PROBE_BYTES = 1024;

/** How long one probe may take, in milliseconds: someone waits. Six tries of a request take about 5 s. */
const LIMIT_MS = 30_000;

/** How long the deleting of a probe may take, in milliseconds; also after the doctor was told to stop. */
const CLEAN_UP_MS = 10_000;

/**
 * From so much on a clock is told, in milliseconds. The times of restore points are this machine's: a restore to a time
 * would be wrong by as much. Much less can't be measured, as S3 tells whole seconds.
 */
const SKEW_MS = 10_000;

export type World = {
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
};

/** When the probe was written, by this machine's clock around it and by the store's, in milliseconds since the Unix epoch. */
export type WrittenAt = { readonly beforeMs: number; readonly afterMs: number; readonly byStoreMs: number };

export type StoreFindings = {
  readonly access: Finding;
  /** Undefined where no object could be written or listed. */
  readonly written: WrittenAt | undefined;
  /** False where what is written can't be deleted again, so that no further probe should be. */
  readonly canDelete: boolean;
};

/** Writes an object, lists it, reads it and deletes it. */
export async function probeAccess(store: ObjectStore, world: World): Promise<StoreFindings> {
  const key = `${DIRECTORY}probe-${world.random.uuid()}`;
  const content = new TextEncoder().encode(world.random.uuid().padEnd(PROBE_BYTES, "."));
  let written: WrittenAt | undefined;
  let wasStored = false;
  let failure: unknown;
  const startedMs = world.clock.monotonic();
  try {
    written = await limited(store, world, async (signal) => {
      const beforeMs = world.clock.now();
      await store.put(key, [content], { signal });
      wasStored = true;
      const afterMs = world.clock.now();
      return { beforeMs, afterMs, byStoreMs: await listAndRead(store, { key, content, signal }) };
    });
  } catch (error) {
    failure = error;
  }
  const tookMs = world.clock.monotonic() - startedMs;
  const left = await removeSurely(store, key);
  world.signal.throwIfAborted();
  if (failure !== undefined) {
    const { code, message, hint } = toFlysqliteError(failure);
    const rest = wasStored && left !== undefined ? `; "${key}" may still be there` : "";
    const access = failed("replica", new FlysqliteError(code, `${message}${rest}`, { hint }));
    return { access, written: undefined, canDelete: false };
  }
  if (left !== undefined) {
    const text = `${store.address} can be written and read, and not deleted from, so "${key}" stays there: ${left}`;
    const wayOut = "Allow s3:DeleteObject, or keep `retention: {enabled: false}` and delete by the bucket's own rules";
    return { access: warning("replica", text, wayOut), written, canDelete: false };
  }
  const text = `wrote, listed and read an object of ${store.address} in ${formatDuration(tookMs)}, and deleted it`;
  return { access: ok("replica", text), written, canDelete: true };
}

/** Gives the object's time by the store's clock. */
async function listAndRead(
  store: ObjectStore,
  { key, content, signal }: { readonly key: string; readonly content: Uint8Array; readonly signal: AbortSignal },
): Promise<number> {
  const broken = (what: string) =>
    new FlysqliteError("E_REPLICA_UNREACHABLE", `Cannot rely on "${store.address}": ${what}`, {
      hint: "A replica needs a store that shows what was written at once; use another one",
    });
  const listed = (await store.list(DIRECTORY, { signal })).find((object) => object.key === key);
  if (listed === undefined) throw broken("an object that was written is not in the list");
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await store.get(key, { signal })) ?? []) chunks.push(chunk);
  if (!Buffer.concat(chunks).equals(content)) throw broken("an object that was written is read as another one");
  return listed.modifiedMs;
}

/** Whether a lease can be had there. Without one nothing keeps two machines apart. */
export async function probeLease(
  store: ObjectStore,
  { isRequired, ...world }: World & { readonly isRequired: boolean },
): Promise<Finding> {
  let left: string | undefined;
  const cleaning: ObjectStore = {
    ...store,
    delete: async (key) => {
      left = await removeSurely(store, key);
    },
  };
  const broken = await limited(store, world, (signal) => probeConditions(cleaning, { ...world, signal }));
  if (left !== undefined) return warning("lease", `a probe stays in ${store.address}: ${left}`, "Delete it by hand");
  if (broken === undefined) return ok("lease", "writes keep to their conditions, so one machine at a time can write");
  const text = `other machines can't be kept from writing to ${store.address}: ${broken}`;
  const wayOut = "Never run two machines on it, or use a bucket with conditional writes (AWS, Tigris, R2, MinIO)";
  return isRequired
    ? failed("lease", new FlysqliteError("E_CONFIG", text, { hint: wayOut }))
    : warning("lease", text, wayOut);
}

/** What two clocks differ by. The store's moment lies between the two of this machine where they agree. Pure. */
export function judgeClock({ beforeMs, afterMs, byStoreMs }: WrittenAt): Finding {
  const aheadMs = byStoreMs < beforeMs ? beforeMs - byStoreMs : Math.min(0, afterMs - byStoreMs);
  if (Math.abs(aheadMs) < SKEW_MS) return ok("clock", "this machine's clock and the store's agree");
  const direction = aheadMs > 0 ? "ahead of" : "behind";
  return warning(
    "clock",
    `this machine's clock is ${formatDuration(Math.abs(aheadMs))} ${direction} the store's`,
    "Set this machine's clock (NTP): `restore --timestamp` is wrong by as much",
  );
}

/** Gives why the object may still be there; undefined where it is gone. */
async function removeSurely(store: ObjectStore, key: string): Promise<string | undefined> {
  try {
    await store.delete(key, { signal: AbortSignal.timeout(CLEAN_UP_MS) });
    return undefined;
  } catch (error) {
    return describe(error);
  }
}

function limited<Value>(
  { address }: ObjectStore,
  { clock, signal }: World,
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const late = () =>
    new FlysqliteError(
      "E_REPLICA_UNREACHABLE",
      `Cannot use "${address}": no whole answer within ${formatDuration(LIMIT_MS)}`,
    );
  return withTimeLimit(work, { ms: LIMIT_MS, clock, signal, late });
}
