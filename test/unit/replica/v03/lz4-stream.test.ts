import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compressBlock, maxCompressedSize } from "../../../../src/replica/ltx/lz4.ts";
import { decodeLz4Stream } from "../../../../src/replica/ltx/lz4-stream.ts";
import { XxHash32, xxHash32 } from "../../../../src/replica/ltx/xxhash32.ts";
import { decompressObject } from "../../../../src/replica/v03/object.ts";
import { littleEndian, lz4Frame } from "../../../support/small-replicas.ts";
import { inChunks, noise } from "../ltx/support.ts";
import { FIXTURE, filesBelow } from "./support.ts";

async function decode(bytes: Uint8Array, { maxBytes = 1e9, chunkSize = 65536, needsChecksum = false } = {}) {
  const pieces: Uint8Array[] = [];
  for await (const piece of decodeLz4Stream(inChunks(bytes, chunkSize), { maxBytes, needsChecksum })) {
    pieces.push(piece.slice());
  }
  return new Uint8Array(Buffer.concat(pieces));
}

function noiseOf(size: number): Uint8Array {
  const next = noise(size);
  return Uint8Array.from({ length: size }, next);
}

function block(content: Uint8Array): Uint8Array {
  const target = new Uint8Array(maxCompressedSize(content.byteLength));
  return target.subarray(0, compressBlock({ source: content, target, at: 0 }));
}

type FrameParts = {
  readonly flags: number;
  readonly descriptor?: readonly number[];
  readonly blocks: readonly { readonly bytes: Uint8Array; readonly isStored?: boolean }[];
  readonly content: Uint8Array;
};

/** A frame with blocks of at most 64 KiB and whatever its flags ask for. */
function frame({ flags, descriptor = [], blocks, content }: FrameParts): Uint8Array {
  const fields = Uint8Array.from([flags, 0x40, ...descriptor]);
  const parts: Uint8Array[] = [Uint8Array.of(0x04, 0x22, 0x4d, 0x18), fields, Uint8Array.of(xxHash32(fields) >>> 8)];
  for (const { bytes, isStored = false } of blocks) {
    parts.push(littleEndian(bytes.byteLength + (isStored ? 0x80000000 : 0)), bytes);
    if ((flags & 0x10) !== 0) parts.push(littleEndian(xxHash32(bytes)));
  }
  parts.push(littleEndian(0));
  if ((flags & 4) !== 0) parts.push(littleEndian(xxHash32(content)));
  return new Uint8Array(Buffer.concat(parts));
}

