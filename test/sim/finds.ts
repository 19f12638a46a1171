// The state that an app finds when it is started: the one that it left, one that a power cut explains, or the one that
// was restored.

import { formatTxid, type Txid } from "../../src/replica/ltx/txid.ts";
import type { History, StateNumber } from "./history.ts";

export function createFinds({
  history,
  machine,
  check,
  fail,
  after,
}: {
  readonly history: History;
  /** Its name. */
  readonly machine: string;
  /** Which state the bucket has. */
  readonly check: () => Promise<StateNumber | undefined>;
  readonly fail: (what: string) => never;
  readonly after: (ms: number, run: () => Promise<void>) => void;
}) {
  return {
    /** On the volume as it was left; after a power cut with what the bucket had at that time. */
    kept(hash: string, cut: { readonly inBucket: StateNumber | undefined } | undefined): StateNumber {
      const state = history.isNow(hash) ? history.now : history.find(hash, { least: 0, most: history.now });
      if (state === undefined) return fail(`the app finds a state that never was: ${history.find(hash)}`);
      if (cut === undefined && state !== history.now) fail(`the app finds state ${state} after ${history.now}`);
      if (cut?.inBucket !== undefined && !history.leadsTo(cut.inBucket, state)) {
        fail(
          `the bucket had state ${cut.inBucket} at the power cut, and the volume of machine ${machine} state ${state}`,
        );
      }
      return state;
    },

    /** From the bucket. A late upload may bring that a state farther meanwhile, and never to another one. */
    restored(hash: string, txid: Txid): StateNumber {
      for (const states of history.shippedIn(txid)) {
        const state = history.find(hash, states);
        if (state === undefined) continue;
        after(0, async () => {
          const inBucket = await check();
          if (inBucket === undefined || !history.leadsTo(state, inBucket)) {
            fail(`state ${state} was restored, and the bucket has state ${inBucket}`);
          }
        });
        return state;
      }
      return fail(`state ${history.find(hash)} was restored, which is not that of transaction ${formatTxid(txid)}`);
    },
  };
}
