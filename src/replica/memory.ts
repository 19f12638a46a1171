// What a volume notes of its replication while that goes on, in the two files that state.ts reads: which uploads may
// have arrived, and the places in the database's life that go with them.
//
// Where the history is begun anew behind a transaction, the files that led on from there are gone, and others take their
// numbers. An upload of an old one may still arrive. So those are noted as given up, durably, before the first new file
// is made: a replica that ends with one of them is ours, and only a copy of the whole database goes on from it.

import type { LtxHeader } from "./ltx/header.ts";
import { NO_TXID, type Txid, toTxid } from "./ltx/txid.ts";
import { isAmong, isWrittenHere } from "./newest.ts";
import {
  forgetCaptured,
  markOf,
  type Remembered,
  type ReplicatedPosition,
  type UploadMark,
  writeCaptured,
  writeState,
} from "./state.ts";

/** So many uploads of unknown outcome are remembered: more than one or two are there only after several odd ends. */
const MOST_MARKS = 32;

export type Memory = ReturnType<typeof createMemory>;

export function createMemory({
  directory,
  databaseId,
  replica,
  remembered,
  acked: confirmed,
  syncLog,
}: {
  /** The volume's state directory. */
  readonly directory: string;
  readonly databaseId: string;
  /** The store's address. */
  readonly replica: string;
  readonly remembered: Remembered;
  /** The position of the replica's last transaction, where that is sure to be of this history. */
  readonly acked: ReplicatedPosition | undefined;
  /** Makes the database's log durable. */
  readonly syncLog: () => void;
}) {
  let acked = confirmed;
  let pending: ReplicatedPosition | undefined;
  let recorded: ReplicatedPosition | undefined;
  let { durable, begun, givenUp } = remembered;
  /** Of what waits to be uploaded, as far as they are known, and of what is under way. */
  const positions = new Map(remembered.known.map((position) => [position.txid, position]));
  /** What was given up that is not noted as that yet. */
  let isSettled = true;

  const write = () => writeState(directory, { databaseId, replica, acked, pending, begun, givenUp, durable });

  async function settle(): Promise<void> {
    if (isSettled) return;
    await forgetCaptured(directory); // of what may have been given up; all that is not is in the state
    await write();
    isSettled = true;
  }

  return {
    /** Awaited before a file is made that takes the number of one that was given up. */
    settle,

    /** Notes that the history was captured up to there. */
    async captured(position: ReplicatedPosition): Promise<void> {
      recorded = position;
      positions.set(position.txid, position);
      await writeCaptured(directory, position);
    },

    /**
     * Makes durable what is staged up to the file's last transaction, and that the replica may end with the file.
     * `replicated` is the last transaction that the replica is known to hold.
     */
    async uploading(file: LtxHeader, { replicated }: { readonly replicated: Txid }): Promise<void> {
      await settle();
      durable = recorded?.txid ?? durable;
      syncLog();
      const mark = markOf(file);
      // What the replica ends with is kept too: `acked` may be older, as not of each file the position is known.
      const mayBeLast = (other: UploadMark) => other.txid >= replicated && other.header !== mark.header;
      begun = [...begun.filter(mayBeLast), mark].slice(-MOST_MARKS);
      givenUp = givenUp.filter(mayBeLast);
      // Of what an earlier start staged only the last one's is known. What was once under way may have arrived.
      const next = positions.get(mark.txid) ?? recorded;
      if (next !== undefined && next.txid >= (pending?.txid ?? NO_TXID)) pending = next;
      for (const known of positions.keys()) if (known < mark.txid) positions.delete(known);
      await write();
    },

    /** Notes, for the next time that something is written, that the replica holds the file that was under way. */
    arrived(txid: Txid): void {
      acked = positions.get(txid) ?? acked;
    },

    /** Goes on at a place in the log. What may have arrived of what is behind it is given up. */
    goOn(position: ReplicatedPosition): void {
      giveUpBehind(position.txid);
      recorded = position;
      pending = position; // an earlier start may have got so far
    },

    /** Goes on with a copy of the whole database behind `txid`. What waits up to there is uploaded before it. */
    goOnBehind(txid: Txid): void {
      giveUpBehind(txid);
      recorded = positions.get(txid);
      pending = recorded;
    },

    /**
     * Gives up all that the replica is not known to hold: the history goes on with a copy of the whole database behind
     * `reached`, the replica's last transaction, whichever file that is of.
     */
    beginAnew(reached: Txid): void {
      giveUpBehind(acked?.txid === reached ? reached : before(reached));
      isSettled = false;
    },

    /** True for a file of ours that the history does not lead over any more. */
    isGivenUp: (file: LtxHeader): boolean => isAmong(file, givenUp),

    /** True for a file whose upload was begun here, and whose outcome is not known. */
    isOurs: (file: LtxHeader | undefined): boolean => isWrittenHere(file, { begun, givenUp }),
  };

  function giveUpBehind(txid: Txid): void {
    const isBehind = (other: { readonly txid: Txid } | undefined) => other !== undefined && other.txid > txid;
    if (begun.some(isBehind) || [...positions.keys()].some((known) => known > txid) || isBehind(acked))
      isSettled = false;
    givenUp = [...givenUp, ...begun.filter(isBehind)].slice(-MOST_MARKS);
    begun = begun.filter((mark) => !isBehind(mark));
    for (const known of positions.keys()) if (known > txid) positions.delete(known);
    if (isBehind(acked)) acked = undefined;
    if (isBehind(pending)) pending = undefined;
    if (isBehind(recorded)) recorded = undefined;
    if (durable > txid) durable = txid;
  }
}

function before(txid: Txid): Txid {
  return txid === NO_TXID ? NO_TXID : toTxid(txid - 1n);
}
