// Several LTX files made into one, which leads to the same state as applying them one after the other.
// Source: superfly/ltx, compaction of format version 3; Litestream 0.5, levels

import assert from "node:assert/strict";
import { FlysqliteError } from "../../base/errors.ts";
import type { PageNumber } from "../../sqlite/page.ts";
import { decodeLtx } from "./decode.ts";
import { LtxEncoder, type LtxFlavour, type LtxPage } from "./encode.ts";
import { GrowthCheck } from "./growth.ts";
import { type LtxHeader, NO_WAL } from "./header.ts";
import { PageOrder } from "./page-order.ts";
import { formatTxid } from "./txid.ts";

export type MergeInput = {
  readonly key: string;
  readonly chunks: AsyncIterable<Uint8Array>;
};

/**
 * Bytes that a file is fed at a time. Pages shrink to some dozens of bytes at best, so that this much holds about a
 * hundred: half a megabyte of pages of 4096 bytes, which is what each input costs in memory.
 */
const FEED_BYTES = 4096;

/**
 * Merges `inputs`, oldest first, and gives the merged file in chunks that belong to the receiver.
 *
 * For each page the newest input that has it wins. Pages that a later input cut off are left out, also where the
 * database grew again: Litestream would let them show through, and relies on the file that grows having them.
 * The header has the first input's first transaction, the last one's last transaction, size and time, and no range of
 * a write-ahead log.
 *
 * Inputs are verified whole, but only when the last chunk is out is that done: whoever stores the file must not let
 * it appear before. Fails with E_REPLICA_CORRUPT for an input that isn't sound or has pages of another size, with
 * E_REPLICA_GAP for inputs that don't join, and as the inputs' chunks do.
 */
export async function* mergeLtx(
  inputs: readonly MergeInput[],
  options: { readonly flavour?: LtxFlavour } = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  assert(inputs.length > 0, "there is something to merge");
  await using readers = new Readers(inputs);
  const files = await readers.open();
  const header = mergeHeaders(files);
  const encoder = new LtxEncoder(header, options);
  const order = new PageOrder(header);
  for (let page = await takeNext(files); page !== undefined; page = await takeNext(files)) {
    refuse(files.at(-1)?.key, order.add(page.page));
    const chunk = encoder.add(page);
    if (chunk !== undefined) yield chunk;
  }
  refuse(files.at(-1)?.key, order.end());
  for (const { key, growth } of files) {
    const missing = growth?.firstMissing;
    if (missing !== undefined) refuse(key, `the database grows in it, and page ${missing} is not there`);
  }
  yield* encoder.end();
}

function refuse(key: string | undefined, problem: string | undefined): void {
  if (problem !== undefined) throw new FlysqliteError("E_REPLICA_CORRUPT", `Cannot merge "${key}": ${problem}`);
}

/** An input while it is merged. */
type MergedFile = {
  readonly key: string;
  readonly header: LtxHeader;
  readonly reader: LtxReader;
  /** Of the first file nobody knows how large the database was before. */
  readonly growth: GrowthCheck | undefined;
};

function mergeHeaders(files: readonly MergedFile[]): LtxHeader {
  const [first] = files;
  const last = files.at(-1);
  assert(first !== undefined && last !== undefined);
  for (const [i, { key, header }] of files.entries()) {
    if (header.pageSize !== first.header.pageSize) {
      refuse(key, `its pages have ${header.pageSize} bytes, those of "${first.key}" ${first.header.pageSize}`);
    }
    const before = files[i - 1];
    if (before === undefined) continue;
    if (header.min <= before.header.max + 1n && header.max > before.header.max) continue;
    const reached = formatTxid(before.header.max);
    throw new FlysqliteError("E_REPLICA_GAP", `Cannot merge "${key}": it does not continue transaction ${reached}`);
  }
  const { commit, max, timestampMs } = last.header;
  return { pageSize: first.header.pageSize, commit, min: first.header.min, max, timestampMs, wal: NO_WAL };
}

