// A place for objects: keys and bytes, no format. file.ts and s3/store.ts implement it.
//
// Keys are relative to the store's root and use "/". Every call takes a signal and rejects with its reason
// when it is aborted. Failures are FlysqliteError with E_REPLICA_UNREACHABLE or E_REPLICA_DENIED, except that
// get() of an absent key gives undefined. An empty list is proof that nothing is there: a store that can't
// answer throws.

export type ObjectInfo = {
  readonly key: string;
  readonly sizeBytes: number;
  /** When it was last written, in milliseconds since the Unix epoch, as the store knows it. */
  readonly modifiedMs: number;
  /** Changes whenever the object is written; opaque. Undefined where the store tells none. */
  readonly version?: string;
};

export type GetOptions = {
  readonly signal: AbortSignal;
  /** First byte wanted, counted from 0. Nothing comes from an offset at or beyond the object's end. */
  readonly offset?: number;
  /** At most this many bytes, 1 or more; the rest of the object without it. */
  readonly lengthBytes?: number;
  /** Read only this version; another one counts as absent. */
  readonly version?: string;
};

export type PutOptions = {
  readonly signal: AbortSignal;
  /** Store only if the key is absent; false is answered otherwise. */
  readonly ifAbsent?: boolean;
  /** Store only in place of this version; false is answered otherwise. Not together with `ifAbsent`. */
  readonly ifVersion?: string;
  /** Time to give to the object where the store keeps one, in milliseconds since the Unix epoch. */
  readonly modifiedMs?: number;
};

/** A small object that several writers change, as it was when it was read. */
export type Versioned = { readonly bytes: Uint8Array; readonly version: string };

/** Size of what counts as small, in bytes. */
export const MAX_SMALL_BYTES = 64 * 1024;

export type SweepOptions = {
  readonly signal: AbortSignal;
  /** Says of a key whether what was to be stored there is the caller's to remove. */
  readonly isOurs: (key: string) => boolean;
  /** Begun before this time, in milliseconds since the Unix epoch, by the store's clock. */
  readonly beforeMs: number;
};

export type ObjectStore = {
  /** Address without secrets, for messages and to tell stores apart: "file:///backup/db". */
  readonly address: string;
  /** How the store spells the directory of an LTX level below its root, as Litestream 0.5 does. */
  readonly levelDirectory: (level: number) => string;
  /** All objects below `prefix` ("" or ending in "/"), in ascending order of keys. */
  list(prefix: string, options: { readonly signal: AbortSignal }): Promise<readonly ObjectInfo[]>;
  /**
   * The object's bytes as a stream of chunks, or undefined if it is absent. The stream may hold a connection:
   * read it, break out of it, or abort the signal. Only when it has ended without an error were all bytes right.
   * A chunk that is the whole of its ArrayBuffer is the receiver's alone, who may detach it.
   */
  get(key: string, options: GetOptions): Promise<AsyncIterable<Uint8Array> | undefined>;
  /**
   * Stores the object whole and durably, or not at all. True when stored; false when a condition was asked
   * and does not hold. The bytes there may then be our own, of a try whose answer got lost: read and compare.
   * After a failure they may be there too.
   */
  put(key: string, body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, options: PutOptions): Promise<boolean>;
  /** A small object, whole, with its version; undefined if it is absent. Fails where it is not small. */
  readVersioned(key: string, options: { readonly signal: AbortSignal }): Promise<Versioned | undefined>;
  /**
   * Stores a small object in place of `version`, or only if the key is absent where that is undefined. Gives the
   * version that it has then; undefined where the condition does not hold, which may be, as with put(), because an
   * earlier try had arrived. Bytes that were there before may have the same version as then: make them differ.
   */
  replace(
    key: string,
    bytes: Uint8Array,
    options: { readonly version: string | undefined; readonly signal: AbortSignal },
  ): Promise<string | undefined>;
  /** Deletes the object; absent is fine. */
  delete(key: string, options: { readonly signal: AbortSignal }): Promise<void>;
  /** Deletes all of them, in no particular order; absent is fine. When it throws, some may be gone. */
  deleteMany(keys: readonly string[], options: { readonly signal: AbortSignal }): Promise<void>;
  /**
   * Removes what writers left half-done that were killed, and gives its number: it is no object and on no list, but
   * takes room. A writer that is still at it fails.
   */
  sweep(options: SweepOptions): Promise<number>;
  /**
   * The time that the writer gave to the object, in milliseconds since the Unix epoch; `modifiedMs` where it gave
   * none. Costs a request where a list doesn't tell it.
   */
  exactTime(info: ObjectInfo, options: { readonly signal: AbortSignal }): Promise<number>;
};
