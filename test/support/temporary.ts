// A directory of a test's own, gone when the test is over.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function temporaryDirectory(parent = tmpdir()): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(parent, "flysqlite-test-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
