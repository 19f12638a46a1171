// What a volume is told of a database that was restored to it, before the file gets its name: a database without this
// would be one of unknown origin at the next start.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { makePrivateDirectory, removeDurably } from "../base/durable-file.ts";
import type { ReplicaContent } from "../replica/inspect.ts";
import { NO_TXID } from "../replica/ltx/txid.ts";
import type { RestoredDatabase } from "../replica/restore-to.ts";
import { forgetCaptured, NO_PLACE, type ReplicationState, writeState } from "../replica/state.ts";
import type { ObjectStore } from "../storage/store.ts";
import type { StepContext } from "./context.ts";
import { stateDirectory, unbornMark } from "./places.ts";

export type Restored = {
  readonly store: ObjectStore;
  /** What the replica held when it was decided what to restore. */
  readonly content: ReplicaContent;
  readonly restored: RestoredDatabase;
};

/** Lets the next start go on from the restored database. */
export async function noteRestored(
  databasePath: string,
  restored: Restored,
  context: Pick<StepContext, "random">,
): Promise<void> {
  const directory = stateDirectory(databasePath);
  await makePrivateDirectory(directory);
  // What was to be uploaded of the database that was here is of no use to another one, though of the same history.
  await forgetCaptured(directory);
  await rm(join(directory, "ltx"), { recursive: true, force: true });
  await removeDurably(unbornMark(databasePath)); // what comes from a replica was made and seeded
  await writeState(directory, stateAfter(restored, context));
}

/**
 * The state of a volume with this database. After the replica's newest state copying goes on from there. After an older
 * one it goes on too, where the replica ends now, with a copy of the whole database.
 */
export function stateAfter(
  { store, content, restored }: Restored,
  { random }: Pick<StepContext, "random">,
): ReplicationState {
  const { databaseId = random.uuid(), lastTxid: txid } = content;
  const { position, pageCount, sizeBytes, modifiedMs } = restored;
  const isNewest = position.format === "ltx" && position.txid === txid;
  // Where a replica names no database, that it ends where it did is little proof; a copy of the whole needs no more.
  const place =
    isNewest && content.databaseId !== undefined ? ({ kind: "file", sizeBytes, modifiedMs } as const) : NO_PLACE;
  const acked = txid === NO_TXID ? undefined : { txid, pageCount, position: place };
  return { databaseId, replica: store.address, acked, pending: undefined };
}
