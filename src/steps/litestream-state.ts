// Litestream's own state beside a database, read to tell whether it was Litestream that replicated it before.
// Source: Litestream 0.3 and 0.5, the meta directory

import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { readIfPresent } from "../base/durable-file.ts";
import { systemCode } from "../base/errors.ts";
import type { LitestreamState } from "../plan/facts.ts";
import { parseLtxName } from "../replica/ltx/names.ts";
import { NO_TXID } from "../replica/ltx/txid.ts";
import { parseGeneration } from "../replica/v03/names.ts";

/** The state, or undefined where there is none. */
export async function readLitestreamState(databasePath: string): Promise<LitestreamState | undefined> {
  const directory = join(dirname(databasePath), `.${basename(databasePath)}-litestream`);
  const generation = parseGeneration((await readIfPresent(join(directory, "generation")))?.trim() ?? "");
  let lastTxid = NO_TXID;
  for (const name of await namesIn(join(directory, "ltx/0"))) {
    const max = parseLtxName(name)?.max;
    if (max !== undefined && max > lastTxid) lastTxid = max;
  }
  return generation === undefined && lastTxid === NO_TXID ? undefined : { generation, lastTxid };
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}
