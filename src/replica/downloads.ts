// Objects of a replica, fetched ahead of their use: several at a time, within a bound of memory, handed on in order.

import { FlysqliteError } from "../base/errors.ts";
import type { GetOptions, ObjectInfo, ObjectStore } from "../storage/store.ts";
import { release } from "./release.ts";

/** Downloads at a time, where the caller doesn't say: enough to hide a bucket's latency. */
export const PARALLEL_DOWNLOADS = 8;

/** Most bytes that wait to be used, where the caller doesn't say; each download may go above it by one chunk. */
export const DOWNLOAD_BUFFER_BYTES = 8 * 1024 * 1024;

/**
 * What is larger is fetched in parts of this size, in bytes: a single connection brings some ten megabytes a second
 * from most buckets, and a database's copy is one object.
 */
const PART_BYTES = 4 * 1024 * 1024;

export type DownloadOptions = {
  readonly store: ObjectStore;
  readonly signal: AbortSignal;
  readonly parallelDownloads?: number | undefined;
  readonly bufferBytes?: number | undefined;
  /** Told how many bytes were taken out, each time some were. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
};

/** An object as a listing shows it; one without a version is fetched as a whole. */
export type Downloadable = Pick<ObjectInfo, "key"> & Partial<Pick<ObjectInfo, "sizeBytes" | "version">>;

export type Download<Item> = {
  readonly item: Item;
  /**
   * The object's bytes, to be read before the next download is asked for. A chunk is valid until the next one is
   * asked for.
   */
  readonly chunks: AsyncIterable<Uint8Array>;
};

/** An object was listed and is gone: retention may have removed it, and a new plan may do without. */
export class Vanished extends FlysqliteError {
  constructor(key: string, store: ObjectStore) {
    super("E_REPLICA_GAP", `Cannot restore: "${key}" was listed and is gone from "${store.address}"`);
  }
}

/**
 * Fetches the objects of `items` and gives them in that order. Leaving the loop ends all downloads, before it returns.
 *
 * A failure comes out where its object would. It is the store's own, the signal's reason, or Vanished.
 */
export async function* downloadInOrder<Item extends Downloadable>(
  items: readonly Item[],
  options: DownloadOptions,
): AsyncGenerator<Download<Item>, void, undefined> {
  const { store, parallelDownloads = PARALLEL_DOWNLOADS, bufferBytes = DOWNLOAD_BUFFER_BYTES } = options;
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const budget = new Budget(bufferBytes, signal);
  const parts = cutIntoParts(items);
  const running: { readonly item: Item; readonly queue: Queue; readonly ended: Promise<void> }[] = [];
  /** Its reader left it: what is not begun yet of it need not be. */
  let left: Item | undefined;
  const start = () => {
    while (running.length < parallelDownloads || running.length === 0) {
      const part = parts.next().value;
      if (part === undefined) return;
      if (part.item === left) continue;
      const queue = new Queue(budget);
      running.push({ item: part.item, queue, ended: fill(queue, part, { store, signal }) });
    }
  };
  /** The chunks of the parts that come first, as long as they are the item's. */
  async function* take(item: Item): AsyncGenerator<Uint8Array, void, undefined> {
    for (let first = running[0]; first?.item === item; first = running[0]) {
      first.queue.promote();
      yield* first.queue.take(options.onBytes);
      running.shift();
      start();
    }
  }
  try {
    for (const item of items) {
      start();
      yield { item, chunks: take(item) };
      left = item;
      while (running[0]?.item === item) running.shift()?.queue.discard();
    }
  } finally {
    stop.abort();
    await Promise.all(running.map(({ ended }) => ended));
  }
}

type Part<Item> = { readonly item: Item; readonly range: Pick<GetOptions, "offset" | "lengthBytes" | "version"> };

/** Each item as one part or several. An object of no bytes is a part, too. */
function* cutIntoParts<Item extends Downloadable>(items: readonly Item[]): Generator<Part<Item>, undefined> {
  for (const item of items) {
    const { sizeBytes = 0, version } = item;
    if (version === undefined || sizeBytes <= PART_BYTES) {
      yield { item, range: {} };
      continue;
    }
    for (let offset = 0; offset < sizeBytes; offset += PART_BYTES) {
      yield { item, range: { offset, lengthBytes: Math.min(PART_BYTES, sizeBytes - offset), version } };
    }
  }
  return undefined;
}

/** Never rejects: what goes wrong is told to whoever takes from the queue. */
async function fill(
  queue: Queue,
  { item: { key }, range }: Part<Downloadable>,
  { store, signal }: { readonly store: ObjectStore; readonly signal: AbortSignal },
): Promise<void> {
  try {
    await queue.room();
    const chunks = await store.get(key, { ...range, signal });
    if (chunks === undefined) throw new Vanished(key, store);
    for await (const chunk of chunks) {
      signal.throwIfAborted();
      queue.add(chunk);
      await queue.room();
      if (queue.isDiscarded) return;
    }
    queue.end();
  } catch (error) {
    queue.fail(error);
  }
}

/** Memory that all queues share. Who waits for it looks again at each change. */
class Budget {
  readonly #most: number;
  readonly #signal: AbortSignal;
  #used = 0;
  #change = Promise.withResolvers<void>();

  constructor(most: number, signal: AbortSignal) {
    this.#most = most;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.changed(), { once: true });
  }

  get isSpent(): boolean {
    return this.#used >= this.#most;
  }

  use(bytes: number): void {
    this.#used += bytes;
    this.changed();
  }

  changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  /** Waits for any change; throws the signal's reason when it is aborted. */
  async wait(): Promise<void> {
    this.#signal.throwIfAborted();
    await this.#change.promise;
    this.#signal.throwIfAborted();
  }
}

/** What was fetched of one object and not yet taken. */
class Queue {
  readonly #budget: Budget;
  readonly #chunks: Uint8Array[] = [];
  #outcome: "open" | "whole" | { readonly failure: unknown } = "open";
  #isFirst = false;
  #isDiscarded = false;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  get isDiscarded(): boolean {
    return this.#isDiscarded;
  }

  /** This one is being read: it may always hold one chunk, so that the reader never waits for others' memory. */
  promote(): void {
    this.#isFirst = true;
    this.#budget.changed();
  }

  /** Waits until another chunk may be fetched. */
  async room(): Promise<void> {
    while (this.#budget.isSpent && !this.#isDiscarded && !(this.#isFirst && this.#chunks.length === 0)) {
      await this.#budget.wait();
    }
  }

  add(chunk: Uint8Array): void {
    if (this.#isDiscarded) return;
    this.#chunks.push(chunk);
    this.#budget.use(chunk.byteLength);
  }

  end(): void {
    this.#outcome = "whole";
    this.#budget.changed();
  }

  fail(failure: unknown): void {
    this.#outcome = { failure };
    this.#budget.changed();
  }

  async *take(onBytes: ((bytes: number) => void) | undefined): AsyncGenerator<Uint8Array, void, undefined> {
    while (true) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#budget.use(-chunk.byteLength);
        onBytes?.(chunk.byteLength);
        yield chunk;
        release(chunk);
      } else if (this.#outcome === "whole") {
        return;
      } else if (this.#outcome !== "open") {
        throw this.#outcome.failure;
      } else {
        await this.#budget.wait();
      }
    }
  }

  /** Drops what nobody took. */
  discard(): void {
    this.#isDiscarded = true;
    for (const chunk of this.#chunks.splice(0)) this.#budget.use(-chunk.byteLength);
  }
}
