// Puts the database on the volume where there is none: from the replica, or by making room for a new one.

import { basename, dirname } from "node:path";
import { assert } from "../base/assert.ts";
import { makePrivateDirectory, removeDurably, writeDurably } from "../base/durable-file.ts";
import { info, warn } from "../base/events.ts";
import { formatBytes, formatDuration } from "../base/format.ts";
import { tellProgress } from "../base/progress.ts";
import type { Plan } from "../plan/plan.ts";
import { chooseFormat } from "../replica/choose.ts";
import { claimReplica, inspectReplica, type ReplicaContent } from "../replica/inspect.ts";
import { planRestore } from "../replica/ltx/plan.ts";
import { type RestorePlan, restoreTo } from "../replica/restore-to.ts";
import type { ReplicationState } from "../replica/state.ts";
import { planV03 } from "../replica/v03/plan.ts";
import type { StepContext } from "./context.ts";
import { moveAside } from "./move-aside.ts";
import { noteRestored, stateAfter } from "./note-restored.ts";
import { SIDE_FILE_SUFFIXES, stateDirectory, unbornMark } from "./places.ts";
import { removeUnfinished } from "./unfinished.ts";

/** Gives what replication continues from, after a restore; undefined where nothing was restored. */
export async function restore({ copy, facts }: Plan, context: StepContext): Promise<ReplicationState | undefined> {
  if (copy.kind === "keep") return undefined;
  const { database, unborn } = facts;
  await makePrivateDirectory(stateDirectory(database.path));
  if (copy.kind === "restore" && copy.stale === true) return restoreFromReplica(database.path, facts, context);
  if (unborn && database.state === "present") await removeUnborn(database.path);
  else {
    const found = database.state === "empty" ? [database.path, ...database.orphans] : database.orphans;
    await moveAside(found, { ...context, step: "restore" });
  }

  if (copy.kind === "create") {
    // From here to the seed's success the database counts as unmade: a start that fails in between begins anew.
    await writeDurably(unbornMark(database.path), "");
    await removeUnfinished(database.path); // of one that is made anew
    return undefined;
  }
  // What comes from a replica has been seeded. With the mark beside it the next start would take it for unmade.
  if (unborn) await removeDurably(unbornMark(database.path));
  return restoreFromReplica(database.path, facts, context);
}

async function restoreFromReplica(
  target: string,
  { replica, database }: Plan["facts"],
  { random, clock, log, signal, sqlite, ...context }: StepContext,
): Promise<ReplicationState> {
  const configured = await context.replica(basename(target));
  assert(configured !== undefined && replica !== undefined, "a restore is planned from a replica");
  const { store } = configured;
  const startedMs = clock.monotonic();
  const driver = await sqlite(dirname(target));
  const databaseId = replica.databaseId ?? (await claimReplica(store, { databaseId: random.uuid(), signal }));
  const content = { ...replica, databaseId };
  const restored = await restoreTo({
    store,
    plan: planLatest(replica),
    target,
    driver,
    clock,
    signal,
    integrity: "quick",
    replaces: database.state === "present",
    progress: tellProgress((text) => log(info("restore", text)), { clock, afterMs: PROGRESS_MS, everyMs: PROGRESS_MS }),
    replan: async () => planLatest(await inspectReplica(store, { signal })),
    // Before the file gets its name: a database without this would be one of unknown origin at the next start.
    verified: (image) => noteRestored(target, { store, content, restored: image }, { random }),
  });
  const { fileCount, sizeBytes, notes, movedAside } = restored;
  if (database.state === "present") {
    const kept = movedAside.join(", ");
    log(warn("restore", `the volume's database, with whatever it has and the replica lacks, is kept as ${kept}`));
  } else {
    for (const path of movedAside) log(warn("restore", `a file of an earlier database was moved aside, to ${path}`));
  }
  for (const note of notes) log(info("restore", note));
  const took = formatDuration(clock.monotonic() - startedMs);
  log(info("restore", `${store.address}: ${fileCount} files, ${formatBytes(sizeBytes)} in ${took}, verified`));
  return stateAfter({ store, content, restored }, { random });
}

/** How often a restore says how far it is, in milliseconds: most are done before. */
const PROGRESS_MS = 5000;

/** The newest state that the replica holds, in whichever of Litestream's formats that is. */
function planLatest({ files, v03 }: ReplicaContent): RestorePlan {
  const target = { kind: "latest" } as const;
  const { format } = chooseFormat({ ltx: files, v03, target });
  return format === "ltx" ? { format, files: planRestore(files, target) } : { format, plan: planV03(v03, target) };
}

/** Removes a database that no app has ever seen: its migrations or its seed had not finished. */
async function removeUnborn(path: string): Promise<void> {
  for (const suffix of [...SIDE_FILE_SUFFIXES, ""]) await removeDurably(`${path}${suffix}`);
}
