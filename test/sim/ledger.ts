// What was said to be in the bucket, and what it was seen to hold. All of it must lie on one line: whatever machine said
// it, nothing that counts as replicated is ever lost, and no two machines' states are mixed.

import { formatTxid, NO_TXID, type Txid } from "../../src/replica/ltx/txid.ts";
import type { History, StateNumber, States } from "./history.ts";
import { Violation } from "./violation.ts";

export type Ledger = ReturnType<typeof createLedger>;

type Acknowledged = { readonly txid: Txid; readonly states: readonly States[]; readonly machine: string };

export function createLedger({ leadsTo }: Pick<History, "leadsTo">) {
  /** Those that were not yet found to lead to what the bucket has, and the newest. */
  let acknowledged: readonly Acknowledged[] = [];
  let newest: Txid = NO_TXID;
  let seen: StateNumber | undefined;

  /** Holds a state to all that was acknowledged. */
  function requireAll(state: StateNumber, where: string): void {
    for (const { txid, states, machine } of acknowledged) {
      if (states.some(({ least }) => leadsTo(least, state))) continue;
      throw new Violation(`machine ${machine} had transaction ${formatTxid(txid)} replicated, and ${where} lacks it`);
    }
  }

  return {
    /** The last transaction that any machine knew to be in the bucket. */
    get newest(): Txid {
      return newest;
    },

    /** A machine says that the bucket holds the transaction, which is one of these. */
    acknowledge(acknowledgement: Acknowledged): void {
      acknowledged = [...acknowledged, acknowledgement];
      if (acknowledgement.txid > newest) newest = acknowledgement.txid;
    },

    /** The bucket was found to restore to this. */
    sees(state: StateNumber): void {
      requireAll(state, `the bucket, which has state ${state},`);
      if (seen !== undefined && !leadsTo(seen, state)) {
        throw new Violation(`the bucket had state ${seen}, and has state ${state}, which does not follow from it`);
      }
      seen = state;
      acknowledged = acknowledged.filter(({ txid }) => txid === newest);
    },

    /** An app goes on with this. */
    opens(state: StateNumber, machine: string): void {
      requireAll(state, `state ${state}, with which machine ${machine} goes on,`);
    },
  };
}
