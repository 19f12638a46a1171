// Builds a database file from a replica: every byte verified before the file gets its name.

import assert from "node:assert/strict";
import { fsyncSync, ftruncateSync, readSync, statfsSync, writeSync } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { syncDirectory } from "../base/durable-file.ts";
import { describe, FlysqliteError, systemCode } from "../base/errors.ts";
import type { Driver } from "../sqlite/driver.ts";
import { DATABASE_HEADER_SIZE, decodeDatabaseHeader } from "../sqlite/header.ts";
import { lockPage, type PageNumber, type PageSize } from "../sqlite/page.ts";
import type { ObjectStore } from "../storage/store.ts";
import { decodeLtx } from "./ltx/decode.ts";
import type { LtxFileInfo } from "./ltx/names.ts";
import { PAGE_HEADER_SIZE } from "./ltx/page-frame.ts";
import { planRestore } from "./ltx/plan.ts";
import type { Txid } from "./ltx/txid.ts";

export type Restored = {
  readonly txid: Txid;
  readonly pageCount: number;
  readonly fileCount: number;
  /** Size of the database, in bytes. */
  readonly sizeBytes: number;
  /** Time of the last write to it, in milliseconds since the Unix epoch. */
  readonly modifiedMs: number;
};

/** Left free on the volume after a restore, in bytes: the app needs room for its log. */
const SPACE_MARGIN_BYTES = 16 * 1024 * 1024;

/**
 * Restores the newest state of the replica to `target`, which must not exist. The file appears there whole,
 * verified and durable, or not at all.
 *
 * Verified are each file's checksums and structure, that the files join without a hole, that no page is
 * missing, the database's header, and SQLite's quick_check.
 */
export async function restoreLatest({
  store,
  files,
  target,
  driver,
  signal,
  verified,
}: {
  readonly store: ObjectStore;
  readonly files: readonly LtxFileInfo[];
  readonly target: string;
  readonly driver: Driver;
  readonly signal: AbortSignal;
  /** Called when all is checked, before the file gets its name. */
  readonly verified: (restored: Restored) => Promise<void>;
}): Promise<Restored> {
  const plan = planRestore(files, { kind: "latest" });
  const temporary = join(dirname(target), `.${basename(target)}.restoring`);
  await removeImage(temporary); // a log that a killed restore left would be replayed into the new file
  try {
    const image = await writeImage({ store, plan, temporary, signal });
    checkDatabase(temporary, driver);
    const { mtimeMs } = await stat(temporary);
    const restored = { ...image, fileCount: plan.length, modifiedMs: mtimeMs };
    await verified(restored);
    await rename(temporary, target);
    await syncDirectory(dirname(target));
    return restored;
  } catch (error) {
    throw asRestoreFailure(error, target);
  } finally {
    await removeImage(temporary);
  }
}

async function removeImage(path: string): Promise<void> {
  for (const suffix of ["", "-wal", "-shm", "-journal"]) await rm(`${path}${suffix}`, { force: true });
}

/** Applies the planned files one after the other to a new file. */
async function writeImage({
  store,
  plan,
  temporary,
  signal,
}: {
  readonly store: ObjectStore;
  readonly plan: readonly LtxFileInfo[];
  readonly temporary: string;
  readonly signal: AbortSignal;
}) {
  await using file = await open(temporary, "wx+", 0o600);
  let pageSize: PageSize | undefined;
  let pageCount = 0;
  let txid: Txid | undefined;

  for (const { key, min, max, sizeBytes } of plan) {
    const chunks = await store.get(key, { signal });
    if (chunks === undefined) {
      throw new FlysqliteError(
        "E_REPLICA_GAP",
        `Cannot restore: "${key}" was listed and is gone from "${store.address}"`,
      );
    }
    const before = pageCount;
    let growth: GrowthCheck | undefined;
    const { header } = await decodeLtx(chunks, key, {
      onHeader: (found) => {
        if (found.min !== min || found.max !== max)
          throw corrupt(key, "its header names other transactions than its name");
        if (pageSize !== undefined && found.pageSize !== pageSize) {
          throw corrupt(key, `its pages have ${found.pageSize} bytes, those before it ${pageSize}`);
        }
        pageSize = found.pageSize;
        const newPages = Math.max(0, found.commit - before - 1); // the lock page may be one of them
        if (newPages * PAGE_HEADER_SIZE > sizeBytes) {
          throw corrupt(
            key,
            `its ${sizeBytes} bytes can't hold the ${newPages} pages by which the database grows in it`,
          );
        }
        requireSpace(temporary, Math.max(0, found.commit - before) * pageSize);
        growth = checkGrowth({ from: before, to: found.commit, pageSize });
      },
      onPage: ({ page, data }) => {
        growth?.saw(page);
        writeSync(file.fd, data, 0, data.byteLength, (page - 1) * data.byteLength);
      },
    });
    const missing = growth?.firstMissing();
    if (missing !== undefined) throw corrupt(key, `the database grows in it, and page ${missing} is not there`);
    pageCount = header.commit;
    txid = header.max;
    ftruncateSync(file.fd, pageCount * header.pageSize); // pages above the end are gone, also if it grows again
  }
  assert(pageSize !== undefined && txid !== undefined, "a plan has at least one file");
  fsyncSync(file.fd);
  checkHeader(file.fd, { pageSize, pageCount });
  return { txid, pageCount, sizeBytes: pageCount * pageSize };
}

