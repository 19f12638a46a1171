// A replica in a directory: what it holds, what restores from it, and how the next start goes on with it.

import { existsSync, rmSync } from "node:fs";
import { decideCopy } from "../../src/plan/copy.ts";
import { inspectReplica } from "../../src/replica/inspect.ts";
import type { LtxFileInfo } from "../../src/replica/ltx/names.ts";
import { planRestore } from "../../src/replica/ltx/plan.ts";
import { readNewest } from "../../src/replica/newest.ts";
import type { Start } from "../../src/replica/replicator.ts";
import { type RestoredDatabase, type RestoreToOptions, restoreTo } from "../../src/replica/restore-to.ts";
import { readRemembered, readState } from "../../src/replica/state.ts";
import type { ObjectStore } from "../../src/storage/store.ts";
import { judge } from "./workload.ts";

const never = new AbortController().signal;

export async function listFiles(store: ObjectStore): Promise<readonly LtxFileInfo[]> {
  return (await inspectReplica(store, { signal: never })).files;
}

type RestoreOptions = Pick<RestoreToOptions, "store" | "target" | "driver"> & Partial<RestoreToOptions>;

/** Restores the newest state to `target`. */
export async function restoreLatest(options: RestoreOptions): Promise<RestoredDatabase> {
  return restoreFiles({ ...options, files: planRestore(await listFiles(options.store), { kind: "latest" }) });
}

/** Restores what these files lead to. */
export async function restoreFiles({
  files,
  ...options
}: RestoreOptions & { readonly files: readonly LtxFileInfo[] }): Promise<RestoredDatabase> {
  return restoreTo({
    plan: { format: "ltx", files },
    clock: { now: () => 0 },
    signal: never,
    integrity: "quick",
    ...options,
  });
}

/** Restores to `target`, looks at what came out, and removes it. */
export async function judgeReplica(options: Parameters<typeof restoreLatest>[0]): Promise<ReturnType<typeof judge>> {
  await restoreLatest(options);
  try {
    return judge(options.target);
  } finally {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${options.target}${suffix}`, { force: true });
  }
}

/** How the next start on this volume continues the replica's history, by the product's own decision. */
export async function decideStart(
  store: ObjectStore,
  {
    path,
    stateDirectory,
    databaseId,
  }: { readonly path: string; readonly stateDirectory: string; readonly databaseId: string },
): Promise<Start> {
  const content = await inspectReplica(store, { signal: never });
  const state = readState(stateDirectory);
  const newest = state && (await readNewest(store, { content, state, signal: never }));
  const copy = decideCopy({
    database: { path, state: existsSync(path) ? "present" : "absent" },
    replica: { ...content, address: store.address, source: "the test" },
    state,
    newest,
    litestream: undefined,
    unborn: false,
  });
  if (copy.kind !== "keep") throw new Error(`the next start would ${copy.kind}: ${copy.why}`);
  return {
    databaseId: content.databaseId ?? databaseId,
    lastTxid: content.lastTxid,
    newest,
    ...readRemembered(stateDirectory),
  };
}
