import { describe, expect, it } from "vitest";
import { Crc64 } from "../../../../src/base/crc64.ts";
import type { LtxPage } from "../../../../src/replica/ltx/encode.ts";
import { InputRefused, mergeLtx } from "../../../../src/replica/ltx/merge.ts";
import { PageIndex } from "../../../../src/replica/ltx/page-frame.ts";
import { toTxid } from "../../../../src/replica/ltx/txid.ts";
import { xxHash32 } from "../../../../src/replica/ltx/xxhash32.ts";
import { toPageNumber } from "../../../../src/sqlite/page.ts";
import { seededRandom } from "../../../support/random.ts";
import {
  decode,
  encode,
  headerWith,
  inChunks,
  listReplica,
  noise,
  pageOf,
  pageSizeOf,
  readFixture,
} from "./support.ts";

const PAGE_SIZE = 512;

async function merge(files: readonly Uint8Array[], options: Parameters<typeof mergeLtx>[1] = {}): Promise<Uint8Array> {
  const inputs = files.map((bytes, i) => ({ key: `input-${i}`, chunks: inChunks(bytes, 10_000) }));
  const chunks: Uint8Array[] = [];
  for await (const chunk of mergeLtx(inputs, options)) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

/** The database after all files, one after the other. */
async function apply(files: readonly Uint8Array[], before: Uint8Array = new Uint8Array(0)): Promise<Uint8Array> {
  let database = before;
  for (const bytes of files) {
    const { summary, pages } = await decode(bytes);
    const resized = new Uint8Array(summary.header.commit * PAGE_SIZE);
    resized.set(database.subarray(0, resized.byteLength));
    for (const { page, data } of pages) resized.set(data, (page - 1) * PAGE_SIZE);
    database = resized;
  }
  return database;
}

/** A file of one transaction with these pages; each page's content is told by `content`. */
function file(txid: number, commit: number, pages: readonly number[], content = txid): Uint8Array {
  const range = { min: toTxid(BigInt(txid)), max: toTxid(BigInt(txid)) };
  return encode(
    headerWith({ ...range, commit, timestampMs: txid * 10 }),
    pages.map((page) => pageOf(page, PAGE_SIZE, content * 16 + page)),
  );
}

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

describe("mergeLtx", () => {
  it("takes each page from the newest file that has it", async () => {
    const merged = await merge([file(1, 3, [1, 2, 3]), file(2, 3, [2]), file(3, 4, [1, 4])]);
    const { summary, pages } = await decode(merged);
    expect(pages.map(({ page, data }) => [page, data[0]])).toEqual([
      [1, 49],
      [2, 34],
      [3, 19],
      [4, 52],
    ]);
    expect(summary.header).toEqual({
      pageSize: PAGE_SIZE,
      commit: 4,
      min: 1n,
      max: 3n,
      timestampMs: 30,
      wal: { offsetBytes: 0, sizeBytes: 0, salts: [0, 0] },
    });
  });

  it("drops pages that were cut off, also where the database grew again", async () => {
    const { pages } = await decode(await merge([file(2, 9, [8, 9]), file(3, 4, [2]), file(4, 6, [5, 6])]));
    expect(pages.map(({ page, data }) => [page, data[0]])).toEqual([
      [2, 3 * 16 + 2],
      [5, 4 * 16 + 5],
      [6, 4 * 16 + 6],
    ]);
  });

  it("leads to the same database as its inputs, whatever they hold and however they are grouped", async () => {
    const random = seededRandom(11);
    const upTo = (most: number) => Math.floor(random.unit() * most);
    for (let round = 0; round < 150; round += 1) {
      const files = [file(1, 5, range(1, 5))];
      let size = 5;
      for (let txid = 2; txid <= 9; txid += 1) {
        const after = 1 + upTo(12);
        const changed = range(1, after).filter((page) => page > size || random.unit() < 0.3);
        files.push(file(txid, after, changed, upTo(12)));
        size = after;
      }
      const expected = await apply(files);
      const first = 1 + upTo(7);
      const last = first + 1 + upTo(8 - first);
      const flavour = random.unit() < 0.5 ? "frame" : "block";
      const merged = await merge(files.slice(first, last), { flavour });
      expect(await apply([...files.slice(0, first), merged, ...files.slice(last)])).toEqual(expected);
      expect(await apply([await merge([merged, ...files.slice(last)])], await apply(files.slice(0, first)))).toEqual(
        expected,
      );
      expect(await apply([await merge(files)])).toEqual(expected);
      expect(await apply([await merge([await merge(files.slice(0, last)), ...files.slice(last)])])).toEqual(expected);
    }
  }, 30_000);

  it.each(["v0.5.15", "v0.5.16"])(
    "makes of Litestream's own files what Litestream made of them: %s",
    async (version) => {
      const all = listReplica(version);
      const merges = all.filter(({ level, min }) => level === 1 || (level === 2 && min > 1n));
      let compared = 0;
      for (const { key, level, min, max } of merges) {
        const inputs = all.filter((other) => other.level === level - 1 && other.min >= min && other.max <= max);
        if (inputs.at(0)?.min !== min || inputs.at(-1)?.max !== max) continue; // deleted since
        const merged = await decode(await merge(inputs.map((input) => readFixture(input.key))));
        const theirs = await decode(readFixture(key));
        expect(merged.pages).toEqual(theirs.pages);
        expect(merged.summary.header).toEqual(theirs.summary.header);
        compared += 1;
      }
      expect(compared).toBeGreaterThan(5);
    },
  );

  it("takes files that overlap, and a single one", async () => {
    const both = await merge([file(2, 5, [1]), file(3, 5, [2])]);
    const { summary, pages } = await decode(await merge([both, await merge([file(3, 5, [2]), file(4, 5, [3])])]));
    expect(summary.header).toMatchObject({ min: 2n, max: 4n });
    expect(pages.map(({ page }) => page)).toEqual([1, 2, 3]);
    const alone = await decode(await merge([file(2, 5, [1])]));
    expect(alone.pages).toEqual((await decode(file(2, 5, [1]))).pages);
  });

  it("skips the lock page of a database beyond 1 GiB", async () => {
    const pageSize = pageSizeOf(65536);
    const at = (txid: number, commit: number, numbers: readonly number[]) =>
      encode(
        headerWith({ pageSize, commit, min: toTxid(BigInt(txid)), max: toTxid(BigInt(txid)) }),
        numbers.map((page): LtxPage => ({ page: toPageNumber(page), data: new Uint8Array(pageSize) })),
      );
    const { pages } = await decode(await merge([at(2, 16383, [1]), at(3, 16386, [16384, 16386])]));
    expect(pages.map(({ page }) => page)).toEqual([1, 16384, 16386]);
  });

  it("begins within its first file, which so stands for the part of the history before it", async () => {
    const copy = await merge([file(1, 4, [1, 2, 3, 4]), file(2, 4, [2]), file(3, 3, [3])]); // of 1 to 3
    const merged = await merge([copy, file(4, 3, [1])], { min: toTxid(3n) });
    const { summary, pages } = await decode(merged);
    expect(summary.header).toMatchObject({ min: 3n, max: 4n, commit: 3 });
    expect(pages.map(({ page, data }) => [page, data[0]])).toEqual([
      [1, 4 * 16 + 1],
      [2, 2 * 16 + 2],
      [3, 3 * 16 + 3],
    ]);
    const before = await apply([file(1, 4, [1, 2, 3, 4]), file(2, 4, [2])]);
    expect(await apply([merged], before)).toEqual(await apply([copy, file(4, 3, [1])]));
  });

  it("gives the same bytes each time, however its inputs are cut into chunks", async () => {
    const next = noise(5);
    const files = [2, 3, 4].map((txid) =>
      encode(
        headerWith({ commit: 40, min: toTxid(BigInt(txid)), max: toTxid(BigInt(txid)) }),
        range(1, 40).map((page) => pageOf(page, PAGE_SIZE, page % 2 === 0 ? next : page)),
      ),
    );
    const cut = async (size: number) => {
      const chunks: Uint8Array[] = [];
      const inputs = files.map((bytes, i) => ({ key: `input-${i}`, chunks: inChunks(bytes, size) }));
      for await (const chunk of mergeLtx(inputs)) chunks.push(chunk);
      return Buffer.concat(chunks);
    };
    expect(await cut(7)).toEqual(await cut(100_000));
  });

  it.each([
    ["blocks", "block", "frame"],
    ["frames", "frame", "block"],
    ["frames that need not be compressed again", "frame", "frame"],
  ] as const)("makes of %s what was asked for", async (_, from, to) => {
    const pages = range(1, 9).map((page) => pageOf(page, PAGE_SIZE, page % 3 === 0 ? noise(page) : page));
    const input = encode(headerWith({ commit: 9 }), pages, from);
    const merged = await merge([input], { flavour: to });
    const expected = encode(headerWith({ commit: 9, wal: { offsetBytes: 0, sizeBytes: 0, salts: [0, 0] } }), pages, to);
    expect(merged).toEqual(expected);
  });

  it("compresses anew what another program wrote in a form that old releases can't read", async () => {
    const pages = range(1, 3).map((page) => pageOf(page, PAGE_SIZE));
    const frames = encode(headerWith(), pages);
    const others = withoutContentChecksums(frames, pages);
    expect((await decode(others)).pages).toEqual((await decode(frames)).pages);
    expect(await merge([others])).toEqual(await merge([frames]));
  });

  it("lets others have their turn while it works", async () => {
    const pageSize = pageSizeOf(65536);
    const at = (txid: bigint) =>
      encode(
        headerWith({ pageSize, commit: 200, min: toTxid(txid), max: toTxid(txid) }),
        range(1, 200).map((page) => pageOf(page, 65536)),
      );
    let turns = 0;
    let isDone = false;
    const count = () => {
      if (isDone) return;
      turns += 1;
      setImmediate(count);
    };
    setImmediate(count);
    await merge([at(2n), at(3n)]);
    isDone = true;
    expect(turns).toBeGreaterThan(20); // 26 MB of pages
  });

  it("refuses files that don't join, or of another page size", async () => {
    await expect(merge([file(2, 5, [1]), file(4, 5, [1])])).rejects.toMatchObject({
      code: "E_REPLICA_GAP",
      message: 'Cannot merge "input-1": it does not continue transaction 0000000000000002',
    });
    await expect(merge([file(2, 5, [1]), file(2, 5, [1])])).rejects.toMatchObject({ code: "E_REPLICA_GAP" });
    const range = { min: toTxid(3n), max: toTxid(3n) };
    const other = encode(headerWith({ ...range, pageSize: pageSizeOf(1024), commit: 5 }), [pageOf(1, 1024)]);
    await expect(merge([file(2, 5, [1]), other])).rejects.toMatchObject({
      code: "E_REPLICA_CORRUPT",
      key: "input-1",
      kind: "page-size",
    });
  });

  it("refuses a file that grows the database without the new pages", async () => {
    await expect(merge([file(2, 5, [1]), file(3, 7, [7])])).rejects.toMatchObject({
      code: "E_REPLICA_CORRUPT",
      message: 'Cannot merge "input-1": the database grows in it, and page 6 is not there',
      key: "input-1",
      kind: "unsound",
    });
  });

  it("never ends well with a damaged input, wherever the damage is", async () => {
    const files = [file(1, 3, [1, 2, 3]), file(2, 3, [2]), file(3, 2, [1])];
    for (const [i, bytes] of files.entries()) {
      for (let at = 0; at < bytes.length; at += 1) {
        const damaged = bytes.slice();
        damaged[at] = (damaged[at] ?? 0) ^ 0x10;
        const inputs = files.map((other, j) => (j === i ? damaged : other));
        const result = await merge(inputs).then(
          async (merged) => (await decode(merged)).pages,
          (error: unknown) => error,
        );
        if (result instanceof InputRefused) expect(result.key).toBe(`input-${i}`);
        // What its header says may not join on to the others, and tell nothing of which of them is wrong.
        else if (result instanceof Error) expect(result).toMatchObject({ code: "E_REPLICA_GAP" });
        // A changed byte of a compressed block may stand for the same page.
        else expect(result).toEqual((await decode(await merge(files))).pages);
      }
      await expect(merge(files.map((other, j) => (j === i ? other.subarray(0, -1) : other)))).rejects.toThrow(
        "trailer",
      );
    }
  });

  it("passes on an input's failure, and closes all inputs when it or its reader stops", async () => {
    let closed = 0;
    async function* source(bytes: Uint8Array, failure?: Error) {
      try {
        yield bytes.subarray(0, 150);
        if (failure !== undefined) throw failure;
        yield bytes.subarray(150);
      } finally {
        closed += 1;
      }
    }
    const sources = (failure?: Error) => [
      { key: "a", chunks: source(file(1, 3, [1, 2, 3])) },
      { key: "b", chunks: source(file(2, 3, [2]), failure) },
    ];
    await expect(mergeLtx(sources(new Error("connection reset"))).next()).rejects.toThrow("connection reset");
    expect(closed).toBe(2);
    for await (const _ of mergeLtx(sources())) break;
    expect(closed).toBe(4);
  });

  it("holds little of its inputs", async () => {
    const next = noise(3);
    const pageSize = pageSizeOf(4096);
    const pages = range(1, 2000).map((page) => pageOf(page, 4096, next));
    const large = encode(headerWith({ pageSize, commit: 2000 }), pages);
    const small = encode(headerWith({ pageSize, commit: 2000, min: toTxid(2n), max: toTxid(2n) }), [
      pageOf(1999, 4096),
    ]);
    let read = 0;
    async function* counted() {
      for await (const chunk of inChunks(large, 65536)) {
        read += chunk.length;
        yield chunk;
      }
    }
    let written = 0;
    for await (const chunk of mergeLtx([
      { key: "large", chunks: counted() },
      { key: "small", chunks: inChunks(small) },
    ])) {
      written += chunk.length;
      expect(read - written).toBeLessThan(500_000);
    }
    expect(written).toBeGreaterThan(8_000_000);
  });
});

/** The file of three pages with LZ4 frames that have no checksum of their content, which the format allows. */
function withoutContentChecksums(bytes: Uint8Array, pages: readonly LtxPage[]): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const parts: Uint8Array[] = [bytes.subarray(0, 100)];
  const checksum = new Crc64().update(bytes.subarray(0, 100));
  const index = new PageIndex();
  let at = 100;
  let offset = 100;
  for (const { page, data } of pages) {
    const end = at + 6 + 11 + view.getUint32(at + 6 + 7, true) + 8;
    const frame = bytes.slice(at, end - 4);
    frame[6 + 4] = 0x60;
    frame[6 + 6] = xxHash32(frame.subarray(6 + 4, 6 + 6)) >>> 8;
    parts.push(frame);
    checksum.update(frame.subarray(0, 6)).update(data);
    index.add({ page, offset, size: frame.byteLength });
    offset += frame.byteLength;
    at = end;
  }
  const entries = index.encoded();
  const end = new Uint8Array(8 + 16);
  const endView = new DataView(end.buffer);
  endView.setBigUint64(0, BigInt(entries.byteLength));
  checksum.update(new Uint8Array(6)).update(entries).update(end.subarray(0, 16));
  endView.setBigUint64(16, checksum.digest() | (1n << 63n));
  return new Uint8Array(Buffer.concat([...parts, new Uint8Array(6), entries, end]));
}
