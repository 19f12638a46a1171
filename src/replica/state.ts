// What this volume remembers of its replication, in two files beside the database: what the replica may hold, made
// durable before each upload, and how far was captured, written at each capture without waiting for the disk.
// They are hints that are checked against the log and the replica, never trusted alone.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { readIfPresent, removeDurably, writeDurably } from "../base/durable-file.ts";
import { rename, writeFile } from "../base/files.ts";
import { seal, unseal } from "../base/sealed.ts";
import type { Position } from "../sqlite/attached.ts";
import { parsePageSize } from "../sqlite/page.ts";
import { encodeHeader, type LtxHeader } from "./ltx/header.ts";
import { formatTxid, NO_TXID, parseTxid, type Txid } from "./ltx/txid.ts";

/** A transaction of the replica, and the place in the database's life up to which it reaches. */
export type ReplicatedPosition = {
  readonly txid: Txid;
  /** Size of the database in pages after it. */
  readonly pageCount: number;
  readonly position: Position;
};

/** A file that was to become the replica's end. */
export type UploadMark = {
  /** Its last transaction. */
  readonly txid: Txid;
  /** Its header, in base64: it has the file's time, and the part of the log that it is of. */
  readonly header: string;
};

export function markOf(header: LtxHeader): UploadMark {
  return { txid: header.max, header: Buffer.from(encodeHeader(header)).toString("base64") };
}

export type ReplicationState = {
  /** Id of the database's history, which its replica carries too: a UUID. */
  readonly databaseId: string;
  /** Address of the replica, as the store spells it. */
  readonly replica: string;
  /**
   * The newest position that the replica is known to hold; undefined where only a copy of the whole database can
   * tell, as after a restore from Litestream 0.3's format.
   */
  readonly acked: ReplicatedPosition | undefined;
  /** The newest one that an upload was begun for; the replica may hold it or not. */
  readonly pending: ReplicatedPosition | undefined;
  /** Files that the replica may end with: their upload was begun, and may have arrived, or may yet. Default: none. */
  readonly begun?: readonly UploadMark[];
  /** Likewise of files whose place in the history others have taken since: nothing here goes on from them. */
  readonly givenUp?: readonly UploadMark[];
  /**
   * A transaction that was captured, and that the database will have after a power cut too. What is behind it on the
   * volume may be of a time that the database knows nothing of any more. Default: none.
   */
  readonly durable?: Txid;
};

/** The last transaction that the replica may hold of this volume's. */
export function newestTxid({ acked, pending, begun = [], givenUp = [] }: ReplicationState): Txid {
  const all = [acked?.txid, pending?.txid, ...[...begun, ...givenUp].map(({ txid }) => txid)];
  return all.reduce<Txid>((newest, txid) => (txid !== undefined && txid > newest ? txid : newest), NO_TXID);
}

/** No file and no log is there: only a copy of the whole database continues from it. */
export const NO_PLACE: Position = { kind: "file", sizeBytes: 0, modifiedMs: 0 };

export function isNoPlace(position: Position): boolean {
  return position.kind === "file" && position.sizeBytes === 0;
}

const FILE_NAME = "replication.json";
const CAPTURED_FILE_NAME = "captured.json";
const FORMAT_VERSION = 1;

/** The state in `directory`; undefined where there is none, or none that can be read. */
export function readState(directory: string): ReplicationState | undefined {
  const text = readIfPresent(join(directory, FILE_NAME));
  return text === undefined ? undefined : parseState(text);
}

/** True where there is one, whether or not it can be read. */
export function hasState(directory: string): boolean {
  return existsSync(join(directory, FILE_NAME));
}

export async function writeState(directory: string, state: ReplicationState): Promise<void> {
  await writeDurably(join(directory, FILE_NAME), formatState(state));
}

/** Notes how far was captured. It outlives the process, but maybe not the power. */
export async function writeCaptured(directory: string, position: ReplicatedPosition): Promise<void> {
  const path = join(directory, CAPTURED_FILE_NAME);
  await writeFile(`${path}.tmp`, seal(JSON.stringify(toStored(position))), { mode: 0o600 });
  await rename(`${path}.tmp`, path);
}

/** Forgets how far was captured: what it says is of a database that is no more. */
export async function forgetCaptured(directory: string): Promise<void> {
  await removeDurably(join(directory, CAPTURED_FILE_NAME));
}

/**
 * Keeps how far the history goes, and forgets which place in the database that was: another file is at its path now.
 * The next start then copies the whole database, also where the old log was left beside it and seems to go on.
 */
export async function forgetPlaces(directory: string): Promise<void> {
  const captured = readCaptured(directory);
  const state = readState(directory);
  if (captured !== undefined) await writeCaptured(directory, displaced(captured));
  if (state === undefined) return;
  const { acked, pending } = state;
  await writeState(directory, { ...state, acked: acked && displaced(acked), pending: pending && displaced(pending) });
}

/** At a place that no database has. */
function displaced(position: ReplicatedPosition): ReplicatedPosition {
  return { ...position, position: { kind: "file", sizeBytes: 0, modifiedMs: 0 } };
}

/** What a start goes on from. */
export type Remembered = {
  /** Where the log was copied to, as far as that is known; the newest first. */
  readonly known: readonly ReplicatedPosition[];
  /** Uploads of earlier starts that may have arrived. */
  readonly begun: readonly UploadMark[];
  /** Those of them that nothing here goes on from. */
  readonly givenUp: readonly UploadMark[];
  /** What is staged up to there is the database's history; what is behind it may be of a time before a power cut. */
  readonly durable: Txid;
};

export const NOTHING_REMEMBERED: Remembered = { known: [], begun: [], givenUp: [], durable: NO_TXID };