type GrowthCheck = { saw(page: PageNumber): void; firstMissing(): number | undefined };

/** Where a database grows, all its new pages must be in the file that lets it grow. Pages come in ascending order. */
function checkGrowth({
  from,
  to,
  pageSize,
}: {
  readonly from: number;
  readonly to: number;
  readonly pageSize: PageSize;
}): GrowthCheck {
  const lock = lockPage(pageSize);
  const skipLock = (page: number) => (page === lock ? page + 1 : page);
  let expected = skipLock(from + 1);
  return {
    saw(page) {
      if (page === expected) expected = skipLock(expected + 1);
    },
    firstMissing: () => (expected <= to ? expected : undefined),
  };
}

function requireSpace(path: string, neededBytes: number): void {
  const { bavail, bsize } = statfsSync(dirname(path));
  const freeBytes = bavail * bsize;
  if (freeBytes >= neededBytes + SPACE_MARGIN_BYTES) return;
  throw new FlysqliteError(
    "E_RESTORE_SPACE",
    `Cannot restore to "${dirname(path)}": ${neededBytes} more bytes are needed and ${SPACE_MARGIN_BYTES} to run on, ${freeBytes} are free`,
  );
}

function checkHeader(
  file: number,
  { pageSize, pageCount }: { readonly pageSize: PageSize; readonly pageCount: number },
): void {
  const bytes = new Uint8Array(DATABASE_HEADER_SIZE);
  const length = readSync(file, bytes, 0, bytes.byteLength, 0);
  const header = decodeDatabaseHeader(bytes.subarray(0, length));
  if (typeof header === "string") throw corrupt("the restored database", header);
  if (header.pageSize !== pageSize)
    throw corrupt("the restored database", `its header says pages of ${header.pageSize} bytes`);
  if (header.pageCountIsCurrent && header.pageCount !== pageCount) {
    throw corrupt("the restored database", `its header says ${header.pageCount} pages, the replica ${pageCount}`);
  }
}

function checkDatabase(path: string, driver: Driver): void {
  using connection = driver.open(path, { busyTimeoutMs: 0 });
  connection.exec("PRAGMA locking_mode=EXCLUSIVE"); // spares the -shm file
  const findings = connection.all("PRAGMA quick_check").map((row) => String(row["quick_check"]));
  if (findings.length === 1 && findings[0] === "ok") return;
  throw new FlysqliteError(
    "E_REPLICA_CORRUPT",
    "Cannot use the restored database: SQLite's quick_check finds it damaged",
    {
      problems: findings.slice(0, 5),
    },
  );
}

function corrupt(what: string, problem: string): FlysqliteError {
  return new FlysqliteError("E_REPLICA_CORRUPT", `Cannot restore "${what}": ${problem}`);
}

function asRestoreFailure(error: unknown, target: string): unknown {
  const code = systemCode(error);
  if (code !== "ENOSPC" && code !== "EDQUOT" && code !== "EIO") return error;
  return new FlysqliteError("E_RESTORE_SPACE", `Cannot restore to "${target}": ${describe(error)}`, { cause: error });
}
