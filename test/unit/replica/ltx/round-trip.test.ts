import { describe, expect, it } from "vitest";
import { encodeLtx, type LtxPage } from "../../../../src/replica/ltx/encode.ts";
import { NO_WAL } from "../../../../src/replica/ltx/header.ts";
import { PageOrder } from "../../../../src/replica/ltx/page-order.ts";
import { toTxid } from "../../../../src/replica/ltx/txid.ts";
import { toPageNumber } from "../../../../src/sqlite/page.ts";
import { decode, encode, headerWith, noise, pageOf, pageSizeOf } from "./support.ts";

const FLAVOURS = ["frame", "block"] as const;
const PAGE_SIZES = [512, 1024, 4096, 65536];
const CASES = FLAVOURS.flatMap((flavour) => PAGE_SIZES.map((pageSize) => ({ flavour, pageSize })));

describe("encodeLtx and decodeLtx", () => {
  it.each(CASES)("go round with $flavour pages of $pageSize bytes: zeros, noise and text", async (options) => {
    const { flavour, pageSize } = options;
    const header = headerWith({ pageSize: pageSizeOf(pageSize), commit: 4 });
    const pages = [
      pageOf(1, pageSize, 0),
      pageOf(2, pageSize, noise(pageSize)),
      pageOf(3, pageSize, (at) => "SELECT * FROM t; ".charCodeAt(at % 17) + (at >> 9)),
      pageOf(4, pageSize, 255),
    ];
    const bytes = encode(header, pages, flavour);
    const { summary, pages: decoded } = await decode(bytes);
    expect(decoded).toEqual(pages);
    expect(summary).toMatchObject({ header, pageCount: 4, sizeBytes: bytes.length });
    expect(summary.fileChecksum >> 63n).toBe(1n);
  });

  it.each(FLAVOURS)("go round in chunks of any size: %s", async (flavour) => {
    const pages = [1, 2, 3].map((page) => pageOf(page, 512, noise(page)));
    const bytes = encode(headerWith(), pages, flavour);
    const whole = await decode(bytes);
    for (const chunkSize of [1, 2, 3, 7, 99, 100, 101, 512, 1000]) {
      expect(await decode(bytes, { chunkSize })).toEqual(whole);
    }
  });

  it.each([
    ["some pages of many", { commit: 1_000_000, min: toTxid(5n), max: toTxid(9n), wal: NO_WAL }, [3, 7, 999_999]],
    ["no page", { commit: 3, min: toTxid(5n), max: toTxid(5n) }, []],
    ["an empty database", { commit: 0 }, []],
  ])("go round with %s", async (_, fields, numbers) => {
    const pages = numbers.map((number) => pageOf(number, 512, number & 255));
    const decoded = await decode(encode(headerWith(fields), pages));
    expect(decoded.pages).toEqual(pages);
  });

  it("go round with pages on both sides of the lock page", async () => {
    const pageSize = pageSizeOf(65536);
    const header = headerWith({ pageSize, commit: 16387, min: toTxid(2n), max: toTxid(2n) });
    const pages = [16384, 16386, 16387].map((page) => pageOf(page, pageSize, 1));
    expect((await decode(encode(header, pages))).pages).toEqual(pages);
  });
});

