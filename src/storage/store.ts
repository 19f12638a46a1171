// A place for objects: keys and bytes, no format. file.ts implements it.
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
};

export type PutOptions = {
  readonly signal: AbortSignal;
  /** Store only if the key is absent; false is answered otherwise. */
  readonly ifAbsent?: boolean;
  /** Time to give to the object where the store keeps one, in milliseconds since the Unix epoch. */
  readonly modifiedMs?: number;
};

export type ObjectStore = {
  /** Address without secrets, for messages: "file:///backup/db". */
  readonly address: string;
  /** How the store spells the directory of an LTX level below its root (litestream-formats.md 3.14). */
  readonly levelDirectory: (level: number) => string;
  /** All objects below `prefix` ("" or ending in "/"), in ascending order of keys. */
  list(prefix: string, options: { readonly signal: AbortSignal }): Promise<readonly ObjectInfo[]>;
  /** The object's bytes as a stream of chunks, or undefined if it is absent. */
  get(key: string, options: { readonly signal: AbortSignal }): Promise<AsyncIterable<Uint8Array> | undefined>;
  /**
   * Stores the object whole and durably, or not at all. True when stored; false when `ifAbsent` was asked
   * and the key is there.
   */
  put(key: string, body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, options: PutOptions): Promise<boolean>;
  /** Deletes the object; absent is fine. */
  delete(key: string, options: { readonly signal: AbortSignal }): Promise<void>;
};
