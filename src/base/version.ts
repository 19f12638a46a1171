// flysqlite's own version: package.json has it, and the build puts it into the bundle.

import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Put in by build/bundle-program.ts; not there where Node runs the sources. */
declare const FLYSQLITE_VERSION: string | undefined;

/** Such as "0.1.0". */
export const version: string = typeof FLYSQLITE_VERSION === "string" ? FLYSQLITE_VERSION : readPackageVersion();

function readPackageVersion(): string {
  const text = readFileSync(join(import.meta.dirname, "../../package.json"), "utf8");
  const { version: found }: { readonly version?: unknown } = JSON.parse(text);
  return String(found);
}