/** All that `directory` remembers, from both files. */
export function readRemembered(directory: string): Remembered {
  const captured = readCaptured(directory);
  const state = readState(directory);
  const known = [captured, state?.pending, state?.acked]
    .filter((position) => position !== undefined)
    .sort((a, b) => (a.txid < b.txid ? 1 : a.txid > b.txid ? -1 : 0));
  const { begun = [], givenUp = [], durable = NO_TXID } = state ?? {};
  return { known, begun, givenUp, durable };
}

/** The positions in `directory` that copying may go on from, the newest first. */
export function readPositions(directory: string): readonly ReplicatedPosition[] {
  return readRemembered(directory).known;
}

/** Notes at a clean end that the replica holds `txid`, so that the next start need not ask whose its newest file is. */
export async function settleState(directory: string, txid: Txid): Promise<void> {
  const state = readState(directory);
  if (state?.pending?.txid !== txid) return;
  const givenUp = state.givenUp?.filter((mark) => mark.txid > txid);
  await writeState(directory, {
    ...state,
    acked: state.pending,
    pending: undefined,
    begun: [],
    ...(givenUp && { givenUp }),
  });
}

function readCaptured(directory: string): ReplicatedPosition | undefined {
  const text = readIfPresent(join(directory, CAPTURED_FILE_NAME));
  return text === undefined ? undefined : fromStored(unsealed(text));
}

/** The state as text. */
export function formatState({
  databaseId,
  replica,
  acked,
  pending,
  begun,
  givenUp,
  durable,
}: ReplicationState): string {
  const stored = {
    version: FORMAT_VERSION,
    databaseId,
    replica,
    acked: acked && toStored(acked),
    pending: pending && toStored(pending),
    begun: begun && marksToStored(begun),
    givenUp: givenUp && marksToStored(givenUp),
    durable: durable === undefined ? undefined : formatTxid(durable),
  };
  return seal(JSON.stringify(stored));
}

/** The value that was sealed; undefined where anything in it is not as it must be. */
function unsealed(text: string): unknown {
  const json = unseal(text);
  if (json === undefined) return undefined;
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Reads what formatState() wrote; undefined where anything in it is not as it must be. */
export function parseState(text: string): ReplicationState | undefined {
  const stored = asRecord(unsealed(text));
  const databaseId = stored?.["databaseId"];
  const replica = stored?.["replica"];
  if (stored?.["version"] !== FORMAT_VERSION) return undefined;
  if (typeof databaseId !== "string" || typeof replica !== "string") return undefined;
  const acked = fromStored(stored["acked"]);
  const pending = fromStored(stored["pending"]);
  if (acked === undefined && stored["acked"] !== undefined) return undefined;
  if (pending === undefined && stored["pending"] !== undefined) return undefined;
  const begun = marksFromStored(stored["begun"]);
  const givenUp = marksFromStored(stored["givenUp"]);
  const durable = parseTxidOrUndefined(String(stored["durable"]));
  return {
    databaseId,
    replica,
    acked,
    pending,
    ...(begun && { begun }),
    ...(givenUp && { givenUp }),
    ...(durable !== undefined && { durable }),
  };
}

function marksToStored(marks: readonly UploadMark[]) {
  return marks.map(({ txid, header }) => ({ txid: formatTxid(txid), header }));
}

function marksFromStored(value: unknown): readonly UploadMark[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.map(asRecord).flatMap((stored) => {
    const txid = parseTxidOrUndefined(String(stored?.["txid"]));
    const header = stored?.["header"];
    return txid === undefined || typeof header !== "string" ? [] : [{ txid, header }];
  });
}

function toStored({ txid, pageCount, position }: ReplicatedPosition) {
  return { txid: formatTxid(txid), pageCount, position };
}

function fromStored(value: unknown): ReplicatedPosition | undefined {
  const stored = asRecord(value);
  const pageCount = asCount(stored?.["pageCount"]);
  const position = positionFromStored(asRecord(stored?.["position"]));
  if (typeof stored?.["txid"] !== "string" || pageCount === undefined || position === undefined) return undefined;
  const txid = parseTxidOrUndefined(stored["txid"]);
  return txid === undefined ? undefined : { txid, pageCount, position };
}

function positionFromStored(stored: Record<string, unknown> | undefined): Position | undefined {
  if (stored?.["kind"] === "file") {
    const sizeBytes = asCount(stored["sizeBytes"]);
    const modifiedMs = stored["modifiedMs"];
    if (sizeBytes === undefined || typeof modifiedMs !== "number") return undefined;
    return { kind: "file", sizeBytes, modifiedMs };
  }
  const header = asRecord(stored?.["header"]);
  const pageSize = parsePageSize(asCount(header?.["pageSize"]) ?? 0);
  const salts = asPair(header?.["salts"]);
  const headerChecksum = asPair(header?.["checksum"]);
  const bigEndian = header?.["bigEndian"];
  const checksum = asPair(stored?.["checksum"]);
  const frame = asCount(stored?.["frame"]);
  if (stored?.["kind"] !== "log" || typeof bigEndian !== "boolean" || frame === undefined) return undefined;
  if (!pageSize || !salts || !headerChecksum || !checksum) return undefined;
  return { kind: "log", header: { pageSize, salts, checksum: headerChecksum, bigEndian }, frame, checksum };
}

function parseTxidOrUndefined(text: string): Txid | undefined {
  try {
    return parseTxid(text);
  } catch {
    return undefined;
  }
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
}

function asCount(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : undefined;
}

function asPair(value: unknown): readonly [number, number] | undefined {
  if (!Array.isArray(value) || value.length !== 2) return undefined;
  const [first, second] = value.map(asCount);
  return first === undefined || second === undefined ? undefined : [first, second];
}
