// The rule that keeps POSIX locks whole: one process opens databases with one SQLite library only. When a process
// closes any descriptor of a file, all its locks on that file are gone, and a second library can't know.
// Source: https://sqlite.org/howtocorrupt.html, section 2.2.1 "Multiple copies of SQLite linked into the same application"

import { assert } from "../base/assert.ts";
import type { Driver } from "./driver.ts";

let library: Driver["name"] | undefined;

/** Called before a database is opened. Crashes where the other library came first: that is a defect of ours. */
export function claimProcess(name: Driver["name"]): void {
  library ??= name;
  assert(library === name, `Databases of this process are opened with ${library}; ${name} must not open one too`);
}
