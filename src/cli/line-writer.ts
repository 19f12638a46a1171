// Our lines on a standard stream that we share with the app, and that somebody reads, or has stopped to read, or
// has closed. Never waits, never throws, and never changes the stream for the app.

import { constants, fstatSync, openSync, writeSync } from "node:fs";
import { systemCode } from "../base/errors.ts";

export type LineWriter = {
  readonly write: (line: string) => void;
  /** Writes what is queued, as far as that is possible within `ms` milliseconds. Blocks. */
  readonly flush: (ms: number) => void;
};

/** Longest queue of what nobody reads yet, in bytes: some 1000 lines. What comes then is dropped, and counted. */
const MAX_QUEUE_SIZE = 128 * 1024;

/** Between two tries to write on, in milliseconds. */
const RETRY_MS = 50;

export function createLineWriter({
  fd: shared,
  describeDropped,
}: {
  /** Descriptor of the stream. */
  readonly fd: number;
  /** The line that tells how many were dropped. */
  readonly describeDropped: (count: number) => string;
}): LineWriter {
  const fd = openApart(shared);
  let queue: Uint8Array[] = [];
  let queuedBytes = 0;
  let dropped = 0;
  let isBroken = false;
  let timer: NodeJS.Timeout | undefined;

  function enqueue(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    queue.push(bytes);
    queuedBytes += bytes.length;
  }

  /** Writes as much as the stream takes now. */
  function drain(): void {
    for (let bytes = queue[0]; bytes !== undefined; bytes = queue[0]) {
      const written = writeSome(fd, bytes);
      if (written === "broken") {
        isBroken = true;
        queue = [];
        return;
      }
      queuedBytes -= written;
      if (written < bytes.length) {
        queue[0] = bytes.subarray(written);
        return;
      }
      queue.shift();
      if (dropped > 0 && queue.length === 0) {
        enqueue(describeDropped(dropped));
        dropped = 0;
      }
    }
  }

  function drainLater(): void {
    if (queue.length === 0 || timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      drain();
      drainLater();
    }, RETRY_MS);
    timer.unref(); // a reader that never comes back must not keep us from ending
  }

  return {
    write(line) {
      if (isBroken) return;
      if (queuedBytes >= MAX_QUEUE_SIZE) dropped += 1;
      else enqueue(line);
      if (timer === undefined) drain();
      drainLater();
    },
    flush(ms) {
      drain();
      for (let waitedMs = 0; queue.length > 0 && waitedMs < ms; waitedMs++) {
        pause(1);
        drain();
      }
    },
  };
}

/**
 * The same pipe or terminal, opened anew: whether a write may wait belongs to the open stream and not to the
 * descriptor, and the app, which has the same stream, is not to find its own writes refused. A file needs no such
 * thing, and has a position that is shared; a socket can't be opened.
 */
function openApart(shared: number): number {
  try {
    const stats = fstatSync(shared);
    if (!stats.isFIFO() && !stats.isCharacterDevice()) return shared;
    return openSync(`/proc/self/fd/${shared}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return shared;
  }
}

/** How many of the bytes the stream took; "broken" where it takes no more for good. */
function writeSome(fd: number, bytes: Uint8Array): number | "broken" {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    return systemCode(error) === "EAGAIN" ? 0 : "broken";
  }
}

/** All of a text, to its end, as the output of a command is written: waits for its reader. Gives false where that is gone. */
export function writeAll(fd: number, text: string): boolean {
  let bytes: Uint8Array = Buffer.from(text);
  while (bytes.length > 0) {
    const written = writeSome(fd, bytes);
    if (written === "broken") return false;
    if (written === 0) pause(1);
    bytes = bytes.subarray(written);
  }
  return true;
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
