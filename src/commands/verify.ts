// `flysqlite verify`: reads all that the replica holds, and says whether it can be restored.

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { assert } from "../base/assert.ts";
import { describe, FlysqliteError } from "../base/errors.ts";
import { formatBytes, formatDuration } from "../base/format.ts";
import { decodeLtx } from "../replica/ltx/decode.ts";
import type { LtxFileInfo } from "../replica/ltx/names.ts";
import { planRestore } from "../replica/ltx/plan.ts";
import { formatTxid } from "../replica/ltx/txid.ts";
import { type RestoredDatabase, type RestorePlan, type RestoreProgress, restoreTo } from "../replica/restore-to.ts";
import { listGenerations, planV03 } from "../replica/v03/plan.ts";
import type { StepContext } from "../steps/context.ts";
import type { ObjectStore } from "../storage/store.ts";
import { type Comparison, compareWithLive } from "./compare-live.ts";
import { findDatabase, findReplica, requireHistory } from "./locate.ts";

/** How many objects are read at once. */
const OBJECTS_AT_ONCE = 4;

export type VerifyWords = {
  /** Restore as well, let SQLite's integrity_check look at the result, and compare it with the live database. */
  readonly deep: boolean;
  /** Where a restore may put its temporary file. */
  readonly directory: string;
};

export type VerifyTelling = {
  readonly print: (text: string) => void;
  /** Of the objects that are read, and then, with `deep`, of the restore. */
  readonly progress: (progress: RestoreProgress) => void;
};

/** Tells each thing that is wrong on a line of its own, and fails with E_REPLICA_CORRUPT where there is any. */
export async function verifyCommand(
  { deep, directory }: VerifyWords,
  context: StepContext,
  { print, progress }: VerifyTelling,
): Promise<void> {
  const { clock, signal } = context;
  const startedMs = clock.monotonic();
  const found = await findReplica(context);
  requireHistory(found);
  const { store, content } = found;
  const { files, v03 } = content;
  const problems = await verifyObjects(files, { store, signal, progress });

  const plans: { readonly what: string; readonly plan: () => RestorePlan }[] = [];
  if (files.length > 0) {
    const plan = (): RestorePlan => ({ format: "ltx", files: planRestore(files, { kind: "latest" }) });
    plans.push({ what: "LTX", plan });
    problems.push(...(await attempt("LTX", async () => void plan())));
  }
  for (const { generation } of listGenerations(v03)) {
    plans.push({
      what: `generation ${generation}`,
      plan: () => ({ format: "v03", plan: planV03(v03, { kind: "latest", generation }) }),
    });
  }
  let comparison: Comparison | undefined;
  const compare = async (path: string, restored: RestoredDatabase) => {
    comparison = await compareWithApp(path, restored, { store, context });
  };
  for (const { what, plan } of plans) {
    // The objects of Litestream 0.3 can be checked only in the order in which they are restored.
    if (what !== "LTX" || (deep && problems.length === 0)) {
      const use = deep && what === "LTX" ? compare : async () => {};
      problems.push(
        ...(await attempt(what, () => restoreAside(plan(), { store, directory, deep, context, progress }, use))),
      );
    }
  }
  if (comparison?.kind === "compared") {
    const txid = formatTxid(comparison.txid);
    for (const text of comparison.different) problems.push(`E_DIVERGED live database at transaction ${txid}: ${text}`);
  }

  const count = files.length + v03.snapshots.length + v03.segments.length;
  const bytes = [...files, ...v03.snapshots, ...v03.segments].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const took = formatDuration(clock.monotonic() - startedMs);
  if (problems.length > 0) {
    throw new FlysqliteError("E_REPLICA_CORRUPT", `"${store.address}" is not sound`, { problems });
  }
  const how = deep ? "restored and checked" : "checked";
  print(`${store.address}: ${count} objects, ${formatBytes(bytes)}, ${how} in ${took}: all sound\n`);
  if (deep) print(`${describeComparison(comparison)}\n`);
}

/** Compares with the app's database on the volume, where there is one. */
async function compareWithApp(
  path: string,
  { position, pageSize, pageCount }: RestoredDatabase,
  { store, context }: { readonly store: ObjectStore; readonly context: StepContext },
): Promise<Comparison> {
  assert(position.format === "ltx", "a generation has no transactions to compare at");
  let live: string;
  try {
    live = await findDatabase(context);
  } catch (error) {
    if (!(error instanceof FlysqliteError)) throw error;
    return { kind: "not compared", why: describe(error) };
  }
  if (!existsSync(live)) return { kind: "not compared", why: `there is no "${live}"` };
  const driver = await context.sqlite(dirname(live));
  const restored = { path, txid: position.txid, pageSize, pageCount };
  return compareWithLive(live, restored, { store, driver, signal: context.signal });
}

function describeComparison(comparison: Comparison | undefined): string {
  if (comparison === undefined) return "not compared with a live database: the replica has no LTX files";
  if (comparison.kind === "not compared") return `not compared with a live database: ${comparison.why}`;
  const { path, txid, same, changedSince, free } = comparison;
  const left = [
    changedSince > 0 ? `; ${changedSince} were changed since, and left out` : "",
    free > 0 ? `; ${free} free ones hold other leftovers` : "",
  ].join("");
  return `compared with ${path} as of transaction ${formatTxid(txid)}: ${same} pages are the same${left}`;
}

async function verifyObjects(
  files: readonly LtxFileInfo[],
  {
    store,
    signal,
    progress,
  }: Pick<VerifyTelling, "progress"> & {
    readonly store: ObjectStore;
    readonly signal: AbortSignal;
  },
): Promise<string[]> {
  const problems: string[] = [];
  const waiting = files.values();
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBytes = 0;
  const worker = async () => {
    for (const { key, sizeBytes } of waiting) {
      problems.push(
        ...(await attempt(key, async () => {
          const chunks = await store.get(key, { signal });
          if (chunks !== undefined) await decodeLtx(chunks, key, { onPage: () => {} }); // retention may take it meanwhile
        })),
      );
      doneBytes += sizeBytes;
      progress({ doneBytes, totalBytes });
    }
  };
  await Promise.all(Array.from({ length: OBJECTS_AT_ONCE }, worker));
  return problems;
}

async function restoreAside(
  plan: RestorePlan,
  {
    store,
    directory,
    deep,
    context,
    progress,
  }: Pick<VerifyTelling, "progress"> & {
    readonly store: ObjectStore;
    readonly directory: string;
    readonly deep: boolean;
    readonly context: StepContext;
  },
  use: (path: string, restored: RestoredDatabase) => Promise<void>,
): Promise<void> {
  const { clock, signal } = context;
  const place = await mkdtemp(join(directory, "flysqlite-verify-"));
  try {
    const driver = await context.sqlite(place);
    const target = join(place, "restored.db");
    const integrity = deep ? "full" : "quick";
    await use(target, await restoreTo({ store, plan, target, driver, clock, signal, integrity, progress }));
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** What goes wrong, as a line for the list; an unreachable replica is no finding about its content. */
async function attempt(what: string, look: () => Promise<void>): Promise<readonly string[]> {
  try {
    await look();
    return [];
  } catch (error) {
    if (!(error instanceof FlysqliteError)) throw error;
    if (error.code !== "E_REPLICA_CORRUPT" && error.code !== "E_REPLICA_GAP") throw error;
    return [`${error.code} ${what}: ${describe(error)}`, ...error.problems];
  }
}
