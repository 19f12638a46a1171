import { describe, expect, it } from "vitest";
import { addOffset, parseV03Key, type V03Segment, WAL_START } from "../../../../src/replica/v03/names.ts";
import { WalSegments } from "../../../../src/replica/v03/wal-segments.ts";
import { inChunks, pageOf, pageSizeOf } from "../ltx/support.ts";
import { type Frame, writeLog } from "./support.ts";

const PAGE_SIZE = 512;
const FRAME_SIZE = 24 + PAGE_SIZE;

/** Frames of two transactions: pages 1 and 2; then 2 again and 3. */
const FRAMES: readonly Frame[] = [
  pageOf(1, PAGE_SIZE, 1),
  { ...pageOf(2, PAGE_SIZE, 2), commit: 2 },
  pageOf(2, PAGE_SIZE, 3),
  { ...pageOf(3, PAGE_SIZE, 4), commit: 3 },
];
const LOG = writeLog({ pageSize: PAGE_SIZE, frames: FRAMES });
const FIRST_END = 32 + 2 * FRAME_SIZE;

const NAME = parseV03Key("generations/0123456789abcdef/wal/00000007_00000000.wal.lz4");

function segment(offset: number): V03Segment {
  if (NAME === undefined) throw new Error("no name");
  return { ...NAME, offset: addOffset(WAL_START, offset), key: `segment-${offset}`, sizeBytes: 1, createdMs: 1 };
}

/** Reads pieces as segments of the log, and gives the pages as "<number>:<first byte>". */
async function read(
  pieces: readonly (readonly [offset: number, bytes: Uint8Array])[],
  { chunkSize = 65536, pageSize = PAGE_SIZE as number | undefined, until = undefined as number | undefined } = {},
) {
  const pages: string[] = [];
  const tail: string[] = [];
  const log = new WalSegments({
    index: segment(0).index,
    pageSize: pageSize === undefined ? undefined : pageSizeOf(pageSize),
    onPage: (page, data) => pages.push(`${page}:${data[0]}`),
    until: until === undefined ? undefined : addOffset(WAL_START, until),
    onTail: (page, data) => tail.push(`${page}:${data[0]}`),
  });
  for (const [offset, bytes] of pieces) await log.read(segment(offset), inChunks(bytes, chunkSize));
  return { pages, tail, log };
}

const corrupt = (message: string) => ({ code: "E_REPLICA_CORRUPT", message: expect.stringContaining(message) });