describe("decodeLz4Stream", () => {
  const text = new TextEncoder().encode("abcdefgh".repeat(1000));

  it.each(filesBelow(`${FIXTURE}replica`))("reads what Litestream wrote: %s", async (path) => {
    const bytes = new Uint8Array(readFileSync(join(FIXTURE, "replica", path)));
    const content = await decode(bytes, { needsChecksum: true });
    expect(content.length).toBeGreaterThan(0);
    expect(await decode(bytes, { chunkSize: 3 })).toEqual(content);
    expect(await decode(lz4Frame(content))).toEqual(content);
  });

  it.each([0, 1, 65535, 65536, 65537, 1_000_000])("reads frames of any size: %i bytes", async (size) => {
    const content = Uint8Array.from({ length: size }, (_, at) => (at >>> 9) ^ (at % 7));
    expect(await decode(lz4Frame(content))).toEqual(content);
  });

  it("reads what doesn't compress, stored or as a block of literals", async () => {
    const content = noiseOf(70_000);
    expect(await decode(lz4Frame(content))).toEqual(content);
    const literals = block(content.subarray(0, 65536));
    expect(literals.length).toBeGreaterThan(65536);
    const bytes = frame({ flags: 0x60, blocks: [{ bytes: literals }], content });
    await expect(decode(bytes)).rejects.toThrow("larger than its frame allows"); // as the reference decoder has it
  });

  it("reads blocks that refer to those before", async () => {
    const first = noiseOf(60_000);
    const second = noiseOf(65_536);
    // A repetition of 60,000 bytes from exactly 60,000 before, and 5 literals.
    const repeat = Uint8Array.from([
      0x0f,
      60_000 & 255,
      60_000 >>> 8,
      ...lengthBytes(60_000 - 4 - 15),
      0x50,
      1,
      2,
      3,
      4,
      5,
    ]);
    const content = new Uint8Array(Buffer.concat([first, first, Uint8Array.of(1, 2, 3, 4, 5), second]));
    const blocks = [{ bytes: first, isStored: true }, { bytes: repeat }, { bytes: second, isStored: true }];
    expect(await decode(frame({ flags: 0x44, blocks, content }))).toEqual(content);
    await expect(decode(frame({ flags: 0x64, blocks, content }))).rejects.toThrow("what lies before its content");
    const tooFar = [{ bytes: second, isStored: true }, { bytes: Uint8Array.from([0x00, 0, 0, 0x50, 1, 2, 3, 4, 5]) }];
    await expect(decode(frame({ flags: 0x44, blocks: tooFar, content }))).rejects.toThrow("distance of 0");
  });

  it("reaches back 65,535 bytes over several small blocks", async () => {
    const pieces = Array.from({ length: 20 }, (_, i) => noiseOf(5000 + i));
    const before = new Uint8Array(Buffer.concat(pieces));
    const back = Uint8Array.from([0x0f, 0xff, 0xff, ...lengthBytes(1000), 0x50, 1, 2, 3, 4, 5]);
    const start = before.length - 65_535;
    const content = new Uint8Array(
      Buffer.concat([before, before.subarray(start, start + 1000 + 15 + 4), Uint8Array.of(1, 2, 3, 4, 5)]),
    );
    const blocks = [...pieces.map((bytes) => ({ bytes, isStored: true })), { bytes: back }];
    expect(await decode(frame({ flags: 0x44, blocks, content }))).toEqual(content);
  });

  it("verifies the checksums of blocks and content, and the size that a header announces", async () => {
    const blocks = [{ bytes: block(text) }, { bytes: text.subarray(0, 10), isStored: true }];
    const content = new Uint8Array(Buffer.concat([text, text.subarray(0, 10)]));
    const announced = [...littleEndian(content.length), 0, 0, 0, 0];
    const sound = frame({ flags: 0x7c, descriptor: announced, blocks, content });
    expect(await decode(sound)).toEqual(content);
    for (let at = 0; at < sound.length; at += 1) {
      const damaged = sound.slice();
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      await expect(decode(damaged), `byte ${at}`).rejects.toMatchObject({ name: "Lz4Error" });
    }
    const other = frame({ flags: 0x6c, descriptor: [1, 0, 0, 0, 0, 0, 0, 0], blocks, content });
    await expect(decode(other)).rejects.toThrow("announces 1 bytes and holds 8010");
  });

  it("refuses a frame that is cut off anywhere, and anything after it", async () => {
    const sound = lz4Frame(text);
    for (let size = 0; size < sound.length; size += 1) {
      await expect(decode(sound.subarray(0, size)), `${size}`).rejects.toThrow("cut off");
    }
    for (const more of [Uint8Array.of(0), sound]) {
      await expect(decode(new Uint8Array(Buffer.concat([sound, more])))).rejects.toMatchObject({
        message: "bytes follow the LZ4 frame",
        offset: sound.length,
      });
    }
  });

  it("gives no more than its caller allows, however much a block pretends", async () => {
    const zeros = lz4Frame(new Uint8Array(10_000_000));
    expect(zeros.length).toBeLessThan(50_000);
    await expect(decode(zeros, { maxBytes: 9_999_999 })).rejects.toThrow("more than its content may have");
    expect((await decode(zeros, { maxBytes: 10_000_000 })).length).toBe(10_000_000);
    await expect(decode(lz4Frame(noiseOf(100)), { maxBytes: 50 })).rejects.toThrow("more than its content may have");
  });

  it.each([
    ["another magic number", (bytes: Uint8Array) => bytes.fill(0x2a, 0, 1), "no LZ4 frame begins"],
    [
      "an empty block",
      () => frame({ flags: 0x60, blocks: [{ bytes: text.subarray(0, 0), isStored: true }], content: text }),
      "holds nothing",
    ],
    [
      "a block above the maximum",
      () => frame({ flags: 0x60, blocks: [{ bytes: new Uint8Array(65537), isStored: true }], content: text }),
      "larger than its frame allows",
    ],
    [
      "a dictionary",
      () => frame({ flags: 0x61, descriptor: [1, 2, 3, 4], blocks: [], content: text }),
      "needs a dictionary",
    ],
  ])("refuses %s", async (_, make, problem) => {
    await expect(decode(make(lz4Frame(text)))).rejects.toThrow(problem);
  });

  it("insists on a checksum of the content where its caller does", async () => {
    const without = frame({ flags: 0x60, blocks: [{ bytes: block(text) }], content: text });
    expect(await decode(without)).toEqual(text);
    await expect(decode(without, { needsChecksum: true })).rejects.toThrow("has no checksum of its content");
  });

  it("closes its source when its reader stops", async () => {
    let isClosed = false;
    async function* source() {
      try {
        yield lz4Frame(noiseOf(200_000)).subarray(0, 150_000);
        throw new Error("not reached");
      } finally {
        isClosed = true;
      }
    }
    for await (const _ of decodeLz4Stream(source(), { maxBytes: 1e9 })) break;
    expect(isClosed).toBe(true);
  });
});

describe("XxHash32", () => {
  it("is the same however its input is cut", () => {
    const bytes = noiseOf(1000);
    for (const step of [1, 3, 15, 16, 17, 31, 100, 999]) {
      const hash = new XxHash32();
      for (let at = 0; at < bytes.length; at += step) hash.update(bytes.subarray(at, at + step));
      expect(hash.digest()).toBe(xxHash32(bytes));
    }
  });
});

describe("decompressObject", () => {
  it("refuses what Litestream encrypted, by name", async () => {
    const object = new TextEncoder().encode("age-encryption.org/v1\n-> X25519 ...\n");
    for (const chunkSize of [1, 5, 100]) {
      const pieces = decompressObject(inChunks(object, chunkSize), "wal/x.wal.lz4");
      await expect(pieces.next()).rejects.toMatchObject({
        code: "E_REPLICA_CORRUPT",
        message: 'Cannot read "wal/x.wal.lz4": Litestream encrypted it with age',
      });
    }
  });

  it("names the object and the byte at which it is damaged", async () => {
    const bytes = lz4Frame(noiseOf(1000));
    bytes[500] = (bytes[500] ?? 0) ^ 1;
    const all = async () => {
      for await (const _ of decompressObject(inChunks(bytes), "a.snapshot.lz4"));
    };
    await expect(all()).rejects.toThrow(
      'Cannot read "a.snapshot.lz4": the checksum of an LZ4 frame is wrong, at byte 1015',
    );
  });
});

/** How LZ4 writes what of a length goes beyond 15. */
function lengthBytes(length: number): number[] {
  return [...Array.from({ length: Math.floor(length / 255) }, () => 255), length % 255];
}
