// Stands in for node:fs/promises where a database is restored, replica/restore-to.ts: it makes real files, and tells
// the times that the simulation goes by.

import * as real from "node:fs/promises";
import { timeStandingFor } from "./fs.ts";

export const { lstat, rename, rm } = real;

export async function stat(path: string) {
  const found = await real.stat(path);
  return Object.assign(found, { mtimeMs: timeStandingFor(await real.readFile(path)) });
}