/** The lowest page of any file that counts, as the newest file has it; undefined after the last one. */
async function takeNext(files: readonly MergedFile[]): Promise<LtxPage | undefined> {
  while (true) {
    let lowest: PageNumber | undefined;
    for (const { reader } of files) {
      // Awaited only where there is something to wait for: that is once for some hundred pages.
      const page = reader.isReady ? reader.peek() : await reader.fill();
      if (page !== undefined && (lowest === undefined || page.page < lowest)) lowest = page.page;
    }
    if (lowest === undefined) return undefined;
    let smallest = Number.MAX_SAFE_INTEGER;
    let winner: LtxPage | undefined;
    for (let i = files.length - 1; i >= 0; i -= 1) {
      const file = files[i];
      assert(file !== undefined);
      smallest = Math.min(smallest, file.header.commit);
      if (file.reader.peek()?.page !== lowest) continue;
      const page = file.reader.take();
      file.growth?.saw(lowest);
      if (lowest <= smallest) winner ??= page;
    }
    if (winner !== undefined) return winner;
  }
}

/** All inputs, open at once; leaving closes what is still open. */
class Readers implements AsyncDisposable {
  readonly #readers: readonly { readonly key: string; readonly reader: LtxReader }[];

  constructor(inputs: readonly MergeInput[]) {
    this.#readers = inputs.map((input) => ({ key: input.key, reader: new LtxReader(input) }));
  }

  async open(): Promise<readonly MergedFile[]> {
    const files: MergedFile[] = [];
    for (const { key, reader } of this.#readers) {
      const header = await reader.header();
      const from = files.at(-1)?.header.commit;
      const { commit: to, pageSize } = header;
      const growth = from === undefined ? undefined : new GrowthCheck({ from, to, pageSize });
      files.push({ key, reader, header, growth });
    }
    return files;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { reader } of this.#readers) await reader.close();
  }
}

/**
 * The pages of a file, taken one by one: decodeLtx() hands them out as it reads, so it is fed a little at a time and
 * held back until what came of it is taken.
 */
class LtxReader {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #ended: Promise<void>;
  #header: LtxHeader | undefined;
  #pages: LtxPage[] = [];
  #nextPage = 0;
  #chunk: Uint8Array = new Uint8Array(0);
  #outcome: "open" | "whole" | { readonly failure: unknown } = "open";
  #isClosed = false;
  /** Resolved when the decoder may go on, and when it waits again or has ended. */
  #resume = Promise.withResolvers<void>();
  #paused = Promise.withResolvers<void>();

  constructor({ key, chunks }: MergeInput) {
    this.#source = chunks[Symbol.asyncIterator]();
    this.#ended = this.#decode(key);
  }

  /** True where peek() answers at once. */
  get isReady(): boolean {
    return this.#nextPage < this.#pages.length || this.#outcome === "whole";
  }

  /** Throws what is wrong with the file, where that is so. */
  async header(): Promise<LtxHeader> {
    await this.fill();
    assert(this.#header !== undefined, "a file that was read has a header");
    return this.#header;
  }

  /** The next page, or undefined after the last; valid until it is taken. */
  peek(): LtxPage | undefined {
    return this.#pages[this.#nextPage];
  }

  take(): LtxPage | undefined {
    const page = this.#pages[this.#nextPage];
    this.#nextPage += 1;
    return page;
  }

  /** Reads on until there is a next page, or the file has ended and is verified. */
  async fill(): Promise<LtxPage | undefined> {
    while (this.#nextPage >= this.#pages.length && this.#outcome === "open") {
      this.#pages = [];
      this.#nextPage = 0;
      this.#paused = Promise.withResolvers();
      this.#resume.resolve();
      await this.#paused.promise;
    }
    if (this.#outcome !== "open" && this.#outcome !== "whole") throw this.#outcome.failure;
    return this.peek();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#resume.resolve();
    await this.#ended;
  }

  async #decode(key: string): Promise<void> {
    try {
      await decodeLtx(this.#feed(), key, {
        onHeader: (header) => {
          this.#header = header;
        },
        onPage: ({ page, data }) => this.#pages.push({ page, data: data.slice() }),
      });
      this.#outcome = "whole";
    } catch (failure) {
      this.#outcome = { failure };
    }
    this.#paused.resolve();
  }

  async *#feed(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      while (true) {
        this.#resume = Promise.withResolvers();
        this.#paused.resolve();
        if (!this.#isClosed) await this.#resume.promise;
        if (this.#isClosed) throw new Error("closed before its end"); // nobody hears it
        if (this.#chunk.byteLength === 0) {
          const { done, value } = await this.#source.next();
          if (done === true) return;
          this.#chunk = value;
        }
        const piece = this.#chunk.subarray(0, FEED_BYTES);
        this.#chunk = this.#chunk.subarray(FEED_BYTES);
        yield piece;
      }
    } finally {
      await this.#source.return?.();
    }
  }
}
