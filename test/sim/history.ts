// The states that the app's database was in, each after the one that it was made from, and which of them a transaction
// of the replica must be.

import type { Txid } from "../../src/replica/ltx/txid.ts";

/** Number of a state, in the order in which they were first seen. */
export type StateNumber = number;

/** One of these, in the order in which they were seen. */
export type States = { readonly least: StateNumber; readonly most: StateNumber };

export type History = ReturnType<typeof createHistory>;

export function createHistory() {
  const states: { readonly hash: string; readonly from: StateNumber }[] = [];
  const numbers = new Map<string, StateNumber[]>();
  const shipped = new Map<Txid, States[]>();
  let now: StateNumber = -1;

  return {
    /** The state that the database is in. */
    get now(): StateNumber {
      return now;
    },

    /** Number of all states there were. */
    get count(): number {
      return states.length;
    },

    /** The database may have changed. */
    add(hash: string): void {
      if (states[now]?.hash === hash) return;
      states.push({ hash, from: now });
      now = states.length - 1;
      numbers.set(hash, [...(numbers.get(hash) ?? []), now]);
    },

    /** The database went back: it lost what was not durable, or was restored. */
    goBackTo(state: StateNumber): void {
      now = state;
    },

    /** True where the present state has that content. */
    isNow: (hash: string): boolean => states[now]?.hash === hash,

    /** The last state with that content, of all or of some. */
    find: (hash: string, { least, most }: States = { least: 0, most: states.length }): StateNumber | undefined =>
      numbers.get(hash)?.findLast((state) => state >= least && state <= most),

    /** True where `later` was reached by way of `earlier`, or is it. */
    leadsTo(earlier: StateNumber, later: StateNumber): boolean {
      let state: StateNumber | undefined = later;
      while (state !== undefined && state > earlier) state = states[state]?.from;
      return state === earlier;
    },

    /** Notes which state the transaction ships. It may have been tried before, with another: then that may arrive too. */
    ships(txid: Txid, states: States): void {
      shipped.set(txid, [...(shipped.get(txid) ?? []), states]);
    },

    shippedIn: (txid: Txid): readonly States[] => shipped.get(txid) ?? [],
  };
}
