// A replica of Litestream 0.3, applied to a database file. Which objects, v03/plan.ts decides; the finished file is
// checked and put in its place by restore-to.ts.
// Source: Litestream 0.3, restore; https://sqlite.org/wal.html, checkpointing

import { FlysqliteError } from "../../base/errors.ts";
import { decodeDatabaseHeader } from "../../sqlite/header.ts";
import type { PageSize } from "../../sqlite/page.ts";
import { type Salts, sameSalts } from "../../sqlite/wal/format.ts";
import { type DownloadOptions, downloadInOrder } from "../downloads.ts";
import type { Image } from "../image.ts";
import { PageSet } from "../page-set.ts";
import {
  formatPlace,
  type Generation,
  type V03Segment,
  type V03Snapshot,
  type WalIndex,
  type WalOffset,
} from "./names.ts";
import { decompressObject } from "./object.ts";
import type { V03Plan } from "./plan.ts";
import { hashPage, proveNotAhead, proveWhole, type TailPage } from "./snapshot-ahead.ts";
import { WalSegments } from "./wal-segments.ts";

export type V03Position = {
  readonly generation: Generation;
  readonly index: WalIndex;
  /** End of what the state has of the log: 0 where it is nothing. */
  readonly offset: WalOffset;
};

export type V03Applied = {
  readonly position: V03Position;
  readonly pageSize: PageSize;
  readonly pageCount: number;
  /** What could not be proved: sentences without a full stop. */
  readonly notes: readonly string[];
};

/**
 * A log ends within a transaction: Litestream read it while it was being written, and the rest was not there yet, or
 * was never uploaded. If nothing comes after it, the state is that at `until`, the end of the transaction before.
 */
export class LogCut extends FlysqliteError {
  readonly until: WalOffset | undefined;

  constructor({ index, end }: WalSegments, { isLast }: { readonly isLast: boolean }) {
    const good = formatPlace({ index, offset: end });
    super(
      "E_REPLICA_GAP",
      `Cannot restore: the rest of a transaction is missing from ${describe(index)}; the last good position is ${good}`,
      { hint: "Bring the missing file back, or restore to a time before it with --timestamp" },
    );
    this.until = isLast ? end : undefined;
  }
}

/**
 * How close before an earlier log's first salt a later log's must not be. SQLite adds one to it when it restarts the
 * log, or takes a random number: a sound sequence lands in this range once in 2^26 restarts, an exchanged one always.
 */
const SALT_WINDOW = 64;

/**
 * Writes the planned state to the empty `image`: the snapshot, then the pages of each log in order. It becomes the
 * file that SQLite's checkpoints of these logs would give, and so Litestream's, byte for byte.
 *
 * Fails with E_REPLICA_CORRUPT, E_REPLICA_GAP (Vanished, SnapshotAhead and LogCut among them) or E_RESTORE_SPACE, or
 * as the store does. The image is of no use then.
 */
export async function applyV03({
  plan,
  image,
  ...options
}: DownloadOptions & { readonly plan: V03Plan; readonly image: Image }): Promise<V03Applied> {
  const { generation, snapshot, segments, behind } = plan;
  const state = new State(plan, image);
  for await (const { item, chunks } of downloadInOrder([snapshot, ...segments], options)) {
    const pieces = decompressObject(chunks, item.key);
    if (isSegment(item)) await state.addSegment(item, pieces);
    else await state.addSnapshot(pieces);
  }
  const { pageSize, pageCount, log, written, tail } = await state.finish();
  if (log !== undefined) {
    const position = { generation, index: log.index, offset: log.end };
    const notes = await proveNotAhead({ snapshot, behind, log, written, tail, pageSize, pageCount, image, ...options });
    return { position, pageSize, pageCount, notes };
  }
  const own = new WalSegments({ index: snapshot.index, pageSize, onPage: () => {} });
  const { offset, notes } = await proveWhole({ snapshot, behind, log: own, pageSize, pageCount, image, ...options });
  return { position: { generation, index: snapshot.index, offset }, pageSize, pageCount, notes };
}

function isSegment(object: V03Snapshot | V03Segment): object is V03Segment {
  return "offset" in object;
}

/** The image while snapshot and logs are applied to it. */
class State {
  readonly #plan: V03Plan;
  readonly #snapshot: V03Snapshot;
  readonly #image: Image;
  readonly #lastIndex: WalIndex | undefined;
  /** Unknown at first where the snapshot is empty, as that of a database whose every page is in its first log. */
  #pageSize: PageSize | undefined;
  /** The log that is being applied. */
  #log: WalSegments | undefined;
  /** Those that were applied. */
  readonly #logs: { readonly index: WalIndex; readonly salts: Salts }[] = [];
  /** Where the target lies in the snapshot's log: the pages that the log wrote. All others are the snapshot's. */
  readonly #written: PageSet | undefined;
  /** The segment that is being applied. */
  #segment: V03Segment | undefined;
  /** Where the snapshot's log ends within a transaction: the pages of that one that only the snapshot gave. */
  readonly #tail: TailPage[] = [];