describe("WalSegments", () => {
  it("hands on the pages of all segments in order, and knows where and how large the database ends", async () => {
    const { pages, log } = await read([
      [0, LOG.subarray(0, FIRST_END)],
      [FIRST_END, LOG.subarray(FIRST_END)],
    ]);
    expect(pages).toEqual(["1:1", "2:2", "2:3", "3:4"]);
    expect(log.end).toBe(LOG.length);
    expect(log.commitSize).toBe(3);
    expect(log.header?.pageSize).toBe(PAGE_SIZE);
  });

  it.each([1, 7, 24, 31, 33, 512, 535, 536, 537, 1000])("takes chunks of any size: %i bytes", async (chunkSize) => {
    expect((await read([[0, LOG]], { chunkSize })).pages).toEqual(["1:1", "2:2", "2:3", "3:4"]);
  });

  it("reads the checksums of machines of either byte order", async () => {
    const log = writeLog({ pageSize: PAGE_SIZE, frames: FRAMES, bigEndian: true });
    expect((await read([[0, log]])).pages.length).toBe(4);
    log[100] = (log[100] ?? 0) ^ 1;
    await expect(read([[0, log]])).rejects.toMatchObject(corrupt("wrong checksum"));
  });

  it("takes the page size from the log where the database is still empty, and else refuses another one", async () => {
    expect((await read([[0, LOG]], { pageSize: undefined })).log.header?.pageSize).toBe(PAGE_SIZE);
    await expect(read([[0, LOG]], { pageSize: 1024 })).rejects.toMatchObject(
      corrupt("its pages have 512 bytes, the database's 1024"),
    );
  });

  it("takes a log that has only its header, as one has before its first transaction", async () => {
    const { pages, log } = await read([
      [0, LOG.subarray(0, 32)],
      [32, LOG.subarray(32)],
    ]);
    expect(pages.length).toBe(4);
    expect(log.end).toBe(LOG.length);
    expect((await read([[0, LOG.subarray(0, 32)]])).log.commitSize).toBe(0);
  });

  it("takes a transaction that goes over two segments, and knows where the one before ended if it stops within", async () => {
    const cut = FIRST_END + FRAME_SIZE;
    const whole = await read([
      [0, LOG.subarray(0, cut)],
      [cut, LOG.subarray(cut)],
    ]);
    expect(whole.pages).toEqual(["1:1", "2:2", "2:3", "3:4"]);
    expect(whole.log).toMatchObject({ end: LOG.length, commitSize: 3, isWithinTransaction: false });

    const half = await read([[0, LOG.subarray(0, cut)]]);
    expect(half.log).toMatchObject({ end: FIRST_END, commitSize: 2, isWithinTransaction: true });
    const none = await read([[0, LOG.subarray(0, 32 + FRAME_SIZE)]]);
    expect(none.log).toMatchObject({ end: 32, commitSize: 0, isWithinTransaction: true });
  });

  it("keeps what lies behind the end asked for out of the state, and still refuses it where it is damaged", async () => {
    const cut = FIRST_END + FRAME_SIZE;
    const { pages, tail, log } = await read([[0, LOG.subarray(0, cut)]], { until: FIRST_END });
    expect([pages, tail]).toEqual([["1:1", "2:2"], ["2:3"]]);
    expect(log).toMatchObject({ end: FIRST_END, commitSize: 2, isWithinTransaction: false });
    const damaged = LOG.slice(0, cut);
    damaged[cut - 1] = 1;
    await expect(read([[0, damaged]], { until: FIRST_END })).rejects.toMatchObject(corrupt("wrong checksum"));

    log.redirect((page, data) => pages.push(`${page}:${data[0]}`));
    await log.read(segment(cut), inChunks(LOG.subarray(cut)));
    expect(pages).toEqual(["1:1", "2:2", "3:4"]);
  });

  it("counts places above 4 GiB exactly", async () => {
    const pageSize = 65536;
    const page = pageOf(1, pageSize, 1);
    const frames = Array.from({ length: 64 }, () => ({ ...page, commit: 1 }));
    const whole = writeLog({ pageSize, frames });
    const log = new WalSegments({ index: segment(0).index, pageSize: pageSizeOf(pageSize), onPage: () => {} });
    // The checksum chain of 4 GiB takes too long to write: the end is moved, and the message shows what is reckoned.
    await log.read(segment(0), inChunks(whole));
    const far = 2 ** 32 + 32 + 5 * (24 + pageSize);
    await expect(log.read(segment(far), inChunks(whole))).rejects.toMatchObject({
      code: "E_REPLICA_GAP",
      message: expect.stringContaining(`to 00000007_${far.toString(16)} is missing`),
    });
  });

  it("refuses a segment that doesn't begin where the one before ended, and names the last good position", async () => {
    const rest = LOG.subarray(FIRST_END + FRAME_SIZE);
    const later = FIRST_END + FRAME_SIZE;
    await expect(
      read([
        [0, LOG.subarray(0, FIRST_END)],
        [later, rest],
      ]),
    ).rejects.toMatchObject({
      code: "E_REPLICA_GAP",
      message: expect.stringContaining(
        `the log from 00000007_00000450 to 00000007_00000668 is missing before "segment-${later}"; the last good position is 00000007_00000450`,
      ),
    });
    await expect(
      read([
        [0, LOG],
        [FIRST_END, LOG.subarray(FIRST_END)],
      ]),
    ).rejects.toMatchObject(corrupt("begins within the segment before"));
  });

  it.each([
    ["within the header", 20, "ends within a frame, at 00000007_00000000"],
    ["within a frame", FIRST_END - 1, "ends within a frame, at 00000007_00000238"],
    ["before it begins", 0, "it holds nothing"],
  ])("refuses a segment that ends %s", async (_, size, problem) => {
    await expect(read([[0, LOG.subarray(0, size)]])).rejects.toMatchObject(corrupt(problem));
  });

  it("refuses every change of any byte of a log, but of what SQLite doesn't look at", async () => {
    for (let at = 0; at < LOG.length; at += 1) {
      const damaged = LOG.slice();
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      await expect(read([[0, damaged]]), `byte ${at}`).rejects.toMatchObject({ code: "E_REPLICA_CORRUPT" });
    }
  });

  it("refuses frames in another place, twice, or of another log", async () => {
    const first = LOG.subarray(32, FIRST_END);
    const second = LOG.subarray(FIRST_END);
    const join = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
    const header = LOG.subarray(0, 32);
    for (const [what, bytes] of [
      ["exchanged", join(header, second, first)],
      ["twice", join(header, first, first)],
      ["without the first", join(header, second)],
      [
        "of a log with other salts",
        join(header, writeLog({ pageSize: 512, frames: FRAMES, salts: [1, 3] }).subarray(32)),
      ],
    ] as const) {
      await expect(read([[0, bytes]]), what).rejects.toMatchObject({ code: "E_REPLICA_CORRUPT" });
    }
  });

  it("refuses a frame of page 0", async () => {
    const log = writeLog({ pageSize: PAGE_SIZE, frames: [{ ...pageOf(1, PAGE_SIZE), page: 0 as never, commit: 1 }] });
    await expect(read([[0, log]])).rejects.toMatchObject(corrupt("names page 0"));
  });
});
