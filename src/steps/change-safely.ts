// Changes a database so that a failure, a kill or a power cut leaves it as it was before.

import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { debug, info, type Step } from "../base/events.ts";
import { formatBytes, formatDuration } from "../base/format.ts";
import { copyDatabase, type DatabaseCopy } from "../sqlite/copy-database.ts";
import { holdRestorePoint, type RestorePoint } from "../sqlite/restore-point.ts";
import type { StepContext } from "./context.ts";
import { askMigrator, requireAnswer } from "./migrator-child.ts";
import { SIDE_FILE_SUFFIXES } from "./places.ts";
import { leaveWal, putBack, withOutcome } from "./put-back.ts";
import { copyPlace, removeUnfinished, writeUnfinished } from "./unfinished.ts";

export type SafeChange<Result> = {
  readonly step: Extract<Step, "migrate" | "seed">;
  /** The database's. */
  readonly path: string;
  /** The migrations, or the seed's command. */
  readonly names: readonly string[];
  /** Of the migrations: see interruptions.ts. */
  readonly digest: string;
  /** False where it is in WAL mode only for this. */
  readonly wasWal: boolean;
  /** True where nobody has seen the database yet. */
  readonly isNew: boolean;
  /** Why the restore point has to be a copy; undefined where the log can be cut. */
  readonly copyBecause: string | undefined;
  readonly run: () => Promise<Result>;
  /** Closes what this process has open of the database, so that it can be put back. */
  readonly letGo: () => void;
};

/** Gives what `run` gives. Where it throws, the database is put back, and its error says so. */
export async function changeSafely<Result>(change: SafeChange<Result>, context: StepContext): Promise<Result> {
  const { step, path, names, digest, wasWal, isNew } = change;
  const held = await takeRestorePoint(change, context);
  const startedMs = context.clock.now();
  const unfinished = { phase: step, names, digest, point: held.point, startedMs, wasWal, isNew };
  await writeUnfinished(path, unfinished);
  context.at("restore point");
  let result: Result;
  try {
    result = await change.run();
  } catch (error) {
    change.letGo();
    held[Symbol.dispose]();
    throw withOutcome(error, path, await putBack(path, unfinished, { ...context, held: true }));
  }
  context.at("changed");
  // From here on the change holds. Only then is the state before it let go.
  if (wasWal) await removeUnfinished(path);
  else await writeUnfinished(path, { phase: "leave WAL" });
  held[Symbol.dispose]();
  if (!wasWal) await leaveWal(path, context);
  return result;
}

/** Writes down that a new database has yet to be seeded, and what it is put back to before that. */
export async function writeUnseeded(path: string, command: string, context: StepContext): Promise<void> {
  const { point } = await takeRestorePoint({ step: "seed", path, isNew: true, copyBecause: "it is new" }, context);
  const startedMs = context.clock.now();
  const change = { names: [command], digest: "", point, startedMs, wasWal: true, isNew: true };
  await writeUnfinished(path, { ...change, phase: "seed" });
}

async function takeRestorePoint(
  { step, path, isNew, copyBecause }: Pick<SafeChange<unknown>, "step" | "path" | "isNew" | "copyBecause">,
  context: StepContext,
): Promise<Disposable & { readonly point: RestorePoint }> {
  const { clock, log, sqlite } = context;
  const startedMs = clock.monotonic();
  const took = () => formatDuration(clock.monotonic() - startedMs);
  if (copyBecause === undefined) {
    const held = holdRestorePoint(path, await sqlite(dirname(path)));
    const { sizeBytes } = held.point.file;
    log(info(step, `restore point: ${formatBytes(sizeBytes)} kept by holding the log, nothing copied, in ${took()}`));
    return held;
  }
  const { sizeBytes, shared } = await makeCopy({ path, isNew }, context);
  const how = shared ? "shared block by block, nothing copied" : "copied and compared";
  const event = `restore point: ${formatBytes(sizeBytes)} ${how} in ${took()}, as ${copyBecause}`;
  log(isNew ? debug(step, event) : info(step, event));
  return { point: { kind: "copy", path: copyPlace(path) }, [Symbol.dispose]: () => {} };
}

/** By the migrating child, which makes sure that nobody uses the database; one that was just made is nobody's yet. */
async function makeCopy(
  { path, isNew }: { readonly path: string; readonly isNew: boolean },
  context: StepContext,
): Promise<DatabaseCopy> {
  const to = copyPlace(path);
  if (isNew && SIDE_FILE_SUFFIXES.every((suffix) => !existsSync(`${path}${suffix}`))) return copyDatabase(path, to);
  const answer = await askMigrator({ kind: "copy", path, to }, context);
  return requireAnswer(answer, "copied", "Cannot make a restore point");
}
