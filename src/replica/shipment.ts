// What goes into LTX files: the pages of a capture, or of the whole database.
// Pure but for the pages, which it reads through the functions it is given.

import type { Capture, Mark, Position, Snapshot } from "../sqlite/attached.ts";
import { lockPage, type PageNumber, type PageSize } from "../sqlite/page.ts";
import { FRAME_HEADER_SIZE, frameOffset, sameSalts } from "../sqlite/wal/format.ts";
import type { WalPosition } from "../sqlite/wal/read.ts";
import { type EncodeOptions, encodeLtx, type LtxPage } from "./ltx/encode.ts";
import type { LtxHeader, LtxWalRange } from "./ltx/header.ts";
import { FIRST_TXID, type Txid } from "./ltx/txid.ts";
import type { ReplicatedPosition } from "./state.ts";

/** A file of level 0. */
export type Shipment = {
  readonly header: LtxHeader;
  readonly position: ReplicatedPosition;
  /** Size of the database after it, in bytes. */
  readonly databaseBytes: number;
  /** The file's bytes; the same each time, as long as the database's readers stay open. */
  readonly body: (options?: Pick<EncodeOptions, "releases">) => Iterable<Uint8Array>;
  /** For Attached.advance() when the file is safe. */
  readonly mark: Mark;
};

/**
 * Offset that stands for "no part of a log", in bytes. Litestream takes over a replica only where the newest
 * level-0 file has an offset behind the log's header.
 */
const NO_LOG: LtxWalRange = { offsetBytes: 32, sizeBytes: 0, salts: [0, 0] };

/** The pages that changed since `previous`. */
export function shipChanges(
  capture: Extract<Capture, { kind: "changes" }>,
  {
    txid,
    previous,
    timestampMs,
  }: { readonly txid: Txid; readonly previous: ReplicatedPosition; readonly timestampMs: number },
): Shipment {
  const { changes, page, mark } = capture;
  const { pageSize } = changes.end.header;
  const header: LtxHeader = {
    pageSize,
    commit: changes.commitSize,
    min: txid,
    max: txid,
    timestampMs,
    wal: walRange(previous.position, changes.end),
  };
  const numbers = pagesToShip({
    changed: changes.pages.keys(),
    sizeBefore: Math.min(previous.pageCount, changes.smallestCommitSize),
    sizeAfter: changes.commitSize,
    pageSize,
  });
  return {
    header,
    position: { txid, pageCount: changes.commitSize, position: mark.position },
    databaseBytes: changes.commitSize * pageSize,
    body: (options) => encodeLtx(header, readPages(numbers, page), options),
    mark,
  };
}

type CopyOptions = { readonly txid: Txid; readonly pageSize: PageSize; readonly timestampMs: number };

/** All pages of the database, as the transaction that continues the history. */
export function shipCopy(snapshot: Snapshot, { txid, pageSize, timestampMs }: CopyOptions): Shipment {
  const { pageCount, page, mark } = snapshot;
  const wal = mark.position.kind === "file" ? NO_LOG : walRange(undefined, mark.position);
  const header: LtxHeader = { pageSize, commit: pageCount, min: txid, max: txid, timestampMs, wal };
  return {
    header,
    position: { txid, pageCount, position: mark.position },
    databaseBytes: pageCount * pageSize,
    body: (options) => encodeLtx(header, readPages(allPages(pageCount, pageSize), page), options),
    mark,
  };
}

/** All pages of the database after `txid`, as a snapshot (level 9), which needs no file before it. */
export function encodeSnapshot(
  { pageCount, page }: Snapshot,
  { txid, pageSize, timestampMs, ...options }: CopyOptions & Pick<EncodeOptions, "releases">,
): Iterable<Uint8Array> {
  const header: LtxHeader = { pageSize, commit: pageCount, min: FIRST_TXID, max: txid, timestampMs, wal: NO_LOG };
  return encodeLtx(header, readPages(allPages(pageCount, pageSize), page), options);
}

/**
 * The pages that a level-0 file must hold, ascending: those that changed, and where the database grew, all
 * new pages, also those that SQLite never wrote. The page of the file locks is never among them.
 */
export function pagesToShip({
  changed,
  sizeBefore,
  sizeAfter,
  pageSize,
}: {
  readonly changed: Iterable<PageNumber>;
  readonly sizeBefore: number;
  readonly sizeAfter: number;
  readonly pageSize: PageSize;
}): readonly PageNumber[] {
  const pages = new Set(changed);
  for (let page = sizeBefore + 1; page <= sizeAfter; page += 1) pages.add(page as PageNumber);
  pages.delete(lockPage(pageSize));
  return [...pages].sort((a, b) => a - b);
}

/** The part of the log from `from` to `to`; from its beginning where it was restarted in between. */
function walRange(from: Position | undefined, to: WalPosition): LtxWalRange {
  const { pageSize, salts } = to.header;
  const sameLog = from?.kind === "log" && sameSalts(from.header.salts, salts);
  const firstFrame = sameLog ? from.frame + 1 : 1;
  return {
    offsetBytes: frameOffset(firstFrame, pageSize),
    sizeBytes: (to.frame - firstFrame + 1) * (FRAME_HEADER_SIZE + pageSize),
    salts,
  };
}

function* allPages(pageCount: number, pageSize: PageSize): Generator<PageNumber> {
  const lock = lockPage(pageSize);
  for (let page = 1; page <= pageCount; page += 1) if (page !== lock) yield page as PageNumber;
}

function* readPages(numbers: Iterable<PageNumber>, read: (page: PageNumber) => Uint8Array): Generator<LtxPage> {
  for (const page of numbers) yield { page, data: read(page) };
}
