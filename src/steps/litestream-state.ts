// Litestream's own state beside a database, read to tell whether it was Litestream that replicated it before.
// Source: Litestream 0.3 and 0.5, the meta directory

import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { readIfPresent } from "../base/durable-file.ts";
import { systemCode } from "../base/errors.ts";
import type { LitestreamState } from "../plan/facts.ts";
import { parseLtxName } from "../replica/ltx/names.ts";
import { NO_TXID } from "../replica/ltx/txid.ts";
import { parseGeneration } from "../replica/v03/names.ts";

/** The state, or undefined where there is none. */
export function readLitestreamState(databasePath: string): LitestreamState | undefined {
  const directory = join(dirname(databasePath), `.${basename(databasePath)}-litestream`);
  const generation = parseGeneration(readIfPresent(join(directory, "generation"))?.trim() ?? "");
  let lastTxid = NO_TXID;
  for (const name of namesIn(join(directory, "ltx/0"))) {
    const max = parseLtxName(name)?.max;
    if (max !== undefined && max > lastTxid) lastTxid = max;
  }
  return generation === undefined && lastTxid === NO_TXID ? undefined : { generation, lastTxid };
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}
