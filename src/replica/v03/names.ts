// Where Litestream 0.3 puts its objects, and what their names say. Keys are relative to the replica's root.
// Source: Litestream 0.3.5 to 0.3.14, replica layout; Litestream 0.5, names of 0.3 that it still reads

import type { Brand } from "../../base/brand.ts";
import { FlysqliteError } from "../../base/errors.ts";
import type { ObjectInfo } from "../../storage/store.ts";

/** An unbroken history, by 16 hex digits chosen at random. */
export type Generation = Brand<string, "Generation">;

/** Number of a write-ahead log within its generation, from 0: it goes up each time SQLite restarts the log. */
export type WalIndex = Brand<number, "WalIndex">;

/** Place in an uncompressed write-ahead log, in bytes from its start. May be above 2^32. */
export type WalOffset = Brand<number, "WalOffset">;

/**
 * A copy of the database file. The log of the same index, applied from its start, makes it whole: the copy may
 * already hold a part of that log.
 */
export type V03Snapshot = {
  readonly generation: Generation;
  readonly index: WalIndex;
  readonly key: string;
  /** Compressed, in bytes. */
  readonly sizeBytes: number;
  /** When it was uploaded, in milliseconds since the Unix epoch, as the store knows it: there is no other time. */
  readonly createdMs: number;
  /** The store's, where it tells one. */
  readonly version?: string;
};

/**
 * A piece of a log, from `offset`: whole frames, the first piece with the log's header before them. A transaction may
 * go over several, where Litestream read the log while it was being written.
 */
export type V03Segment = V03Snapshot & { readonly offset: WalOffset };

export type V03Files = {
  /** By generation, then index. */
  readonly snapshots: readonly V03Snapshot[];
  /** By generation, index, then offset. */
  readonly segments: readonly V03Segment[];
  /** An object in the layout of 0.4's betas, which nothing reads. */
  readonly betaKey: string | undefined;
};

/** Everything of Litestream 0.3 lies below. */
export const V03_PREFIX = "generations/";

const SNAPSHOT = /^generations\/([0-9a-f]{16})\/snapshots\/([0-9a-f]{8})\.snapshot\.lz4$/;
/** Litestream 0.3 itself doesn't see offsets of more than 8 digits, which begin at 4 GiB; 0.5 does. */
const SEGMENT = /^generations\/([0-9a-f]{16})\/wal\/([0-9a-f]{8})_([0-9a-f]{8,16})\.wal\.lz4$/;
const BETA =
  /^generations\/[0-9a-f]{16}\/(?:snapshots\/[0-9a-f]{16}\.snapshot|wal\/[0-9a-f]{16}\/[0-9a-f]{16}\.wal)\.lz4$/;

/** Finds the objects of Litestream 0.3 in a listing. Other names are no failure: 0.5 may share the path. */
export function listV03(objects: readonly ObjectInfo[]): V03Files {
  const snapshots: V03Snapshot[] = [];
  const segments: V03Segment[] = [];
  let betaKey: string | undefined;
  for (const { modifiedMs, ...object } of objects) {
    const { key } = object;
    const name = parseV03Key(key);
    if (name === undefined) {
      if (BETA.test(key)) betaKey ??= key;
      continue;
    }
    const { offset, ...place } = name;
    const info = { ...place, ...object, createdMs: modifiedMs };
    if (offset === undefined) snapshots.push(info);
    else segments.push({ ...info, offset });
  }
  return { snapshots: snapshots.sort(byPlace), segments: segments.sort(byPlace), betaKey };
}

export type V03Name = {
  readonly generation: Generation;
  readonly index: WalIndex;
  /** Absent in a snapshot's name. */
  readonly offset: WalOffset | undefined;
};

/** What a key says, or undefined for one that is no snapshot's and no segment's. */
export function parseV03Key(key: string): V03Name | undefined {
  const [, generation, index, digits] = SNAPSHOT.exec(key) ?? SEGMENT.exec(key) ?? [];
  if (generation === undefined || index === undefined) return undefined;
  const place = { generation: generation as Generation, index: Number.parseInt(index, 16) as WalIndex };
  if (digits === undefined) return { ...place, offset: undefined };
  const offset = Number.parseInt(digits, 16);
  return Number.isSafeInteger(offset) ? { ...place, offset: offset as WalOffset } : undefined; // no log is so long
}

/** The generation in 16 lower-case hex digits, or undefined. */
export function parseGeneration(text: string): Generation | undefined {
  return /^[0-9a-f]{16}$/.test(text) ? (text as Generation) : undefined;
}

/** The index in `value`, or undefined where no log can have it. */
export function parseWalIndex(value: number): WalIndex | undefined {
  return Number.isInteger(value) && value >= 0 && value <= 0xff_ff_ff_ff ? (value as WalIndex) : undefined;
}

/** The offset that follows `offset` by `bytes`. */
export function addOffset(offset: WalOffset, bytes: number): WalOffset {
  return (offset + bytes) as WalOffset;
}

export const WAL_START = 0 as WalOffset;

/** A place as in the objects' names: "00000003" or "00000003_00001cc8". */
export function formatPlace({ index, offset }: { readonly index: WalIndex; readonly offset?: WalOffset }): string {
  return offset === undefined ? formatHex(index) : `${formatHex(index)}_${formatHex(offset)}`;
}

/** The failure of a replica that has nothing but objects of Litestream 0.4's betas. */
export function betaLayoutFailure(key: string): FlysqliteError {
  return new FlysqliteError(
    "E_REPLICA_CORRUPT",
    `Cannot restore: "${key}" is of the layout of Litestream 0.4 beta, which was given up and which no release reads`,
    { hint: "Restore it with the very beta that wrote it, and put the database on the volume" },
  );
}

function formatHex(value: number): string {
  return value.toString(16).padStart(8, "0");
}

function byPlace(a: V03Snapshot & { offset?: WalOffset }, b: V03Snapshot & { offset?: WalOffset }): number {
  if (a.generation !== b.generation) return a.generation < b.generation ? -1 : 1;
  return a.index - b.index || (a.offset ?? 0) - (b.offset ?? 0) || (a.key < b.key ? -1 : 1);
}
