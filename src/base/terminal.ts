// Whether a stream is a terminal.

import { fstatSync } from "node:fs";
import { isatty } from "node:tty";
import { systemCode } from "./errors.ts";

/** /dev/null and its like. Source: Linux, Documentation/admin-guide/devices.txt */
const MEMORY_DEVICES = 1;

/** True for the descriptor of a terminal. Node's module that knows is loaded for what may be one. */
export function isTerminal(descriptor: number): boolean {
  try {
    const stats = fstatSync(descriptor);
    return stats.isCharacterDevice() && stats.rdev >>> 8 !== MEMORY_DEVICES && isatty(descriptor);
  } catch (error) {
    if (systemCode(error) === "EBADF") return false; // closed
    throw error;
  }
}
