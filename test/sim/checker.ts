// Restores from the bucket, as a new machine would, and holds what comes out to what was shipped there.

import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { FlysqliteError } from "../../src/base/errors.ts";
import { planRestore, type RestoreTarget } from "../../src/replica/ltx/plan.ts";
import { formatTxid, NO_TXID, type Txid } from "../../src/replica/ltx/txid.ts";
import type { Driver } from "../../src/sqlite/driver.ts";
import type { ObjectStore } from "../../src/storage/store.ts";
import { listFiles, restoreFiles } from "../support/replica.ts";
import type { History, StateNumber } from "./history.ts";
import { imageHash } from "./image-hash.ts";
import { Violation } from "./violation.ts";

export type Checker = {
  /** The newest state, which must not be older than that of transaction `acked`; undefined where there is none. */
  newest(acked: Txid): Promise<StateNumber | undefined>;
  /** The state after a transaction; undefined where the bucket keeps it only within a file of several. */
  after(txid: Txid): Promise<StateNumber | undefined>;
  /** All transactions that have a file of their own. */
  transactions(): Promise<readonly Txid[]>;
};

export function createChecker({
  store,
  history,
  driver,
  directory,
}: {
  /** The bucket itself, without a network before it. */
  readonly store: ObjectStore;
  readonly history: History;
  readonly driver: Driver;
  /** Where to restore to. */
  readonly directory: string;
}): Checker {
  /** Gives which state it is. */
  async function restore(target: RestoreTarget): Promise<{ readonly txid: Txid; readonly state: StateNumber }> {
    const path = join(directory, "restored.db");
    try {
      const files = planRestore(await listFiles(store), target);
      const { position } = await restoreFiles({ store, files, target: path, driver, integrity: "none" });
      if (position.format !== "ltx") throw new Violation(`the bucket holds files of ${position.format}`);
      return { txid: position.txid, state: identify(position.txid, imageHash(readFileSync(path))) };
    } finally {
      rmSync(path, { force: true });
    }
  }

  function identify(txid: Txid, hash: string): StateNumber {
    const shipped = history.shippedIn(txid);
    for (const states of shipped) {
      const state = history.find(hash, states);
      if (state !== undefined) return state;
    }
    const other = history.find(hash) ?? "that never was";
    const expected = shipped.map(({ least, most }) => (least === most ? least : `${least} to ${most}`)).join(", ");
    throw new Violation(`transaction ${formatTxid(txid)} restores to state ${other}, not to ${expected}`);
  }

  return {
    async newest(acked) {
      if ((await listFiles(store)).length === 0) {
        if (acked > NO_TXID) throw new Violation(`transaction ${formatTxid(acked)} was in the bucket, which is empty`);
        return undefined;
      }
      try {
        const { txid, state } = await restore({ kind: "latest" });
        if (txid >= acked) return state;
        throw new Violation(`a restore ends at ${formatTxid(txid)}, and ${formatTxid(acked)} was in the bucket`);
      } catch (error) {
        if (error instanceof FlysqliteError) throw new Violation(`no restore: ${error.code} ${error.message}`);
        throw error;
      }
    },

    async after(txid) {
      try {
        return (await restore({ kind: "txid", txid })).state;
      } catch (error) {
        if (!(error instanceof FlysqliteError)) throw error;
        if (error.code === "E_REPLICA_GAP") return undefined;
        throw new Violation(`no restore of transaction ${formatTxid(txid)}: ${error.code} ${error.message}`);
      }
    },

    async transactions() {
      return (await listFiles(store)).filter(({ min, max }) => min === max).map(({ max }) => max);
    },
  };
}
