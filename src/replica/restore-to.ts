// Restores a database to any point that a replica holds, of either format: the file appears at its place whole,
// verified and durable, or not at all.

import { lstat, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Clock } from "../base/context.ts";
import { syncDirectory } from "../base/durable-file.ts";
import { describe, FlysqliteError, systemCode } from "../base/errors.ts";
import type { Driver } from "../sqlite/driver.ts";
import { findDamage } from "../sqlite/integrity.ts";
import type { PageSize } from "../sqlite/page.ts";
import type { ObjectStore } from "../storage/store.ts";
import { type DownloadOptions, Vanished } from "./downloads.ts";
import { createImage, type Image, openImage } from "./image.ts";
import { applyLtx, type LtxApplied } from "./ltx/apply.ts";
import type { LtxFileInfo } from "./ltx/names.ts";
import type { Txid } from "./ltx/txid.ts";
import { formatPlace, type WalOffset } from "./v03/names.ts";
import type { V03Plan } from "./v03/plan.ts";
import { applyV03, LogCut, type V03Position } from "./v03/restore.ts";
import { SnapshotAhead } from "./v03/snapshot-ahead.ts";

export type RestorePlan =
  /** Files as planRestore() gives them. */
  | { readonly format: "ltx"; readonly files: readonly LtxFileInfo[] }
  | { readonly format: "v03"; readonly plan: V03Plan };

/** Which state a database is in, in the words of the replica's format. */
export type RestoredPosition =
  | { readonly format: "ltx"; readonly txid: Txid }
  | ({ readonly format: "v03" } & V03Position);

export type RestoredDatabase = {
  readonly position: RestoredPosition;
  readonly pageSize: PageSize;
  readonly pageCount: number;
  /** Number of objects that were read. */
  readonly fileCount: number;
  /** Size of the database, in bytes. */
  readonly sizeBytes: number;
  /** Time of the last write to it, in milliseconds since the Unix epoch. */
  readonly modifiedMs: number;
  /** What the user should know: sentences without a full stop. */
  readonly notes: readonly string[];
  /** New names of files that lay beside the target and belonged to an earlier database. */
  readonly movedAside: readonly string[];
};

/** SQLite's own check of the finished database: PRAGMA integrity_check, quick_check, or none. */
export type Integrity = "full" | "quick" | "none";

export type RestoreProgress = {
  /** Bytes of the replica that were read, and that are to be read, compressed. */
  readonly doneBytes: number;
  readonly totalBytes: number;
};

export type RestoreToOptions = {
  readonly store: ObjectStore;
  readonly plan: RestorePlan;
  /** Path of the database, where no file may be yet, unless `replaces` says so. */
  readonly target: string;
  readonly driver: Driver;
  readonly clock: Pick<Clock, "now">;
  readonly signal: AbortSignal;
  readonly integrity: Integrity;
  /** A database that is there is moved aside, with its log, once the new one is checked: as "<target>.stale-<time>". */
  readonly replaces?: boolean;
  /**
   * Called when all is checked, before the file gets its name. Where this or what comes after it fails, no database
   * is left at the target: what was there stays aside.
   */
  readonly verified?: (restored: RestoredDatabase) => Promise<void>;
  readonly progress?: (progress: RestoreProgress) => void;
  /** Makes the plan anew, from a new listing, when an object of the old one is gone. */
  readonly replan?: () => Promise<RestorePlan>;
  readonly parallelDownloads?: number;
  /** Most bytes that are fetched ahead. */
  readonly bufferBytes?: number;
};

/** How often a plan is made anew. Retention runs in hours, a restore in minutes: a third time is someone's doing. */
const MAX_NEW_PLANS = 3;

/** Files that SQLite keeps beside a database. One that belongs to another database would be played back into it. */
const SIDE_FILE_SUFFIXES = ["-wal", "-shm", "-journal"] as const;

