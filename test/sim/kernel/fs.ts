// Stands in for node:fs where the product holds a database, watches its log, and asks for room on the volume:
// sqlite/attached.ts, replica/follow.ts, replica/staging.ts. The database and its log are real files.

import * as fs from "node:fs";
import { processes } from "../life.ts";
import { kernel } from "./kernel.ts";

export const { readSync, statSync } = fs;

export function openSync(path: string, flags: string): number {
  const file = fs.openSync(path, flags);
  processes.getStore()?.opened(file);
  return file;
}

export function closeSync(file: number): void {
  processes.getStore()?.live();
  fs.closeSync(file);
  processes.getStore()?.closed(file);
}

/**
 * The time of change tells of every change here. The real one is some milliseconds coarse, in which a simulation does
 * what takes an app and a restart seconds.
 */
export function fstatSync(file: number): Pick<fs.Stats, "size" | "mtimeMs" | "ino" | "dev"> {
  const { size, ino, dev } = fs.fstatSync(file);
  const bytes = Buffer.alloc(size);
  fs.readSync(file, bytes, 0, size, 0);
  return { size, ino, dev, mtimeMs: timeStandingFor(bytes) };
}

export function timeStandingFor(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at + 4 <= bytes.byteLength; at += 4) sum = (Math.imul(sum, 31) + bytes.readInt32LE(at)) | 0;
  return sum >>> 0;
}

export function fdatasyncSync(file: number): void {
  const process = processes.getStore();
  process?.live();
  fs.fstatSync(file);
  kernel().logSynced();
}

export function statfsSync(): { readonly bavail: number; readonly bsize: number } {
  return { bavail: kernel().freeBytes(), bsize: 1 };
}

export type FSWatcher = Pick<fs.FSWatcher, "close"> & { on(event: "error", listener: () => void): void };

/** Tells of changes of the log, and only of these. */
export function watch(
  _directory: string,
  _options: { readonly persistent: boolean },
  listener: (event: string, file: string) => void,
): FSWatcher {
  const process = processes.getStore();
  const { watchers, logName } = kernel();
  const change = () => listener("change", logName);
  const tell = () => void (process === undefined ? change() : process.pass(0).then(change));
  watchers.add(tell);
  return { close: () => void watchers.delete(tell), on: () => {} };
}
