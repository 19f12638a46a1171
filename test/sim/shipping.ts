// Which state of the database each transaction has to restore to: told by the labels that its keeper comes by, and
// exactly, as nothing happens but at labels.

import type { Txid } from "../../src/replica/ltx/txid.ts";
import type { History, StateNumber, States } from "./history.ts";

export type Shipping = ReturnType<typeof createShipping>;

export function createShipping(history: History) {
  /** What the capture or the copy under way takes: of a capture that must end where a view began, at least that. */
  let seen: States = { least: 0, most: 0 };
  /** Where the view began that is open. */
  let viewed: StateNumber | undefined;
  let isLooking = false;

  return {
    /** True while what happens may still be a part of what is captured. */
    get isLooking(): boolean {
      return isLooking;
    },

    /** Before anything happens at the label. `next` is the transaction that is under way. */
    before(label: string, next: Txid): void {
      if (label === "reader begun" || label === "sealing") viewed = undefined;
      if (label === "snapshot begun") {
        viewed = history.now;
        seen = { least: viewed, most: viewed };
      }
      if (label === "snapshot begun" || label === "page" || label === "staged") isLooking = false;
      if (label === "recorded") history.ships(next, seen);
      if (label === "capture") isLooking = true;
    },

    /** When it has happened. */
    after(): void {
      if (isLooking) seen = { least: viewed ?? history.now, most: history.now };
    },
  };
}
