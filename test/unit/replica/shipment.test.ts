import { describe, expect, it } from "vitest";
import { decodeLtx } from "../../../src/replica/ltx/decode.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import { encodeSnapshot, pagesToShip, type Shipment, shipChanges, shipCopy } from "../../../src/replica/shipment.ts";
import type { ReplicatedPosition } from "../../../src/replica/state.ts";
import type { Position } from "../../../src/sqlite/attached.ts";
import { lockPage, type PageNumber, toPageNumber } from "../../../src/sqlite/page.ts";
import { inChunks, pageSizeOf } from "./ltx/support.ts";

const ship = (changed: readonly number[], sizeBefore: number, sizeAfter: number, pageSize = 512) =>
  pagesToShip({ changed: changed.map(toPageNumber), sizeBefore, sizeAfter, pageSize: pageSizeOf(pageSize) });

describe("pagesToShip", () => {
  it("lists changed pages in ascending order, once", () => {
    expect(ship([5, 1, 3, 1], 5, 5)).toEqual([1, 3, 5]);
    expect(ship([10, 9, 2], 10, 10)).toEqual([2, 9, 10]);
  });

  it("adds every page by which the database grew, written or not", () => {
    expect(ship([2, 7], 4, 8)).toEqual([2, 5, 6, 7, 8]);
    expect(ship([], 0, 3)).toEqual([1, 2, 3]);
  });

  it("adds none where it shrank", () => {
    expect(ship([1], 9, 4)).toEqual([1]);
  });

  it.each([512, 1024, 2048, 4096, 8192, 16384, 32768, 65536])(
    "leaves out the page of the file locks, for pages of %d bytes",
    (pageSize) => {
      const lock = 2 ** 30 / pageSize + 1;
      expect(ship([lock - 1, lock, lock + 1], lock + 1, lock + 1, pageSize)).toEqual([lock - 1, lock + 1]);
      expect(ship([1], lock - 2, lock + 2, pageSize)).toEqual([1, lock - 1, lock + 1, lock + 2]);
    },
  );

  it("leaves out no other size's lock page", () => {
    expect(ship([262145], 300_000, 300_000, 512)).toEqual([262145]);
  });
});

const pageSize = pageSizeOf(512);
const header = { pageSize, salts: [7, 8], checksum: [1, 2], bigEndian: false } as const;
const inLog = (frame: number, salts: readonly [number, number] = [7, 8]): Position & { readonly kind: "log" } => ({
  kind: "log",
  header: { ...header, salts },
  frame,
  checksum: [3, 4],
});

async function decode(shipment: Pick<Shipment, "body">) {
  const pages: [number, number][] = [];
  const bytes = new Uint8Array(Buffer.concat([...shipment.body()]));
  const summary = await decodeLtx(inChunks(bytes), "test.ltx", {
    onPage: ({ page, data }) => pages.push([page, data[0] ?? -1]),
  });
  return { header: summary.header, pages };
}

