// A point that a database can be put back to, whatever is done to it meanwhile, and mostly without a copy.
//
// In WAL mode the state at some moment is the database file plus the log up to some frame, as long as a reader holds
// that moment: no checkpoint passes it, the log does not restart, and no close deletes it. To put the state back,
// when nobody has the database open, the log is cut behind that frame. Where the log was checkpointed to its end, the
// state is the database file alone: no checkpoint gets past a reader there, and to put it back the log goes.
//
// Without the reader, as after a power cut, the point is good as long as nobody checkpointed: the frame and the
// database file must still be what they were. sqlite/README.md tells what SQLite does.
// Source: https://sqlite.org/fileformat2.html#the_write_ahead_log, https://sqlite.org/wal.html

import { closeSync, existsSync, fdatasyncSync, fstatSync, fsyncSync, openSync, readSync, statSync } from "node:fs";
import { link, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "../base/durable-file.ts";
import { FlysqliteError, systemCode } from "../base/errors.ts";
import type { FileStamp } from "./attached.ts";
import type { Connection, Driver } from "./driver.ts";
import {
  decodeFrameHeader,
  FRAME_HEADER_SIZE,
  type FrameHeader,
  frameOffset,
  type Salts,
  sameSalts,
  type WalChecksum,
} from "./wal/format.ts";
import { readWalHeader } from "./wal/read.ts";

export type RestorePoint =
  /** The state is the file, and the log up to and including frame `frames`. */
  | {
      readonly kind: "log";
      readonly pageSize: number;
      readonly frames: number;
      readonly salts: Salts;
      /** The running checksum after that frame. */
      readonly checksum: WalChecksum;
      readonly file: FileStamp;
    }
  /** The state is the file alone. */
  | { readonly kind: "file"; readonly file: FileStamp }
  /** The state is a copy of the file, at this path on the same file system. */
  | { readonly kind: "copy"; readonly path: string };

export type HeldPoint = Disposable & { readonly point: Exclude<RestorePoint, { kind: "copy" }> };

/** How often a point is looked for while commits get in between. */
const TRIES = 20;

/** How long a busy database is waited for, in milliseconds. */
const BUSY_TIMEOUT_MS = 5000;

/**
 * Holds the state of a database in WAL mode until it is disposed of. What the point needs is durable when this is back,
 * so that it survives a power cut once it is written down.
 */
export function holdRestorePoint(path: string, driver: Driver): HeldPoint {
  // Never closed, as that would drop the locks of all connections of this process: sqlite/README.md, rule 7.
  const file = openSync(path, "r");
  for (let tries = 0; tries < TRIES; tries += 1) {
    // Read-only: the last connection to close checkpoints, but for one that can't write.
    const reader = driver.open(path, { readOnly: true, busyTimeoutMs: BUSY_TIMEOUT_MS });
    try {
      const before = readLogEnd(path, driver);
      reader.exec("BEGIN");
      reader.all("SELECT 1 FROM sqlite_schema LIMIT 1"); // BEGIN alone takes no snapshot
      const after = readLogEnd(path, driver);
      if (sameEnd(before, after)) {
        fsyncSync(file); // with its time of change, which only the whole of fsync() makes durable
        return { point: { ...after, file: stampOf(file) }, [Symbol.dispose]: () => reader.close() };
      }
    } catch (error) {
      reader.close();
      throw error;
    }
    reader.close();
  }
  throw new FlysqliteError("E_MIGRATE", `Cannot hold "${path}" as it is: another process keeps writing to it`);
}

type LogEnd = Omit<Extract<RestorePoint, { kind: "log" }>, "file"> | { readonly kind: "file" };

/** Where the log ends, durably; "file" where it has nothing that the database file lacks. */
function readLogEnd(path: string, driver: Driver): LogEnd {
  using control = driver.open(path, { readOnly: true, busyTimeoutMs: BUSY_TIMEOUT_MS });
  const mode = control.all("PRAGMA journal_mode")[0]?.["journal_mode"];
  if (mode !== "wal") throw new FlysqliteError("E_INTERNAL", `a restore point needs WAL mode, not "${String(mode)}"`);
  const row = control.all("PRAGMA wal_checkpoint(NOOP)")[0];
  const frames = Number(row?.["log"]);
  if (frames === Number(row?.["checkpointed"])) return { kind: "file" };
  const log = openSync(`${path}-wal`, "r"); // the log carries no locks, so it may be opened and closed
  try {
    fdatasyncSync(log);
    const header = readWalHeader(log);
    const last = header && readFrameHeader(log, { frame: frames, pageSize: header.pageSize });
    if (header === undefined || last === undefined || !sameSalts(last.salts, header.salts)) {
      throw new FlysqliteError("E_DB_INVALID", `Cannot read "${path}-wal": it does not have frame ${frames}`);
    }
    const { pageSize, salts } = header;
    return { kind: "log", pageSize, frames, salts, checksum: last.checksum };
  } finally {
    closeSync(log);
  }
}

function sameEnd(a: LogEnd, b: LogEnd): boolean {
  if (a.kind === "file" || b.kind === "file") return a.kind === b.kind;
  return a.frames === b.frames && sameSalts(a.salts, b.salts);
}

/**
 * Keeps everybody else off a database. The process must then end without closing the connection: being the last, it
 * would checkpoint. Throws SQLITE_BUSY where another process has the database open in WAL mode, or uses it otherwise.
 */
export function openAlone(
  path: string,
  driver: Driver,
  { busyTimeoutMs }: { readonly busyTimeoutMs: number },
): Connection {
  const connection = openForGood(path, driver, { busyTimeoutMs });
  connection.exec("PRAGMA main.locking_mode=EXCLUSIVE");
  connection.exec("BEGIN EXCLUSIVE");
  connection.exec("ROLLBACK"); // the lock stays
  return connection;
}

/** Opens a connection that stays open as long as the process lives: being the last to close, it would checkpoint. */
export function openForGood(path: string, driver: Driver, options: { readonly busyTimeoutMs: number }): Connection {
  const connection = driver.open(path, options);
  neverClosed.push(connection);
  return connection;
}

/** A connection that is collected as garbage would be closed. */
const neverClosed: Connection[] = [];

/**
 * Why a database can't be put back to a point any more; undefined where it can.
 *
 * `held` says that the point was held all the while: then it is good, and the log alone is looked at.
 */
export function whyLost(path: string, point: RestorePoint, { held }: { readonly held: boolean }): string | undefined {
  if (point.kind === "copy") return undefined; // where the copy is gone, it took the database's place already
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return "the database is gone";
  const sameFile = stats.size === point.file.sizeBytes && stats.mtimeMs === point.file.modifiedMs;
  if (!held && !sameFile) return "something has written to the database since";
  return point.kind === "log" ? whyLogLost(path, point) : undefined;
}

function whyLogLost(path: string, point: Extract<RestorePoint, { kind: "log" }>): string | undefined {
  let log: number;
  try {
    log = openSync(`${path}-wal`, "r");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return "something has emptied the database's log since";
    throw error;
  }
  try {
    const header = readWalHeader(log);
    const last = readFrameHeader(log, { frame: point.frames, pageSize: point.pageSize });
    const isThere =
      header !== undefined &&
      last !== undefined &&
      header.pageSize === point.pageSize &&
      sameSalts(header.salts, point.salts) &&
      sameSalts(last.salts, point.salts) &&
      last.checksum[0] === point.checksum[0] &&
      last.checksum[1] === point.checksum[1];
    return isThere ? undefined : "something has begun the database's log anew since";
  } finally {
    closeSync(log);
  }
}

/**
 * Puts a database back, which nobody may have open but by `openAlone`, after `whyLost` had nothing to say. A crash on
 * the way leaves something that putting back again brings to the same end.
 *
 * A copy can't tell whether somebody used the database since. With `aside` what it takes the place of is kept there.
 */
export async function putBack(path: string, point: RestorePoint, aside?: string): Promise<void> {
  if (point.kind === "copy") return putCopyBack(path, point.path, aside);
  if (point.kind === "log") {
    await using log = await open(`${path}-wal`, "r+");
    await log.truncate(frameOffset(point.frames + 1, point.pageSize));
    await log.sync();
  } else {
    await rm(`${path}-wal`, { force: true });
  }
  await rm(`${path}-shm`, { force: true }); // it still counts the frames that are gone
  await syncDirectory(dirname(path));
}

async function putCopyBack(path: string, copy: string, aside: string | undefined): Promise<void> {
  if (!existsSync(copy)) return; // it took the database's place already
  if (aside !== undefined && !existsSync(aside)) await link(path, aside);
  for (const suffix of ["-wal", "-journal", "-shm"]) {
    const side = `${path}${suffix}`;
    if (aside !== undefined && suffix !== "-shm" && existsSync(side)) await rename(side, `${aside}${suffix}`);
    else await rm(side, { force: true });
  }
  await syncDirectory(dirname(path)); // a log beside the copy would be replayed into it
  await rename(copy, path);
  await syncDirectory(dirname(path));
  await syncDirectory(dirname(copy));
}

function readFrameHeader(
  log: number,
  { frame, pageSize }: { readonly frame: number; readonly pageSize: number },
): FrameHeader | undefined {
  const bytes = new Uint8Array(FRAME_HEADER_SIZE);
  if (readSync(log, bytes, 0, FRAME_HEADER_SIZE, frameOffset(frame, pageSize)) < FRAME_HEADER_SIZE) return undefined;
  return decodeFrameHeader(new DataView(bytes.buffer), 0);
}

function stampOf(file: number): FileStamp {
  const { size, mtimeMs } = fstatSync(file);
  return { sizeBytes: size, modifiedMs: mtimeMs };
}
