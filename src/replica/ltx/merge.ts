// Several LTX files made into one, which leads to the same state as applying them one after the other.
// Source: superfly/ltx, compaction of format version 3; Litestream 0.5, levels

import { setImmediate } from "node:timers/promises";
import { assert } from "../../base/assert.ts";
import { FlysqliteError } from "../../base/errors.ts";
import type { PageNumber } from "../../sqlite/page.ts";
import { LtxReader } from "./decode.ts";
import { LtxEncoder, type LtxFlavour, type LtxPage } from "./encode.ts";
import { GrowthCheck } from "./growth.ts";
import { type LtxHeader, NO_WAL } from "./header.ts";
import { PageOrder } from "./page-order.ts";
import { formatTxid, type Txid } from "./txid.ts";

export type MergeInput = {
  readonly key: string;
  readonly chunks: AsyncIterable<Uint8Array>;
};

export type MergeOptions = {
  readonly flavour?: LtxFlavour | undefined;
  /**
   * First transaction of the merged file, where that is one within the first input. The file then holds pages that
   * did not change in its range, which does no harm; a copy of the whole database so stands in for any part of a
   * history up to it.
   */
  readonly min?: Txid | undefined;
};

export type LtxMerge = AsyncDisposable & {
  /** Of the merged file. */
  readonly header: LtxHeader;
  /** The merged file, to be read once. */
  readonly chunks: AsyncGenerator<Uint8Array, void, undefined>;
};

/** An input that stands in the way: by itself, or since its pages have another size than those before it. */
export class InputRefused extends FlysqliteError {
  readonly key: string;
  readonly kind: "unsound" | "page-size";

  constructor(
    message: string,
    { key, kind, cause }: Pick<InputRefused, "key" | "kind"> & { readonly cause?: unknown },
  ) {
    super("E_REPLICA_CORRUPT", message, { cause });
    this.key = key;
    this.kind = kind;
  }
}

/** Pages that are taken in one go, in bytes: some 10 ms, after which others in this process have their turn. */
const TURN_BYTES = 1024 * 1024;

/**
 * Merges `inputs`, oldest first, and gives the merged file in chunks that belong to the receiver.
 *
 * For each page the newest input that has it wins. Pages that a later input cut off are left out, also where the
 * database grew again: Litestream would let them show through, and relies on the file that grows having them.
 * The header has the first input's first transaction, the last one's last transaction, size and time, and no range of
 * a write-ahead log. The same inputs give the same bytes each time.
 *
 * Of each input a chunk and some pages' worth of bytes are held. Inputs are verified whole, but only when the last
 * chunk is out is that done: whoever stores the file must not let it appear before. Fails with InputRefused for an
 * input that isn't sound or has pages of another size, with E_REPLICA_GAP for inputs that don't join, and as the
 * inputs' chunks do.
 */
export async function* mergeLtx(
  inputs: readonly MergeInput[],
  options: MergeOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  await using merge = await openMerge(inputs, options);
  yield* merge.chunks;
}

