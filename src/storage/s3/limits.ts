// How long and how often the S3 store tries, and how much it holds. Tests hand in smaller ones.

export type Limits = {
  /** Times that one request is sent before the call fails. */
  readonly attempts: number;
  /** Pause after the first try, in milliseconds; it doubles with each, up to `pauseCapMs`. Half of it is random. */
  readonly pauseMs: number;
  readonly pauseCapMs: number;
  /** Longest pause that a service may ask for by Retry-After, in milliseconds. */
  readonly retryAfterCapMs: number;
  /** Name look-up, TCP and TLS, in milliseconds. */
  readonly connectMs: number;
  /** Time without any byte in either direction, in milliseconds. */
  readonly idleMs: number;
  /** A whole request and its answer, in milliseconds, besides the time that its body gets. Not for streams. */
  readonly requestMs: number;
  /** A body may come or go as slowly as this, in bytes per second. */
  readonly slowestBytesPerSecond: number;
  /** Size of a part, in bytes: what is larger goes up in parts. AWS takes none below 5 MiB but the last. */
  readonly partBytes: number;
  /** Keys of one page of a list, as asked for. AWS gives 1000 at most. */
  readonly pageKeys: number;
};

export const LIMITS: Limits = {
  attempts: 6, // about 5 s of pauses: what a short overload takes
  pauseMs: 200,
  pauseCapMs: 5_000,
  retryAfterCapMs: 30_000,
  connectMs: 10_000,
  idleMs: 30_000,
  requestMs: 60_000,
  slowestBytesPerSecond: 16 * 1024,
  partBytes: 5 * 1024 * 1024,
  pageKeys: 1000,
};

/** Connections to one service at a time. */
export const MAX_CONNECTIONS = 16;

/** How long a connection is kept for the next request, in milliseconds. Services close theirs after 5 to 60 s. */
export const KEEP_CONNECTION_MS = 10_000;

/** Size of an answer that is read as a whole, in bytes: a page of 1000 keys of 1024 characters, all escaped, fits. */
export const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

/** Objects of one list. More would not fit into a small machine's memory. */
export const MAX_LISTED = 1_000_000;

/** AWS's bound on the parts of an object. */
export const MAX_PARTS = 10_000;

/** Keys of one DeleteObjects request: AWS's bound. */
export const MAX_DELETED = 1000;

/** A stream that breaks this often without having brought `PROGRESS_BYTES` in between is given up. */
export const MAX_BREAKS = 6;
export const PROGRESS_BYTES = 1024 * 1024;