/**
 * Restores to `target`. Verified are all checksums of both formats, that nothing is missing between the objects, the
 * database's header, and what `integrity` says.
 *
 * Fails with E_REPLICA_CORRUPT, E_REPLICA_GAP, E_RESTORE_SPACE, with E_USAGE where `target` is taken, as the store
 * does, or with the signal's reason; the directory is then as it was, unless `verified` was called.
 */
export async function restoreTo(options: RestoreToOptions): Promise<RestoredDatabase> {
  const { target, driver, signal, integrity, verified, replaces = false } = options;
  if (!replaces) await requireAbsent(target);
  const temporary = join(dirname(target), `.${basename(target)}.restoring`);
  try {
    const built = await build(temporary, options);
    signal.throwIfAborted();
    if (integrity !== "none") checkDatabase(temporary, { driver, integrity });
    const { mtimeMs } = await stat(temporary);
    signal.throwIfAborted();
    await using aside = await moveAside(target, { clock: options.clock, replaces });
    const restored = { ...built, modifiedMs: mtimeMs, movedAside: aside.paths };
    if (verified !== undefined) {
      // From here on the volume may know the new database, whatever fails: under its name the old one would pass for it.
      aside.keep();
      await verified(restored);
    }
    await requireAbsent(target);
    await rename(temporary, target);
    aside.keep();
    await syncDirectory(dirname(target));
    return restored;
  } catch (error) {
    throw asRestoreFailure(error, target);
  } finally {
    await removeImage(temporary);
  }
}

/**
 * Brings a restored database, which nobody has open, from one transaction to a later one: `files` lead there, as
 * planContinuation() gives them. Fails as restoreTo() does; the database is of no use then.
 */
export async function continueTo(
  { path, ...before }: { readonly path: string; readonly pageSize: PageSize; readonly pageCount: number },
  files: readonly LtxFileInfo[],
  downloads: Pick<DownloadOptions, "store" | "signal">,
): Promise<LtxApplied> {
  await using image = await openImage(path);
  const applied = await applyLtx({ files, image, before, ...downloads });
  await image.drain();
  return applied;
}

type Built = Omit<RestoredDatabase, "modifiedMs" | "movedAside">;

/** Builds the database at `temporary`, by another plan where the first one fails for a reason that may pass. */
async function build(temporary: string, options: RestoreToOptions): Promise<Built> {
  const { replan } = options;
  let { plan } = options;
  for (let newPlans = 0; ; ) {
    await removeImage(temporary);
    try {
      return await buildOnce(temporary, plan, options);
    } catch (error) {
      if (error instanceof SnapshotAhead && plan.format === "v03" && plan.plan.earlier !== undefined) {
        plan = { format: "v03", plan: { ...plan.plan.earlier, notes: plan.plan.notes } };
      } else if (error instanceof LogCut && error.until !== undefined && plan.format === "v03") {
        if (plan.plan.until !== undefined) throw error;
        plan = { format: "v03", plan: cutAt(plan.plan, error.until) };
      } else if (error instanceof Vanished && replan !== undefined && newPlans < MAX_NEW_PLANS) {
        newPlans += 1;
        plan = await replan();
      } else {
        throw error;
      }
    }
  }
}

/** The plan for a log that ends within a transaction: it is read up to `until`, the end of the one before. */
function cutAt(plan: V03Plan, until: WalOffset): V03Plan {
  const last = plan.segments.at(-1);
  if (plan.behind.length > 0 || last === undefined) return { ...plan, until };
  const note = `The rest of the last transaction was not uploaded: restored is the one before, up to ${formatPlace({ index: last.index, offset: until })}`;
  return { ...plan, until, notes: [...plan.notes, note] };
}

async function buildOnce(
  temporary: string,
  plan: RestorePlan,
  { store, signal, parallelDownloads, bufferBytes, progress }: RestoreToOptions,
): Promise<Built> {
  const objects = plan.format === "ltx" ? plan.files : [plan.plan.snapshot, ...plan.plan.segments];
  const totalBytes = objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBytes = 0;
  const onBytes = (bytes: number) => {
    doneBytes += bytes;
    progress?.({ doneBytes, totalBytes });
  };
  await using image = await createImage(temporary);
  const downloads = { store, signal, parallelDownloads, bufferBytes, onBytes };
  const { position, pageSize, pageCount, notes } = await apply(plan, image, downloads);
  await image.sync();
  image.checkHeader({ pageSize, pageCount });
  return { position, pageSize, pageCount, fileCount: objects.length, sizeBytes: pageCount * pageSize, notes };
}