describe("shipChanges", () => {
  const shipAfter = (
    previous: ReplicatedPosition["position"],
    sizes: { readonly before: number; readonly smallest: number; readonly after: number },
    changed: readonly number[],
  ) => {
    const end = inLog(9);
    const offsets = new Map(changed.map((page) => [toPageNumber(page), page * 1000]));
    return shipChanges(
      {
        kind: "changes",
        changes: { commitSize: sizes.after, smallestCommitSize: sizes.smallest, pages: offsets, end },
        page: (page: PageNumber) => new Uint8Array(512).fill(offsets.has(page) ? page : 0),
        mark: { position: end, sealed: false },
      },
      {
        txid: toTxid(5n),
        previous: { txid: toTxid(4n), pageCount: sizes.before, position: previous },
        timestampMs: 1234,
      },
    );
  };

  it("holds the changed pages, and says where in the log they were", async () => {
    const shipment = shipAfter(inLog(4), { before: 3, smallest: 3, after: 3 }, [3, 1]);
    expect(await decode(shipment)).toEqual({
      header: {
        pageSize,
        commit: 3,
        min: 5n,
        max: 5n,
        timestampMs: 1234,
        wal: { offsetBytes: 32 + 4 * 536, sizeBytes: 5 * 536, salts: [7, 8] },
      },
      pages: [
        [1, 1],
        [3, 3],
      ],
    });
    expect(shipment.position).toEqual({ txid: 5n, pageCount: 3, position: inLog(9) });
  });

  it("begins at the log's first frame where the log was begun anew, or there was none", async () => {
    const wal = { offsetBytes: 32, sizeBytes: 9 * 536, salts: [7, 8] };
    for (const previous of [inLog(4, [6, 99]), { kind: "file", sizeBytes: 1536, modifiedMs: 1 } as const]) {
      const { header } = await decode(shipAfter(previous, { before: 3, smallest: 3, after: 3 }, [1]));
      expect(header.wal).toEqual(wal);
    }
  });

  it("fills pages that nobody wrote with zeros, also those that were lost and came back", async () => {
    const grown = await decode(shipAfter(inLog(4), { before: 2, smallest: 2, after: 5 }, [1, 4]));
    expect(grown.pages).toEqual([
      [1, 1],
      [3, 0],
      [4, 4],
      [5, 0],
    ]);
    const shrunkThenGrown = await decode(shipAfter(inLog(4), { before: 5, smallest: 2, after: 5 }, [1, 4]));
    expect(shrunkThenGrown.pages).toEqual(grown.pages);
  });
});

const snapshot = (pageCount: number, position: Position) => ({
  pageCount,
  page: (page: PageNumber) => new Uint8Array(512).fill(page),
  mark: { position, sealed: true },
  [Symbol.dispose]: () => {},
});

describe("shipCopy", () => {
  it("holds all pages, as one transaction", async () => {
    const shipment = shipCopy(snapshot(3, inLog(9)), { txid: toTxid(6n), pageSize, timestampMs: 1 });
    const { header, pages } = await decode(shipment);
    expect(pages.map(([page]) => page)).toEqual([1, 2, 3]);
    expect(header).toMatchObject({ min: 6n, max: 6n, commit: 3, wal: { offsetBytes: 32, sizeBytes: 9 * 536 } });
    expect(shipment).toMatchObject({
      position: { txid: 6n, pageCount: 3, position: inLog(9) },
      databaseBytes: 3 * 512,
    });
  });

  it("names an offset behind the log's header though there is no log: Litestream takes over no other", async () => {
    const file: Position = { kind: "file", sizeBytes: 512, modifiedMs: 1 };
    const { header } = await decode(shipCopy(snapshot(1, file), { txid: toTxid(2n), pageSize, timestampMs: 1 }));
    expect(header.wal).toEqual({ offsetBytes: 32, sizeBytes: 0, salts: [0, 0] });
  });
});

describe("encodeSnapshot", () => {
  it("holds all pages, from the first transaction to the last", async () => {
    const body = () => encodeSnapshot(snapshot(3, inLog(9)), { txid: toTxid(6n), pageSize, timestampMs: 1 });
    const { header, pages } = await decode({ body });
    expect(pages.map(([page]) => page)).toEqual([1, 2, 3]);
    expect(header).toMatchObject({ min: 1n, max: 6n, commit: 3, wal: { offsetBytes: 32, sizeBytes: 0 } });
  });

  it("leaves out the lock page of a database beyond 1 GiB", () => {
    const size = pageSizeOf(65536);
    const lock = lockPage(size);
    const read: number[] = [];
    const blank = new Uint8Array(65536);
    const page = (number: PageNumber) => {
      read.push(number);
      return blank;
    };
    const large = { ...snapshot(lock + 2, inLog(9)), page };
    for (const _ of encodeSnapshot(large, { txid: toTxid(1n), pageSize: size, timestampMs: 1 }));
    expect(read).toHaveLength(lock + 1);
    expect(read).not.toContain(lock);
  });
});
