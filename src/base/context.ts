// What the outside world hands in, so that a test or a simulator can hand in another one.

/** Wall clock and monotonic clock, both in milliseconds. */
export type Clock = {
  /** Milliseconds since the Unix epoch; may jump. For what is written down, never for intervals. */
  now(): number;
  /** Milliseconds since some start; never goes back. For intervals and deadlines. */
  monotonic(): number;
  /** Resolves after `ms` milliseconds; rejects with the signal's reason when it is aborted. */
  sleep(ms: number, options: { readonly signal: AbortSignal }): Promise<void>;
};

export type Random = {
  /** A random UUID, version 4, lower case. */
  uuid(): string;
  /** A number in [0, 1). */
  unit(): number;
};

/** Named points between the steps of a protocol, where a test pauses, kills or counts. Does nothing in production. */
export type At = (label: string) => void;
