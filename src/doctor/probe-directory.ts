// A directory on the volume for the probes' files, which is gone afterwards.

import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, FlysqliteError } from "../base/errors.ts";

/** Names what a doctor that was killed may leave behind. */
const PREFIX = ".flysqlite-doctor-";

/** Throws E_VOLUME where it can't be made. Disposing removes it with all that is in it. */
export async function makeProbeDirectory(volume: string): Promise<AsyncDisposable & { readonly path: string }> {
  let path: string;
  try {
    path = await mkdtemp(join(volume, PREFIX));
  } catch (error) {
    throw new FlysqliteError("E_VOLUME", `Cannot write to the volume "${volume}": ${describe(error)}`, {
      cause: error,
    });
  }
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
