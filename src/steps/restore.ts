// Puts the database on the volume where there is none: from the replica, or by making room for a new one.

import assert from "node:assert/strict";
import { dirname } from "node:path";
import { makePrivateDirectory, removeDurably, writeDurably } from "../base/durable-file.ts";
import { info } from "../base/events.ts";
import { formatBytes, formatDuration } from "../base/format.ts";
import type { Plan } from "../plan/plan.ts";
import { claimReplica } from "../replica/inspect.ts";
import { type Restored, restoreLatest } from "../replica/restore.ts";
import { type ReplicationState, writeState } from "../replica/state.ts";
import { openFileStore } from "../storage/file.ts";
import type { StepContext } from "./context.ts";
import { moveAside } from "./move-aside.ts";
import { SIDE_FILE_SUFFIXES, stateDirectory, unbornMark } from "./places.ts";

/** Gives what replication continues from, after a restore; undefined where nothing was restored. */
export async function restore({ copy, facts }: Plan, context: StepContext): Promise<ReplicationState | undefined> {
  if (copy.kind === "keep") return undefined;
  const { database, unborn } = facts;
  await makePrivateDirectory(stateDirectory(database.path));
  if (unborn && database.state === "present") await removeUnborn(database.path);
  else {
    const found = database.state === "empty" ? [database.path, ...database.orphans] : database.orphans;
    await moveAside(found, { ...context, step: "restore" });
  }

  if (copy.kind === "create") {
    // From here to the seed's success the database counts as unmade: a start that fails in between begins anew.
    await writeDurably(unbornMark(database.path), "");
    return undefined;
  }
  // What comes from a replica has been seeded. With the mark beside it the next start would take it for unmade.
  if (unborn) await removeDurably(unbornMark(database.path));
  return restoreFromReplica(database.path, facts.replica, context);
}

async function restoreFromReplica(
  target: string,
  replica: Plan["facts"]["replica"],
  { settings, random, clock, log, signal, sqlite }: StepContext,
): Promise<ReplicationState> {
  assert(settings.replica !== undefined && replica !== undefined, "a restore is planned from a replica");
  const store = openFileStore(settings.replica.value.path, { random });
  const startedMs = clock.monotonic();
  const driver = await sqlite(dirname(target));
  const databaseId = replica.databaseId ?? (await claimReplica(store, { databaseId: random.uuid(), signal }));
  const stateAfter = ({ txid, pageCount, sizeBytes, modifiedMs }: Restored): ReplicationState => {
    const position = { kind: "file", sizeBytes, modifiedMs } as const;
    return { databaseId, replica: store.address, acked: { txid, pageCount, position }, pending: undefined };
  };
  const restored = await restoreLatest({
    store,
    files: replica.files,
    target,
    driver,
    signal,
    // Before the file gets its name: a database without this would be one of unknown origin at the next start.
    verified: (image) => writeState(stateDirectory(target), stateAfter(image)),
  });
  const { fileCount, sizeBytes } = restored;
  const took = formatDuration(clock.monotonic() - startedMs);
  log(info("restore", `${store.address}: ${fileCount} files, ${formatBytes(sizeBytes)} in ${took}, verified`));
  return stateAfter(restored);
}

/** Removes a database that no app has ever seen: its migrations or its seed had not finished. */
async function removeUnborn(path: string): Promise<void> {
  for (const suffix of [...SIDE_FILE_SUFFIXES, ""]) await removeDurably(`${path}${suffix}`);
}
