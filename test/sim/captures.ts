// Which state of the database a transaction takes, as the labels of the keeper's protocol tell.

import type { Txid } from "../../src/replica/ltx/txid.ts";
import type { History, StateNumber, States } from "./history.ts";

export function createCaptures(history: History) {
  /** The state that the capture under way takes: for one that must end where a view began, at least that one's. */
  let seen: States = { least: 0, most: 0 };
  let viewed: StateNumber | undefined;
  return {
    /** Before anybody does anything at that point; `next` is the transaction that is to come. */
    passes(label: string, next: Txid): void {
      if (label === "reader begun" || label === "sealing") viewed = undefined;
      if (label === "snapshot begun") {
        viewed = history.now;
        seen = { least: viewed, most: viewed };
        history.ships(next, seen);
      }
      if (label === "recorded") history.ships(next, seen);
    },

    /** After it. */
    passed(label: string): void {
      if (label === "capture") seen = { least: viewed ?? history.now, most: history.now };
    },
  };
}