describe("encodeLtx", () => {
  it("makes frames unless told otherwise, as every release of Litestream 0.5 reads them", () => {
    const pages = [1, 2, 3].map((page) => pageOf(page, 512));
    const chunks = [...encodeLtx(headerWith(), pages)];
    expect(Buffer.concat(chunks)).toEqual(Buffer.from(encode(headerWith(), pages, "frame")));
    expect([...Buffer.concat(chunks).subarray(100, 113)]).toEqual([
      0, 0, 0, 1, 0, 0, 4, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7,
    ]);
  });

  it.each(CASES)(
    "gives chunks of 64 to 256 KiB, but for the last: $flavour, $pageSize bytes",
    ({ flavour, pageSize }) => {
      const count = Math.ceil((3 * 1024 * 1024) / pageSize);
      const header = headerWith({ pageSize: pageSizeOf(pageSize), commit: count });
      const pages = Array.from({ length: count }, (_, i) => pageOf(i + 1, pageSize, noise(i)));
      const sizes = [...encodeLtx(header, pages, { flavour })].map((chunk) => chunk.byteLength);
      expect(sizes.length).toBeGreaterThan(10);
      expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThanOrEqual(64 * 1024);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(256 * 1024);
    },
  );

  it("gives chunks that stay as they are, and holds no large buffer for a small file", () => {
    const pages = Array.from({ length: 900 }, (_, i) => pageOf(i + 1, 512, noise(i)));
    const copies: Uint8Array[] = [];
    const chunks: Uint8Array[] = [];
    for (const chunk of encodeLtx(headerWith({ commit: 900 }), pages)) {
      chunks.push(chunk);
      copies.push(chunk.slice());
    }
    expect(chunks).toEqual(copies);
    const [small] = encodeLtx(headerWith({ commit: 1 }), [pageOf(1, 512)]);
    expect(small?.buffer.byteLength).toBeLessThan(1024);
  });

  it("asks for one page at a time, and reads it before the next", async () => {
    const data = new Uint8Array(512);
    function* reused(): Generator<LtxPage> {
      for (let number = 1; number <= 3; number++) {
        data.fill(number);
        yield { ...pageOf(number, 512), data };
      }
    }
    const { pages } = await decode(encode(headerWith(), reused()));
    expect(pages).toEqual([1, 2, 3].map((number) => pageOf(number, 512)));
  });

  it.each([
    ["pages out of order", { min: toTxid(2n), max: toTxid(2n) }, [2, 1], "page 1 comes after page 2"],
    ["the same page twice", { min: toTxid(2n), max: toTxid(2n) }, [2, 2], "page 2 comes after page 2"],
    ["a page beyond the database", { min: toTxid(2n), max: toTxid(2n) }, [4], "beyond the database's 3 pages"],
    ["a full copy that doesn't begin at page 1", {}, [2, 3], "page 1 is missing"],
    ["a full copy with a hole", {}, [1, 3], "page 2 is missing"],
    ["a full copy that ends too early", {}, [1, 2], "page 3 is missing"],
    ["the lock page", { commit: 2 ** 22, min: toTxid(2n), max: toTxid(2n) }, [2097153], "the lock page"],
    ["a range without a start", { min: toTxid(0n) }, [], "no range of transactions"],
    ["a range that ends before it starts", { min: toTxid(2n), max: toTxid(1n) }, [], "no range of transactions"],
  ])("holds its caller to the format's rules: %s", (_, fields, numbers, problem) => {
    const pages = numbers.map((number) => pageOf(number, 512));
    expect(() => encode(headerWith(fields), pages)).toThrow(expect.objectContaining({ name: "AssertionError" }));
    expect(() => encode(headerWith(fields), pages)).toThrow(problem);
  });

  it("takes no page of another size", () => {
    expect(() => encode(headerWith({ commit: 1 }), [pageOf(1, 1024)])).toThrow("1024 bytes instead of 512");
  });
});

describe("PageOrder", () => {
  it("wants every page of a full copy but the lock page", () => {
    const order = new PageOrder(headerWith({ pageSize: pageSizeOf(65536), commit: 16387 }));
    for (let page = 1; page <= 16384; page++) expect(order.add(toPageNumber(page))).toBeUndefined();
    expect(order.add(toPageNumber(16385))).toBe("page 16385 is the lock page, which holds no data");
    expect(order.add(toPageNumber(16387))).toBe("page 16386 is missing from a full copy");
    expect(order.add(toPageNumber(16386))).toBeUndefined();
    expect(order.end()).toBe("page 16387 is missing from a full copy");
    expect(order.add(toPageNumber(16387))).toBeUndefined();
    expect(order.end()).toBeUndefined();
  });

  it("is content with a database that ends before or at the lock page", () => {
    for (const commit of [16384, 16385]) {
      const order = new PageOrder(headerWith({ pageSize: pageSizeOf(65536), commit }));
      for (let page = 1; page <= 16384; page++) order.add(toPageNumber(page));
      expect(order.end()).toBeUndefined();
    }
  });
});
