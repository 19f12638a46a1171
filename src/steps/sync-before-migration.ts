// Before a database that has data is migrated, its replica has all of it, and says where.

import { basename } from "node:path";
import { info } from "../base/events.ts";
import { formatDuration } from "../base/format.ts";
import { formatTxid } from "../replica/ltx/txid.ts";
import { notePoint } from "../replica/migration-points.ts";
import type { Replicator } from "../replica/replicator.ts";
import type { StepContext } from "./context.ts";

/**
 * Ships what is committed, and notes the transaction after which the migrations come, for
 * `flysqlite restore --before-migration`. Says which it is. Fails where the replica can't be reached: nothing was migrated then.
 */
export async function syncBeforeMigration(
  {
    replicator,
    path,
    names,
  }: { readonly replicator: Replicator; readonly path: string; readonly names: readonly string[] },
  { clock, log, signal, ...context }: StepContext,
): Promise<string | undefined> {
  const configured = await context.replica(basename(path));
  if (configured === undefined) return undefined;
  const { store } = configured;
  const startedMs = clock.monotonic();
  await replicator.sync({ signal });
  const txid = replicator.lastTxid;
  if (names.length > 0) await notePoint(store, { txid, migrations: names, timeMs: clock.now() }, { signal });
  const took = formatDuration(clock.monotonic() - startedMs);
  log(info("migrate", `${store.address} has all up to transaction ${formatTxid(txid)}, in ${took}`));
  return `transaction ${formatTxid(txid)} of ${store.address}`;
}