/** The same for those who need the header first. Reads the beginning of all inputs; closing it closes them. */
export async function openMerge(inputs: readonly MergeInput[], { flavour, min }: MergeOptions = {}): Promise<LtxMerge> {
  await using opened = new AsyncDisposableStack();
  const files: Input[] = [];
  for (const input of inputs) files.push(opened.use(await Input.open(input, files.at(-1)?.header)));
  const header = mergeHeaders(files, min);
  const encoder = new LtxEncoder(header, { flavour });
  const chunks = mergePages(files, { header, encoder });
  const kept = opened.move();
  return { header, chunks, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function* mergePages(
  files: readonly Input[],
  { header, encoder }: { readonly header: LtxHeader; readonly encoder: LtxEncoder },
): AsyncGenerator<Uint8Array, void, undefined> {
  const last = files.at(-1);
  assert(last !== undefined, "a merge has files");
  const order = new PageOrder(header);
  let taken = 0;
  for (const file of files) await file.advance();
  for (let lowest = lowestPage(files); lowest !== undefined; lowest = lowestPage(files)) {
    const winner = newestOf(files, lowest);
    if (winner !== undefined) {
      last.refuse(order.add(lowest));
      const chunk = encoder.add(winner);
      if (chunk !== undefined) yield chunk;
    }
    for (const file of files) {
      if (file.page?.page !== lowest) continue;
      taken += header.pageSize;
      const waiting = file.advance();
      if (waiting !== undefined) await waiting; // for some hundred pages there is nothing to wait for
    }
    if (taken < TURN_BYTES) continue;
    taken = 0;
    await setImmediate();
  }
  last.refuse(order.end());
  for (const file of files) file.checkGrowth();
  yield* encoder.end();
}

/** The lowest page that is next in any file. */
function lowestPage(files: readonly Input[]): PageNumber | undefined {
  let lowest: PageNumber | undefined;
  for (const { page } of files) {
    if (page !== undefined && (lowest === undefined || page.page < lowest)) lowest = page.page;
  }
  return lowest;
}

/** The page as the newest file has it that is next to give it; undefined where a later file cut it off. */
function newestOf(files: readonly Input[], lowest: PageNumber): LtxPage | undefined {
  for (let i = files.length - 1; i >= 0; i -= 1) {
    const file = files[i];
    if (file === undefined || lowest > file.header.commit) return undefined;
    if (file.page?.page === lowest) return file.page;
  }
  return undefined;
}

function mergeHeaders(files: readonly Input[], from: Txid | undefined): LtxHeader {
  const [first] = files;
  const last = files.at(-1);
  assert(first !== undefined && last !== undefined, "there is something to merge");
  for (const [i, file] of files.entries()) {
    const { key, header } = file;
    if (header.pageSize !== first.header.pageSize) {
      const sizes = `its pages have ${header.pageSize} bytes, those of "${first.key}" ${first.header.pageSize}`;
      throw new InputRefused(`Cannot merge "${key}": ${sizes}`, { key, kind: "page-size" });
    }
    const before = files[i - 1];
    if (before === undefined) continue;
    if (header.min <= before.header.max + 1n && header.max > before.header.max) continue;
    const reached = formatTxid(before.header.max);
    throw new FlysqliteError("E_REPLICA_GAP", `Cannot merge "${key}": it does not continue transaction ${reached}`);
  }
  const { commit, max, timestampMs } = last.header;
  const min = from ?? first.header.min;
  assert(first.header.min <= min && min <= first.header.max, `${min} is no transaction of the first input`);
  return { pageSize: first.header.pageSize, commit, min, max, timestampMs, wal: NO_WAL };
}

/** A file while it is merged. */
class Input implements AsyncDisposable {
  readonly key: string;
  readonly header: LtxHeader;
  /** The next page, until advance(); undefined after the last one. */
  page: LtxPage | undefined;
  readonly #reader: LtxReader;
  readonly #growth: GrowthCheck | undefined;

  private constructor(key: string, reader: LtxReader, header: LtxHeader, growth: GrowthCheck | undefined) {
    this.key = key;
    this.header = header;
    this.#reader = reader;
    this.#growth = growth;
  }

  /** `before` is the header of the file before. Of the first file nobody knows how large the database was before. */
  static async open({ key, chunks }: MergeInput, before: LtxHeader | undefined): Promise<Input> {
    const reader = new LtxReader(chunks, key);
    try {
      const header = await reader.readHeader();
      const { commit: to, pageSize } = header;
      const growth = before === undefined ? undefined : new GrowthCheck({ from: before.commit, to, pageSize });
      return new Input(key, reader, header, growth);
    } catch (error) {
      await reader[Symbol.asyncDispose]();
      throw asRefusal(key, error);
    }
  }

  /** Goes on to the next page. A promise only where bytes must be waited for. */
  advance(): Promise<void> | undefined {
    try {
      const next = this.#reader.next();
      if (next instanceof Promise) return this.#set(next);
      this.page = next;
    } catch (error) {
      throw asRefusal(this.key, error);
    }
    if (this.page !== undefined) this.#growth?.saw(this.page.page);
    return undefined;
  }

  checkGrowth(): void {
    const missing = this.#growth?.firstMissing;
    if (missing !== undefined) this.refuse(`the database grows in it, and page ${missing} is not there`);
  }

  refuse(problem: string | undefined): void {
    const { key } = this;
    if (problem !== undefined) throw new InputRefused(`Cannot merge "${key}": ${problem}`, { key, kind: "unsound" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader[Symbol.asyncDispose]();
  }

  async #set(next: Promise<LtxPage | undefined>): Promise<void> {
    try {
      this.page = await next;
    } catch (error) {
      throw asRefusal(this.key, error);
    }
    if (this.page !== undefined) this.#growth?.saw(this.page.page);
  }
}

/** What the decoder says is the input's fault; all else is its source's. */
function asRefusal(key: string, error: unknown): unknown {
  if (!(error instanceof FlysqliteError) || error.code !== "E_REPLICA_CORRUPT") return error;
  return new InputRefused(error.message, { key, kind: "unsound", cause: error });
}
