// A database's history in LTX files, small and without SQLite: pages of 512 bytes that change, appear and vanish.

import { createCatalog } from "../../src/replica/catalog.ts";
import { inspectReplica } from "../../src/replica/inspect.ts";
import { decodeLtx } from "../../src/replica/ltx/decode.ts";
import { encodeLtx } from "../../src/replica/ltx/encode.ts";
import { NO_WAL } from "../../src/replica/ltx/header.ts";
import { formatLtxName, type LtxFileInfo } from "../../src/replica/ltx/names.ts";
import { planRestore, type RestoreTarget } from "../../src/replica/ltx/plan.ts";
import { NO_TXID, nextTxid, type Txid } from "../../src/replica/ltx/txid.ts";
import { type PageSize, parsePageSize, toPageNumber } from "../../src/sqlite/page.ts";
import type { ObjectStore } from "../../src/storage/store.ts";
import { seededRandom } from "./random.ts";

const never = new AbortController().signal;

export type History = ReturnType<typeof createHistory>;

/** The files go to `store`, and are noted in the history's catalog. */
export function createHistory(
  store: ObjectStore,
  {
    seed = 1,
    pageSize: size = 512,
    mostPages = 20,
    now = () => 0,
  }: {
    readonly seed?: number;
    readonly pageSize?: number;
    readonly mostPages?: number;
    readonly now?: () => number;
  } = {},
) {
  const random = seededRandom(seed);
  const catalog = createCatalog();
  const states = new Map<Txid, Uint8Array>([[NO_TXID, new Uint8Array(0)]]);
  let last = NO_TXID;
  let pageSize = pageSizeOf(size);

  function encode(changed: readonly number[], range: { min: Txid; max: Txid }, level: number): Uint8Array {
    const state = stateAt(range.max);
    const wal = level === 0 ? { ...NO_WAL, offsetBytes: 32 } : NO_WAL;
    const header = { pageSize, commit: state.byteLength / pageSize, ...range, timestampMs: now(), wal };
    const pages = changed.map((number) => ({
      page: toPageNumber(number),
      data: state.subarray((number - 1) * pageSize, number * pageSize),
    }));
    return new Uint8Array(Buffer.concat([...encodeLtx(header, pages)]));
  }

  function stateAt(txid: Txid): Uint8Array {
    const state = states.get(txid);
    if (state === undefined) throw new Error(`no transaction ${txid}`);
    return state;
  }

  async function put(target: ObjectStore, level: number, range: { min: Txid; max: Txid }, bytes: Uint8Array) {
    const key = `${target.levelDirectory(level)}/${formatLtxName(range)}`;
    await target.put(key, [bytes], { signal: never, ifAbsent: true, modifiedMs: now() });
    return { ...range, level, key, sizeBytes: bytes.byteLength, modifiedMs: now() };
  }

  /** Changes the database, and gives the numbers of the pages that a file of it must hold. */
  function change(): readonly number[] {
    const before = stateAt(last);
    const pageCount = 1 + Math.floor(random.unit() * mostPages);
    const after = new Uint8Array(pageCount * pageSize);
    after.set(before.subarray(0, after.byteLength));
    const changed: number[] = [];
    for (let page = 1; page <= pageCount; page += 1) {
      const isNew = page * pageSize > before.byteLength;
      if (!isNew && random.unit() > 0.3) continue;
      after.fill(Math.floor(random.unit() * 256), (page - 1) * pageSize, page * pageSize);
      changed.push(page);
    }
    last = nextTxid(last);
    states.set(last, after);
    return changed;
  }

  const history = {
    catalog,
    stateAt,
    get last() {
      return last;
    },
    /** Commits and uploads, so many times. */
    async upload(times = 1): Promise<void> {
      for (let i = 0; i < times; i += 1) {
        const bytes = encode(change(), { min: last, max: last }, 0);
        catalog.add(await put(store, 0, { min: last, max: last }, bytes));
      }
    },
    /** Commits, and puts the files into another store only. */
    async stage(local: ObjectStore, times = 1): Promise<readonly LtxFileInfo[]> {
      const files: LtxFileInfo[] = [];
      for (let i = 0; i < times; i += 1) {
        const bytes = encode(change(), { min: last, max: last }, 0);
        files.push(await put(local, 0, { min: last, max: last }, bytes));
      }
      return files;
    },
    async snapshot(): Promise<void> {
      const pages = Array.from({ length: stateAt(last).byteLength / pageSize }, (_, i) => i + 1);
      const range = { min: toFirst(), max: last };
      catalog.add(await put(store, 9, range, encode(pages, range, 9)));
    },
    /** A commit after which pages have another size, with a snapshot of it. */
    async changePageSize(next: number): Promise<void> {
      pageSize = pageSizeOf(next);
      states.set(last, new Uint8Array(0));
      await history.upload();
      await history.snapshot();
    },
  };
  return history;
}

function toFirst(): Txid {
  return nextTxid(NO_TXID);
}

function pageSizeOf(value: number): PageSize {
  const size = parsePageSize(value);
  if (size === undefined) throw new Error(`no page size: ${value}`);
  return size;
}

/** The database that a restore of what the store holds leads to. */
export async function restoredState(
  store: ObjectStore,
  target: RestoreTarget = { kind: "latest" },
): Promise<Uint8Array> {
  const { files } = await inspectReplica(store, { signal: never });
  let state = new Uint8Array(0);
  for (const { key } of planRestore(files, target)) {
    const pages: { readonly page: number; readonly data: Uint8Array }[] = [];
    const { header } = await decodeLtx((await store.get(key, { signal: never })) ?? noChunks(), key, {
      onPage: ({ page, data }) => pages.push({ page, data: data.slice() }),
    });
    const resized = new Uint8Array(header.commit * header.pageSize);
    resized.set(state.subarray(0, resized.byteLength));
    for (const { page, data } of pages) resized.set(data, (page - 1) * header.pageSize);
    state = resized;
  }
  return state;
}

async function* noChunks(): AsyncGenerator<Uint8Array> {}