async function apply(plan: RestorePlan, image: Image, downloads: DownloadOptions) {
  if (plan.format === "v03") {
    const { position, notes, ...size } = await applyV03({ plan: plan.plan, image, ...downloads });
    return { position: { format: "v03", ...position } as const, notes: [...plan.plan.notes, ...notes], ...size };
  }
  const { txid, ...size } = await applyLtx({ files: plan.files, image, ...downloads });
  return { position: { format: "ltx", txid } as const, notes: [], ...size };
}

function checkDatabase(
  path: string,
  { driver, integrity }: { readonly driver: Driver; readonly integrity: Exclude<Integrity, "none"> },
): void {
  const pragma = integrity === "full" ? "integrity_check" : "quick_check";
  using connection = driver.open(path, { busyTimeoutMs: 0 });
  connection.exec("PRAGMA locking_mode=EXCLUSIVE"); // spares the -shm file
  const damage = findDamage(connection, pragma);
  if (damage.length === 0) return;
  throw new FlysqliteError(
    "E_REPLICA_CORRUPT",
    `Cannot use the restored database: SQLite's ${pragma} finds it damaged`,
    { problems: damage },
  );
}

async function requireAbsent(target: string): Promise<void> {
  if (!(await exists(target))) return;
  throw new FlysqliteError("E_USAGE", `Cannot restore to "${target}": a file is there`, {
    hint: "Name another path, or move the file out of the way",
  });
}

/**
 * Gives other names to files that SQLite would take for the new database's own, and to a database that it replaces.
 * Unless keep() is called, they get their names back in the end.
 */
async function moveAside(
  target: string,
  { clock, replaces }: { readonly clock: Pick<Clock, "now">; readonly replaces: boolean },
) {
  const time = new Date(clock.now()).toISOString().replace(/[-:]/g, "").replace(/\..*/, "Z");
  const stale = await freeName(`${target}.stale-${time}`);
  // The database goes first: never does it stand there without its log, as an older state of itself. Beside it under
  // its new name, the log is still its own.
  const names = ["", ...SIDE_FILE_SUFFIXES].map((suffix) => ({
    from: `${target}${suffix}`,
    to: replaces ? `${stale}${suffix}` : `${target}${suffix}.orphan-${time}`,
  }));
  const moved: { readonly from: string; readonly to: string }[] = [];
  let isKept = false;
  const dispose = async () => {
    if (isKept) return;
    for (const { from, to } of moved.toReversed()) await rename(to, from);
  };
  try {
    for (const { from, to } of replaces ? names : names.slice(1)) {
      if (!(await exists(from))) continue;
      await rename(from, to);
      moved.push({ from, to });
    }
    if (moved.length > 0) await syncDirectory(dirname(target)); // before the database has its name
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    paths: moved.map(({ to }) => to),
    keep() {
      isKept = true;
    },
    [Symbol.asyncDispose]: dispose,
  };
}

async function freeName(name: string): Promise<string> {
  for (let number = 1; ; number += 1) {
    const free = number === 1 ? name : `${name}-${number}`;
    if (!(await exists(free))) return free;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}

async function removeImage(temporary: string): Promise<void> {
  for (const suffix of ["", ...SIDE_FILE_SUFFIXES]) await rm(`${temporary}${suffix}`, { force: true });
}

function asRestoreFailure(error: unknown, target: string): unknown {
  const code = systemCode(error);
  if (code !== "ENOSPC" && code !== "EDQUOT" && code !== "EIO") return error;
  return new FlysqliteError("E_RESTORE_SPACE", `Cannot restore to "${target}": ${describe(error)}`, { cause: error });
}
