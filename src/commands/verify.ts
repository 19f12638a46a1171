// `flysqlite verify`: reads all that the replica holds, and says whether it can be restored.

import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, FlysqliteError } from "../base/errors.ts";
import { formatBytes, formatDuration } from "../base/format.ts";
import { decodeLtx } from "../replica/ltx/decode.ts";
import type { LtxFileInfo } from "../replica/ltx/names.ts";
import { planRestore } from "../replica/ltx/plan.ts";
import { type RestorePlan, restoreTo } from "../replica/restore-to.ts";
import { listGenerations, planV03 } from "../replica/v03/plan.ts";
import type { StepContext } from "../steps/context.ts";
import type { ObjectStore } from "../storage/store.ts";
import { findReplica, requireHistory } from "./locate.ts";

/** How many objects are read at once. */
const OBJECTS_AT_ONCE = 4;

export type VerifyWords = {
  /** Restore as well, and let SQLite's integrity_check look at the result. */
  readonly deep: boolean;
  /** Where a restore may put its temporary file. */
  readonly directory: string;
};

/** Tells each thing that is wrong on a line of its own, and fails with E_REPLICA_CORRUPT where there is any. */
export async function verifyCommand(
  { deep, directory }: VerifyWords,
  context: StepContext,
  print: (text: string) => void,
): Promise<void> {
  const { clock, signal } = context;
  const startedMs = clock.monotonic();
  const found = await findReplica(context);
  requireHistory(found);
  const { store, content } = found;
  const { files, v03 } = content;
  const problems = await verifyObjects(files, { store, signal });

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
  for (const { what, plan } of plans) {
    // The objects of Litestream 0.3 can be checked only in the order in which they are restored.
    if (what !== "LTX" || (deep && problems.length === 0)) {
      problems.push(...(await attempt(what, () => restoreAside(plan(), { store, directory, deep, context }))));
    }
  }

  const count = files.length + v03.snapshots.length + v03.segments.length;
  const bytes = [...files, ...v03.snapshots, ...v03.segments].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const took = formatDuration(clock.monotonic() - startedMs);
  if (problems.length > 0) {
    throw new FlysqliteError("E_REPLICA_CORRUPT", `"${store.address}" is not sound`, { problems });
  }
  const how = deep ? "restored and checked" : "checked";
  print(`${store.address}: ${count} objects, ${formatBytes(bytes)}, ${how} in ${took}: all sound\n`);
}

async function verifyObjects(
  files: readonly LtxFileInfo[],
  { store, signal }: { readonly store: ObjectStore; readonly signal: AbortSignal },
): Promise<string[]> {
  const problems: string[] = [];
  const waiting = files.values();
  const worker = async () => {
    for (const { key } of waiting) {
      problems.push(
        ...(await attempt(key, async () => {
          const chunks = await store.get(key, { signal });
          if (chunks !== undefined) await decodeLtx(chunks, key, { onPage: () => {} }); // retention may take it meanwhile
        })),
      );
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
  }: {
    readonly store: ObjectStore;
    readonly directory: string;
    readonly deep: boolean;
    readonly context: StepContext;
  },
): Promise<void> {
  const { clock, signal } = context;
  const place = await mkdtemp(join(directory, "flysqlite-verify-"));
  try {
    const driver = await context.sqlite(place);
    const target = join(place, "restored.db");
    await restoreTo({ store, plan, target, driver, clock, signal, integrity: deep ? "full" : "quick" });
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
