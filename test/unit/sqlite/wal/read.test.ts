import { ftruncateSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { frameOffset } from "../../../../src/sqlite/wal/format.ts";
import { readChanges, readWalHeader, stillAt, WalMismatch, walStart } from "../../../../src/sqlite/wal/read.ts";
import { seededRandom } from "../../../support/random.ts";
import { FIXTURES } from "../../replica/ltx/support.ts";
import { applyChanges, changesIn, encodeWal, type Frame, framesOf, pageOf, recordLog, withFile } from "./support.ts";

const read = (name: string) => new Uint8Array(readFileSync(join(FIXTURES, "upstream/wal-reader", name, "wal")));

const FILL = `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 200)`;

/** A workload that updates, grows and shrinks. */
const WORKLOAD = {
  prepare: `CREATE TABLE t (x INTEGER PRIMARY KEY, b); ${FILL} INSERT INTO t SELECT x, randomblob(300) FROM c`,
  record: [
    "UPDATE t SET b = randomblob(400) WHERE x % 7 = 0",
    `${FILL} INSERT INTO t SELECT x + 1000, randomblob(500) FROM c`,
    "DELETE FROM t WHERE x > 100",
    "VACUUM",
    "INSERT INTO t VALUES (5000, zeroblob(3000))",
  ],
};

describe("readChanges, for a log that SQLite wrote", () => {
  it.each([512, 1024, 2048, 4096, 8192, 16384, 32768, 65536])(
    "gives what SQLite's own checkpoint makes of it: pages of %d bytes",
    (pageSize) => {
      const { before, wal, after, mxFrame } = recordLog(pageSize, WORKLOAD);
      expect(applyChanges(before, wal, changesIn(wal, mxFrame))).toEqual(after);
    },
  );

  it.each([512, 4096])("reads the log's other byte order just as well: pages of %d bytes", (pageSize) => {
    const { before, wal, after, mxFrame } = recordLog(pageSize, WORKLOAD);
    const other = encodeWal({ pageSize, frames: framesOf(wal), bigEndian: true });
    expect(applyChanges(before, other, changesIn(other, mxFrame))).toEqual(after);
  });

  it("goes on where the last reading ended, at each commit", () => {
    const { before, wal, after, mxFrame } = recordLog(1024, WORKLOAD);
    const commits = framesOf(wal).flatMap(({ commitSize }, i) => (commitSize > 0 ? [i + 1] : []));
    expect(commits.length).toBe(WORKLOAD.record.length);
    let image = before;
    let reached = 0;
    for (const commit of commits) {
      image = applyChanges(image, wal, changesIn(wal, commit, reached));
      reached = commit;
    }
    expect(reached).toBe(mxFrame);
    expect(image).toEqual(after);
  });

  it("leaves out what was spilled to the log and taken back", () => {
    const spill = `BEGIN; ${FILL} INSERT INTO t SELECT x + 2000, randomblob(400) FROM c; ROLLBACK`;
    const { before, wal, after, mxFrame } = recordLog(512, {
      prepare: "CREATE TABLE t (x INTEGER PRIMARY KEY, b)",
      record: ["INSERT INTO t VALUES (1, 'kept')", spill],
    });
    expect(framesOf(wal).length).toBeGreaterThan(mxFrame);
    expect(applyChanges(before, wal, changesIn(wal, mxFrame))).toEqual(after);
  });
});

describe("readChanges", () => {
  const frame = (page: number, commitSize: number, fill = page): Frame => ({
    page,
    commitSize,
    data: pageOf(512, fill),
  });
  const pagesOf = (frames: readonly Frame[], last = frames.length, from = 0) =>
    [...changesIn(encodeWal({ pageSize: 512, frames }), last, from).pages].map(([page, offset]) => [
      page,
      (offset - 24 - 32) / 536 + 1,
    ]);

  it("takes each page from its newest frame", () => {
    expect(pagesOf([frame(1, 0), frame(2, 2), frame(2, 0), frame(3, 3), frame(1, 3)])).toEqual([
      [1, 5],
      [2, 3],
      [3, 4],
    ]);
  });

  it("doesn't look beyond the frame that SQLite vouches for, though a sound commit lies there", () => {
    expect(pagesOf([frame(1, 1), frame(1, 1), frame(2, 2)], 2)).toEqual([[1, 2]]);
  });

  it("refuses to end within a transaction", () => {
    const wal = encodeWal({ pageSize: 512, frames: [frame(1, 1), frame(1, 0), frame(2, 2)] });
    expect(() => changesIn(wal, 2)).toThrow(WalMismatch);
    expect(() => changesIn(encodeWal({ pageSize: 512, frames: [frame(1, 0)] }), 1)).toThrow(
      "does not end a transaction",
    );
  });

  it("forgets pages above the end of a database that shrank", () => {
    const changes = changesIn(encodeWal({ pageSize: 512, frames: [frame(1, 5), frame(5, 5), frame(1, 3)] }), 3);
    expect([...changes.pages.keys()]).toEqual([1]);
    expect(changes).toMatchObject({ commitSize: 3, smallestCommitSize: 3 });
  });

  it("keeps them forgotten when it grows again", () => {
    const frames = [frame(4, 0), frame(5, 5), frame(1, 2), frame(5, 5)];
    expect(pagesOf(frames)).toEqual([
      [1, 3],
      [5, 4],
    ]);
    expect(changesIn(encodeWal({ pageSize: 512, frames }), 4)).toMatchObject({ commitSize: 5, smallestCommitSize: 2 });
  });

  it("drops a page that a transaction wrote above its own end", () => {
    expect(pagesOf([frame(9, 0), frame(1, 3)])).toEqual([[1, 2]]);
  });

  it("refuses page 0", () => {
    expect(() => pagesOf([frame(0, 1)])).toThrow("page 0");
  });

  it.each([
    ["salt-mismatch", "other salts"],
    ["frame-checksum-mismatch", "wrong checksum"],
  ])("finds Litestream's sample %s wrong from its second frame on", (name, why) => {
    expect(() => changesIn(read(name), 3)).toThrow(why);
    expect(() => changesIn(read(name), 1)).toThrow("does not end a transaction");
  });

  it("reads Litestream's sound sample", () => {
    expect(changesIn(read("ok"), 3)).toMatchObject({ commitSize: 2, end: { frame: 3 } });
    expect(changesIn(read("ok"), 2, 0).pages).toEqual(
      new Map([1, 2].map((page) => [page, frameOffset(page, 4096) + 24])),
    );
  });

  it("takes no frame of an earlier round of the log", () => {
    // Three rounds lie in it, each shorter than the one before: only the first frames are the log's.
    const wal = read("frame-salts");
    const view = new DataView(wal.buffer, wal.byteOffset);
    const salts = (at: number) => `${view.getUint32(at)}/${view.getUint32(at + 4)}`;
    let own = 0;
    while (salts(frameOffset(own + 1, 4096) + 8) === salts(16)) own += 1;
    expect(own).toBeGreaterThan(0);
    expect(changesIn(wal, own).end.frame).toBe(own);
    expect(() => changesIn(wal, own + 1)).toThrow("other salts");
  });

  it("notices a log that is cut off at any byte", () => {
    const wal = encodeWal({ pageSize: 512, frames: [frame(1, 0), frame(2, 2), frame(3, 3)] });
    const { header } = changesIn(wal, 3).end;
    withFile(wal, (file) => {
      for (let size = wal.byteLength - 1; size >= 32; size -= 1) {
        ftruncateSync(file, size);
        expect(() => readChanges(file, walStart(header), 3), `${size} bytes`).toThrow(WalMismatch);
      }
    });
  });

  it("notices every flipped byte in what it reads, and is blind to what lies beyond", () => {
    const { wal } = recordLog(512, { prepare: "CREATE TABLE t (x)", record: ["INSERT INTO t VALUES ('a')"] });
    const frames = [...framesOf(wal), frame(2, 2), frame(1, 2), frame(2, 2)];
    const whole = encodeWal({ pageSize: 512, frames });
    const last = frames.length - 1;
    const sound = changesIn(whole, last);
    const random = seededRandom(3);
    withFile(whole, (file) => {
      const look = () => {
        const header = readWalHeader(file);
        if (header === undefined) throw new WalMismatch("no header");
        return readChanges(file, walStart(header), last);
      };
      whole.forEach((byte, at) => {
        writeSync(file, Uint8Array.of(byte ^ (1 + Math.floor(random.unit() * 255))), 0, 1, at);
        if (at < frameOffset(last + 1, 512)) expect(look, `byte ${at}`).toThrow(WalMismatch);
        else expect(look(), `byte ${at}`).toEqual(sound);
        writeSync(file, Uint8Array.of(byte), 0, 1, at);
      });
    });
  });

  it("reads a log of many chunks", () => {
    const frames = Array.from({ length: 3000 }, (_, i) => frame((i % 40) + 1, i % 3 === 2 ? 40 : 0, i));
    const changes = changesIn(encodeWal({ pageSize: 512, frames }), 3000);
    expect(changes.pages.size).toBe(40);
    expect(Math.min(...changes.pages.values())).toBe(frameOffset(2961, 512) + 24);
  });
});

describe("stillAt", () => {
  const frames = [1, 2, 3].map((page) => ({ page, commitSize: 3, data: pageOf(512, page) }));
  const wal = encodeWal({ pageSize: 512, frames });
  const position = changesIn(wal, 2).end;

  it("knows the frame again, whatever follows it", () => {
    expect(withFile(wal, (file) => stillAt(file, position))).toBe(true);
    expect(withFile(wal.subarray(0, frameOffset(3, 512)), (file) => stillAt(file, position))).toBe(true);
  });

  it("says no for a log that ends before it, for none, and for another", () => {
    expect(withFile(wal.subarray(0, frameOffset(2, 512) + 10), (file) => stillAt(file, position))).toBe(false);
    expect(withFile(new Uint8Array(), (file) => stillAt(file, position))).toBe(false);
    const restarted = encodeWal({ pageSize: 512, frames, salts: [8, 1] });
    expect(withFile(restarted, (file) => stillAt(file, position))).toBe(false);
    const rewritten = encodeWal({ pageSize: 512, frames: frames.toReversed() });
    expect(withFile(rewritten, (file) => stillAt(file, position))).toBe(false);
  });

  it("asks only for the header where nothing was read yet", () => {
    const start = withFile(wal, (file) => walStart(readWalHeader(file) ?? position.header));
    expect(withFile(wal.subarray(0, 32), (file) => stillAt(file, start))).toBe(true);
  });
});
