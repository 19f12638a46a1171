// Whether the volume does what a database and its replication ask of it: room, a disk that writes through, notices of
// changes, and WAL mode, which needs shared memory and locks. All files are in a directory of the caller's.

import { watch } from "node:fs";
import { open, statfs, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Clock } from "../base/context.ts";
import { describe, FlysqliteError } from "../base/errors.ts";
import { formatBytes, formatDuration } from "../base/format.ts";
import type { Driver } from "../sqlite/driver.ts";
import { type Finding, failed, ok, warning } from "./finding.ts";

/**
 * A log of 1000 pages of 4 kB, in bytes: up to there SQLite lets it grow before it empties it. With less room commits
 * soon fail.
 */
const LEAST_FREE_BYTES = 4_096_000;

/** What the log takes of a writer at full speed, in bytes. */
const LOG_BYTES = 64 * 1024 * 1024;

/** Room on a volume, in bytes. */
export type Room = { readonly freeBytes: number; readonly totalBytes: number };

export async function readRoom(path: string): Promise<Room> {
  const { bavail, blocks, bsize } = await statfs(path);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}

/**
 * Judges it. A second copy of the database must fit: a migration holds one to go back to, and so does a restore in
 * place of an old one. Pure.
 */
export function judgeRoom(
  { freeBytes, totalBytes }: Room,
  { databaseBytes }: { readonly databaseBytes: number },
): Finding {
  const text = `${formatBytes(freeBytes)} of ${formatBytes(totalBytes)} are free`;
  const wayOut = "Make the volume larger; on Fly with `fly volumes extend`, or auto_extend_size_* in fly.toml";
  if (freeBytes < LEAST_FREE_BYTES)
    return failed("room", new FlysqliteError("E_VOLUME", `${text}, and commits soon fail`, { hint: wayOut }));
  const wantedBytes = databaseBytes + LOG_BYTES;
  if (freeBytes >= wantedBytes) return ok("room", text);
  return warning("room", `${text}; a copy of the database and its log may take ${formatBytes(wantedBytes)}`, wayOut);
}

/** Writes that are made durable one after the other: as many as show whether a slow one was by chance. */
const SYNCS = 15;

/** From here on, in milliseconds, the disk is told to be slow. Disks of hosts take 1 to 10, a network's 20 and more. */
const SLOW_SYNC_MS = 100;

/** Measures how long the disk takes until a small write is durable. */
export async function measureSync(
  directory: string,
  { clock }: { readonly clock: Pick<Clock, "monotonic"> },
): Promise<readonly number[]> {
  await using file = await open(join(directory, "sync"), "w", 0o600);
  const page = new Uint8Array(4096);
  const tookMs: number[] = [];
  for (let count = 0; count < SYNCS; count += 1) {
    const startedMs = clock.monotonic();
    await file.write(page);
    await file.sync();
    tookMs.push(clock.monotonic() - startedMs);
  }
  return tookMs;
}

/** `tookMs`: one duration for each write. Pure. */
export function judgeSync(tookMs: readonly number[]): Finding {
  const sorted = tookMs.toSorted((a, b) => a - b);
  const [median = 0, worst = 0] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  const text = `4 kB are durable after ${formatDuration(median)}, at worst ${formatDuration(worst)}`;
  if (median < SLOW_SYNC_MS) return ok("disk", text);
  return warning("disk", `${text}: each upload waits for that`, "Use a volume on a local or a faster disk");
}

/** How long a notice may take, in milliseconds. They come within one, where they come at all. */
const NOTICE_MS = 2000;

/** Whether the system tells of changes in a directory (inotify). Without it, commits are found by looking each second. */
export async function probeNotices(
  directory: string,
  { clock, signal, watchDirectory = watch }: NoticeOptions,
): Promise<Finding> {
  const slow = (why: string) =>
    warning(
      "notices",
      `${why}, so commits are found by looking each second`,
      "Use a local file system for the volume; or raise fs.inotify.max_user_watches and max_user_instances",
    );
  const path = join(directory, "noticed");
  const noticed = Promise.withResolvers<boolean>();
  const over = new AbortController();
  let watcher: ReturnType<typeof watch>;
  try {
    watcher = watchDirectory(directory, (_event, name) => {
      if (name === basename(path)) noticed.resolve(true);
    });
  } catch (error) {
    return slow(`the volume can't be watched: ${describe(error)}`);
  }
  try {
    watcher.once("error", () => noticed.resolve(false));
    await writeFile(path, "changed", { mode: 0o600 });
    const late = clock.sleep(NOTICE_MS, { signal: AbortSignal.any([signal, over.signal]) }).then(() => false);
    const isNoticed = await Promise.race([noticed.promise, late]);
    return isNoticed ? ok("notices", "the system tells of changes on the volume (inotify)") : slow("no notice came");
  } finally {
    over.abort();
    watcher.close();
  }
}

export type NoticeOptions = {
  readonly clock: Pick<Clock, "sleep">;
  readonly signal: AbortSignal;
  /** Another way to watch, for tests. */
  readonly watchDirectory?: typeof watch;
};

/** Puts a new database into WAL mode, and reads through one connection what another one wrote. */
export async function probeWalMode(directory: string, driver: Driver): Promise<Finding> {
  const path = join(directory, "probe.db");
  const unusable = (why: string) =>
    failed(
      "WAL mode",
      new FlysqliteError("E_VOLUME", `Cannot use SQLite's WAL mode on the volume: ${why}`, {
        hint: "Use a local file system for the volume: WAL mode needs shared memory and locks, which networks' lack",
      }),
    );
  await writeFile(path, "", { mode: 0o600 });
  try {
    using writer = driver.open(path, { busyTimeoutMs: 0 });
    const mode = writer.all("PRAGMA journal_mode = WAL")[0]?.["journal_mode"];
    if (mode !== "wal") return unusable(`the mode stays "${mode}"`);
    writer.exec("CREATE TABLE probe (n INTEGER); INSERT INTO probe VALUES (7)");
    using reader = driver.open(path, { busyTimeoutMs: 0, readOnly: true });
    const found = reader.all("SELECT n FROM probe")[0]?.["n"];
    if (found !== 7) return unusable("one connection doesn't see what another one wrote");
    return ok("WAL mode", "works on the volume");
  } catch (error) {
    return unusable(describe(error));
  }
}
