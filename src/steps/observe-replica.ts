// Looks at the replica: who may write to it, what it holds, and whether its newest file is the one that this volume
// was about to write. Changes nothing, and ends in bounded time.

import { basename } from "node:path";
import { FlysqliteError } from "../base/errors.ts";
import { warn } from "../base/events.ts";
import { formatDuration } from "../base/format.ts";
import { withTimeLimit } from "../base/time-limit.ts";
import type { Facts } from "../plan/facts.ts";
import { inspectReplica, type ReplicaContent } from "../replica/inspect.ts";
import { readLeaseMemory } from "../replica/lease/memory.ts";
import type { LeaseFacts } from "../replica/lease/rules.ts";
import { readLease } from "../replica/lease/take.ts";
import type { LtxHeader } from "../replica/ltx/header.ts";
import { readNewest } from "../replica/newest.ts";
import type { ObjectStore } from "../storage/store.ts";
import type { StepContext } from "./context.ts";
import { stateDirectory } from "./places.ts";

/** Time that looking at the replica may take, in milliseconds. A listing of 1000 keys takes about 0.1 s. */
const REPLICA_LIMIT_MS = 60_000;

/** After this time in milliseconds it is told what is waited for. */
const TELL_AFTER_MS = 10_000;

export type ObservedReplica = Pick<Facts, "replica" | "lease" | "unasked">;

/** As facts, or E_REPLICA_UNREACHABLE: a replica that answers slowly or never must not keep a start from its end. */
export async function observeReplica(
  { fileName, databasePath }: { readonly fileName: string | undefined; readonly databasePath: string | undefined },
  context: StepContext,
): Promise<ObservedReplica> {
  const { settings } = context;
  const nothing: ObservedReplica = { replica: undefined, lease: undefined };
  const place = settings.replica?.value;
  const needsName = place?.kind === "s3" && place.pathByName;
  if (fileName === undefined && needsName) return nothing; // which database it is for has to be told first
  const configured = await context.replica(fileName ?? "");
  if (configured === undefined) return nothing;
  const { store, source } = configured;
  if (context.isOffline === true && place?.kind === "s3")
    return { ...nothing, unasked: { address: store.address, source } };
  const known = databasePath === undefined ? undefined : readLeaseMemory(stateDirectory(databasePath));
  const memory = known?.replica === store.address ? known : undefined;
  const look = settings.fence.value === "off" ? inspectOnly : inspectWithLease;
  const options = { memory, owner: known?.owner };
  const { content, lease } = await limited(store, context, (signal) => look(store, { ...options, signal }));
  return { replica: { address: store.address, source, ...content }, lease };
}

type Looked = { readonly content: ReplicaContent; readonly lease: LeaseFacts | undefined };
type LookOptions = Omit<LeaseFacts, "seen"> & { readonly signal: AbortSignal };

async function inspectOnly(store: ObjectStore, { signal }: LookOptions): Promise<Looked> {
  return { content: await inspectReplica(store, { signal }), lease: undefined };
}

/**
 * The listing must be of a time from which on nobody but us may write. The lease, taken later as it is read here, says
 * so for all that was listed after it was read. Where this volume was the last to have it, or nobody ever was, it says
 * so for earlier listings too, and both can be asked for at once.
 */
async function inspectWithLease(store: ObjectStore, { memory, owner, signal }: LookOptions): Promise<Looked> {
  const [seen, early] = await Promise.all([readLease(store, { signal }), inspectReplica(store, { signal })]);
  const isEarlyEnough = seen === undefined || seen.content.taking === memory?.taking;
  const content = isEarlyEnough ? early : await inspectReplica(store, { signal });
  return { content, lease: { seen, memory, owner } };
}

/** Header of the replica's newest file, where it must be known whose it is. */
export async function observeNewest(
  { replica, state, databasePath }: Pick<Facts, "replica" | "state"> & { readonly databasePath: string },
  context: StepContext,
): Promise<LtxHeader | undefined> {
  const configured = await context.replica(basename(databasePath));
  if (configured === undefined || replica === undefined || state === undefined) return undefined;
  const { store } = configured;
  return limited(store, context, (signal) => readNewest(store, { content: replica, state, signal }));
}

function limited<Value>(
  { address }: ObjectStore,
  { clock, log, signal }: StepContext,
  look: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const limit = formatDuration(REPLICA_LIMIT_MS);
  const answered = new AbortController();
  const tell = () => log(warn("config", `${address}: no answer yet, ${limit} is the longest wait`));
  clock.sleep(TELL_AFTER_MS, { signal: answered.signal }).then(tell, () => {});
  return withTimeLimit(look, {
    ms: REPLICA_LIMIT_MS,
    clock,
    signal,
    late: () =>
      new FlysqliteError("E_REPLICA_UNREACHABLE", `Cannot list "${address}": no whole answer within ${limit}`),
  }).finally(() => answered.abort());
}
