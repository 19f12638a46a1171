// Lets the probes of a replica in a directory leave no directories behind: made by another user than the app's, they
// would keep the app's own start from writing there.

import { existsSync } from "node:fs";
import { rmdir } from "node:fs/promises";
import { join } from "node:path";

/** Runs `work`, and removes those of the replica's directories that were not there before and are empty. */
export async function withoutTraces<Value>(root: string, work: () => Promise<Value>): Promise<Value> {
  const made = [join(root, "flysqlite"), root].filter((directory) => !existsSync(directory));
  try {
    return await work();
  } finally {
    for (const directory of made) await rmdir(directory).catch(() => {}); // in use by now, or never made
  }
}
