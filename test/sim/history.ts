// The states that the app's database was in, each after the one that it was made from, and which of them a transaction
// of the replica must be. With several machines each has a branch of its own, which goes on from any state.

import type { Txid } from "../../src/replica/ltx/txid.ts";

/** Number of a state, in the order in which they were first seen. */
export type StateNumber = number;

/** One of these, in the order in which they were seen. */
export type States = { readonly least: StateNumber; readonly most: StateNumber };

/** As seen from the branch on which one machine's database is. */
export type History = {
  /** The state that the database is in; below 0 where it never was in any. */
  readonly now: StateNumber;
  /** Number of all states there were, of all branches. */
  readonly count: number;
  /** The database may have changed. */
  add(hash: string): void;
  /** The database went back: it lost what was not durable, or was restored. */
  goBackTo(state: StateNumber): void;
  /** True where the present state has that content. */
  isNow(hash: string): boolean;
  /** The last state with that content: of all, or of some that lead to the last of them. */
  find(hash: string, among?: States): StateNumber | undefined;
  /** True where `later` was reached by way of `earlier`, or is it. */
  leadsTo(earlier: StateNumber, later: StateNumber): boolean;
  /** Notes which state the transaction ships. It may have been tried before, with another: then that may arrive too. */
  ships(txid: Txid, states: States): void;
  /** What a transaction of that number may be, of any branch. */
  shippedIn(txid: Txid): readonly States[];
  /** Another machine's. */
  branch(): History;
};

export function createHistory(): History {
  const states: { readonly hash: string; readonly from: StateNumber }[] = [];
  const numbers = new Map<string, StateNumber[]>();
  const shipped = new Map<Txid, States[]>();

  function leadsTo(earlier: StateNumber, later: StateNumber): boolean {
    let state: StateNumber | undefined = later;
    while (state !== undefined && state > earlier) state = states[state]?.from;
    return state === earlier;
  }

  function branch(): History {
    let now: StateNumber = -1;
    return {
      get now() {
        return now;
      },

      get count() {
        return states.length;
      },

      add(hash) {
        if (states[now]?.hash === hash) return;
        // The same made of the same, as by a VACUUM on each of two machines, is one state.
        const same = numbers.get(hash)?.find((state) => states[state]?.from === now);
        if (same !== undefined) {
          now = same;
          return;
        }
        states.push({ hash, from: now });
        now = states.length - 1;
        numbers.set(hash, [...(numbers.get(hash) ?? []), now]);
      },

      goBackTo(state) {
        now = state;
      },

      isNow: (hash) => states[now]?.hash === hash,

      find(hash, among) {
        const isAmong = (state: StateNumber) =>
          among === undefined || (state >= among.least && state <= among.most && leadsTo(state, among.most));
        return numbers.get(hash)?.findLast(isAmong);
      },

      leadsTo,

      ships(txid, states) {
        shipped.set(txid, [...(shipped.get(txid) ?? []), states]);
      },

      shippedIn: (txid) => shipped.get(txid) ?? [],
      branch,
    };
  }

  return branch();
}
