// A replicator of a database in this process, with nothing known before: for replicas that a test or a bench needs.

import { systemClock, systemRandom } from "../../src/base/system.ts";
import { createCatalog } from "../../src/replica/catalog.ts";
import { unguarded } from "../../src/replica/lease/hold.ts";
import { NO_TXID } from "../../src/replica/ltx/txid.ts";
import { createReplicator } from "../../src/replica/replicator.ts";
import { NOTHING_REMEMBERED } from "../../src/replica/state.ts";
import { attach } from "../../src/sqlite/attached.ts";
import type { Driver } from "../../src/sqlite/driver.ts";
import { openFileStore } from "../../src/storage/file.ts";
import type { ObjectStore } from "../../src/storage/store.ts";

/** Takes hold of the database at `path`. The directory is for what waits for the store. */
export async function replicateTo(
  store: ObjectStore,
  { path, stateDirectory, driver }: { readonly path: string; readonly stateDirectory: string; readonly driver: Driver },
) {
  const attached = attach(path, { driver, at: () => {} });
  const { signal } = new AbortController();
  const replicator = await createReplicator({
    attached,
    start: { databaseId: systemRandom.uuid(), lastTxid: NO_TXID, ...NOTHING_REMEMBERED },
    store,
    local: openFileStore(stateDirectory, { random: systemRandom, durable: false }),
    stateDirectory,
    catalog: createCatalog(),
    guard: unguarded,
    clock: systemClock,
    log: () => {},
    at: () => {},
    signal,
  });
  return {
    sync: () => replicator.sync({ signal }),
    snapshot: () => replicator.snapshot({ signal }),
    /** The last connection to close copies the log into the file. */
    [Symbol.dispose]: () => attached.close(),
  };
}
