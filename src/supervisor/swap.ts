// A swap file, for a machine with little memory and a host that gives it none. Where the host does not allow it, that
// is told, and the start goes on. Source: mkswap(8), swapon(2); the kernel's include/linux/swap.h, union swap_header

import { closeSync, existsSync, openSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { getSystemErrorName } from "node:util";
import { describe } from "../base/errors.ts";
import { info, type Log, warn } from "../base/events.ts";
import { formatBytes } from "../base/format.ts";
import type { LoadedSystemCalls } from "../base/system-calls.ts";

/** Where the generated entrypoint of fly-apps puts it too. */
const SWAP_FILE = "/swapfile";

const PAGE_SIZE = 4096;

/** What a machine with little memory is better off with: swaps late, and lets processes ask for more than there is. */
const KERNEL_SETTINGS = [
  ["/proc/sys/vm/swappiness", "10"],
  ["/proc/sys/vm/overcommit_memory", "1"],
] as const;

export function addSwap({
  sizeBytes,
  loaded: { calls, reasons },
  uuid,
  log,
}: {
  readonly sizeBytes: number;
  readonly loaded: LoadedSystemCalls;
  readonly uuid: string;
  readonly log: Log;
}): void {
  try {
    if (calls === undefined) throw new Error(`koffi could not be loaded by way of ${reasons}`);
    const pageCount = Math.floor(sizeBytes / PAGE_SIZE);
    // One that is there is of an earlier start in the same container.
    const isNew = !existsSync(SWAP_FILE);
    if (isNew) makeFile(pageCount, uuid, calls.allocate);
    const errno = calls.swapOn(SWAP_FILE);
    if (errno !== 0 && errno !== constants.errno.EBUSY) {
      if (isNew) rmSync(SWAP_FILE);
      throw new Error(`swapon "${SWAP_FILE}": ${getSystemErrorName(-errno)}`);
    }
    for (const [path, value] of KERNEL_SETTINGS) writeQuietly(path, value);
    log(info("launch", `swaps to ${SWAP_FILE}, ${formatBytes(statSync(SWAP_FILE).size)}`));
  } catch (error) {
    log(warn("launch", `no swap: ${describe(error)}; on Fly set swap_size_mb in fly.toml`));
  }
}

function makeFile(pageCount: number, uuid: string, allocate: (fd: number, sizeBytes: number) => number): void {
  const file = openSync(SWAP_FILE, "wx+", 0o600);
  try {
    const errno = allocate(file, pageCount * PAGE_SIZE); // a swap file has no holes
    if (errno !== 0) {
      rmSync(SWAP_FILE);
      throw new Error(`fallocate "${SWAP_FILE}": ${getSystemErrorName(-errno)}`);
    }
    writeSync(file, encodeSwapHeader(pageCount, uuid), 0, PAGE_SIZE, 0);
  } finally {
    closeSync(file);
  }
}

/** The first page of a swap file: version, last page, number of bad pages, uuid, and a word at its end. */
export function encodeSwapHeader(pageCount: number, uuid: string): Uint8Array {
  const page = Buffer.alloc(PAGE_SIZE);
  page.writeUInt32LE(1, 1024);
  page.writeUInt32LE(pageCount - 1, 1028);
  page.write(uuid.replaceAll("-", ""), 1036, "hex");
  page.write("SWAPSPACE2", PAGE_SIZE - 10, "latin1");
  return page;
}

function writeQuietly(path: string, value: string): void {
  try {
    writeFileSync(path, value);
  } catch {
    // The host's to decide; the swap is there all the same.
  }
}