  constructor(plan: V03Plan, image: Image) {
    const { snapshot, segments, behind, until } = plan;
    this.#plan = plan;
    this.#snapshot = snapshot;
    this.#image = image;
    this.#lastIndex = segments.at(-1)?.index;
    const isOwnLogCut = until !== undefined && this.#lastIndex === snapshot.index;
    this.#written = behind.length > 0 || isOwnLogCut ? new PageSet() : undefined;
  }

  async addSnapshot(pieces: AsyncIterable<Uint8Array>): Promise<void> {
    const { key } = this.#snapshot;
    let at = 0;
    let noSpace: unknown;
    for await (const piece of this.#image.pace(pieces)) {
      if (at === 0) noSpace = this.#takeHeader(piece);
      if (noSpace === undefined) this.#image.write(piece, at);
      at += piece.byteLength;
    }
    if (noSpace !== undefined) throw noSpace; // now that the header with the size is known to be sound
    if (this.#pageSize !== undefined && at % this.#pageSize !== 0) {
      throw corrupt(key, `its ${at} bytes are no whole number of pages of ${this.#pageSize} bytes`);
    }
  }

  async addSegment(segment: V03Segment, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#log?.index !== segment.index) {
      await this.#endLog();
      this.#log = new WalSegments({
        index: segment.index,
        pageSize: this.#pageSize,
        onPage: (page, data) => {
          this.#written?.add(page);
          this.#image.writePage(page, data);
        },
        until: segment.index === this.#lastIndex ? this.#plan.until : undefined,
        onTail: (page, data) => {
          if (this.#written?.has(page) !== false || this.#segment === undefined) return;
          this.#tail.push({ page, hash: hashPage(data), segment: this.#segment });
        },
      });
    }
    this.#segment = segment;
    await this.#log?.read(segment, this.#image.pace(pieces));
  }

  async finish() {
    await this.#endLog();
    await this.#image.drain();
    const pageSize = this.#pageSize;
    if (pageSize === undefined) throw corrupt(this.#snapshot.key, "it is empty, and no log follows it");
    const pageCount = this.#image.sizeBytes / pageSize;
    return { pageSize, pageCount, log: this.#log, written: this.#written, tail: this.#tail };
  }

  /** Gives the failure where the database has no room; throws where this is no database. */
  #takeHeader(piece: Uint8Array): unknown {
    const header = decodeDatabaseHeader(piece);
    if (typeof header === "string") throw corrupt(this.#snapshot.key, header);
    this.#pageSize = header.pageSize;
    if (!header.pageCountIsCurrent) return undefined;
    try {
      this.#image.requireSpace(header.pageCount * header.pageSize);
      return undefined;
    } catch (error) {
      return error;
    }
  }

  /** Sets the image's size to what the log's last transaction says, as a checkpoint does when it has copied all. */
  async #endLog(): Promise<void> {
    const log = this.#log;
    if (log?.header === undefined) return;
    const { index, header, commitSize } = log;
    this.#checkOrder(index, header.salts);
    if (log.isWithinTransaction) {
      throw new LogCut(log, { isLast: index === this.#lastIndex && !this.#plan.isFollowed });
    }
    this.#pageSize = header.pageSize;
    if (commitSize > 0) await this.#image.resize(commitSize * header.pageSize);
  }

  /** Nothing else tells that whole logs were exchanged: within a log the checksums do. */
  #checkOrder(index: WalIndex, salts: Salts): void {
    for (const earlier of this.#logs.slice(-SALT_WINDOW)) {
      if (sameSalts(earlier.salts, salts)) {
        throw corrupt(describe(index), `it is the same as ${describe(earlier.index)}`);
      }
      const back = (earlier.salts[0] - salts[0]) >>> 0;
      if (back < SALT_WINDOW)
        throw corrupt(describe(index), `its salts are of a time before ${describe(earlier.index)}`);
    }
    this.#logs.push({ index, salts });
  }
}

function describe(index: WalIndex): string {
  return `log ${formatPlace({ index })}`;
}

function corrupt(what: string, problem: string): FlysqliteError {
  return new FlysqliteError("E_REPLICA_CORRUPT", `Cannot restore "${what}": ${problem}`);
}
