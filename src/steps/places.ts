// Names of what flysqlite keeps beside the database, all derived from the database's path.

import { basename, dirname, join } from "node:path";

/** Directory of our own durable facts, mode 0700. */
export function stateDirectory(databasePath: string): string {
  return join(dirname(databasePath), `.${basename(databasePath)}-flysqlite`);
}

/** Stands while a new database is being made: from before its first migration until its seed has succeeded. */
export function unbornMark(databasePath: string): string {
  return join(stateDirectory(databasePath), "unborn");
}

/** Where the keeper answers `status` and `sync`. */
export function controlSocket(databasePath: string): string {
  return join(stateDirectory(databasePath), "control.sock");
}

/** SQLite's side files. Without their database they are a danger: SQLite replays a stale log into a new one. */
export const SIDE_FILE_SUFFIXES = ["-wal", "-shm", "-journal"] as const;
