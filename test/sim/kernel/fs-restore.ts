// Stands in for node:fs/promises where a database is restored, replica/restore-to.ts and replica/image.ts: it makes real
// files, which go with their process, and tells the times that the simulation goes by.

import * as real from "node:fs/promises";
import { processes } from "../life.ts";
import { timeStandingFor } from "./fs.ts";

export const { lstat, rename, rm } = real;

export async function stat(path: string) {
  const found = await real.stat(path);
  return Object.assign(found, { mtimeMs: timeStandingFor(await real.readFile(path)) });
}

export async function open(...how: Parameters<typeof real.open>): Promise<real.FileHandle> {
  const file = await real.open(...how);
  processes.getStore()?.holds(file);
  return file;
}
