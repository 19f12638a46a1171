import { readFileSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createImage, Image } from "../../../src/replica/image.ts";
import { toPageNumber } from "../../../src/sqlite/page.ts";
import { seededRandom } from "../../support/random.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { pageOf } from "./ltx/support.ts";

const PAGE_SIZE = 4096;

/** Makes an image, lets `write` fill it, and gives the file's bytes. */
async function written(write: (image: Image) => Promise<void> | void): Promise<Buffer> {
  using directory = temporaryDirectory();
  const path = join(directory.path, "image");
  {
    await using image = await createImage(path);
    await write(image);
    await image.sync();
  }
  return readFileSync(path);
}

const page = (number: number, fill: number) => pageOf(number, PAGE_SIZE, fill);

describe("an image", () => {
  it.each([1, 2, 3])("holds what was written last, whatever the order and size of writes: seed %i", async (seed) => {
    const random = seededRandom(seed);
    const below = (limit: number) => Math.floor(random.unit() * limit);
    const expected = Buffer.alloc(3000 * PAGE_SIZE);
    let end = 0;
    const found = await written(async (image) => {
      for (let i = 0; i < 20_000; i += 1) {
        const at = below(3000);
        const { page: number, data } = page(at + 1, i);
        expected.set(data, at * PAGE_SIZE);
        end = Math.max(end, (at + 1) * PAGE_SIZE);
        image.writePage(number, data);
        if (i % 1000 !== 0) continue;
        const raw = Buffer.alloc(1 + below(1_500_000), i); // reaches over pages, and over what is written together
        const offset = below(expected.length - raw.length);
        expected.set(raw, offset);
        end = Math.max(end, offset + raw.length);
        image.write(raw, offset);
      }
    });
    expect(found.equals(expected.subarray(0, end))).toBe(true);
  });

  it("takes its data at once: the caller may use the memory again", async () => {
    const found = await written((image) => {
      const data = new Uint8Array(PAGE_SIZE);
      for (let number = 1; number <= 2000; number += 1) image.writePage(toPageNumber(number), data.fill(number));
    });
    expect(found.length).toBe(2000 * PAGE_SIZE);
    for (let number = 1; number <= 2000; number += 1) expect(found[(number - 1) * PAGE_SIZE]).toBe(number & 255);
  });

  it("is cut and lengthened with zeros, behind everything that was written before", async () => {
    const found = await written(async (image) => {
      for (let number = 1; number <= 1000; number += 1) image.writePage(toPageNumber(number), page(number, 1).data);
      await image.resize(2 * PAGE_SIZE);
      expect(statSync(image.path).size).toBe(2 * PAGE_SIZE);
      await image.resize(3 * PAGE_SIZE);
    });
    expect(found.equals(Buffer.concat([Buffer.alloc(2 * PAGE_SIZE, 1), Buffer.alloc(PAGE_SIZE)]))).toBe(true);
  });

  it("gives back a page that was written, and none beyond its end", async () => {
    await written(async (image) => {
      image.writePage(toPageNumber(2), page(2, 7).data);
      await image.drain();
      const data = new Uint8Array(PAGE_SIZE);
      expect(image.readPage(toPageNumber(2), data)).toBe(true);
      expect(data).toEqual(page(2, 7).data);
      expect(image.readPage(toPageNumber(3), data)).toBe(false);
    });
  });

  it("lets its input wait for the disk, and so holds little of it", async () => {
    async function* input(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 400; i += 1) yield Uint8Array.of(i);
    }
    const arrayBuffersBefore = process.memoryUsage().arrayBuffers;
    let most = 0;
    await written(async (image) => {
      const chunk = new Uint8Array(1024 * 1024);
      let at = 0;
      for await (const _ of image.pace(input())) {
        image.write(chunk, at % (50 * 1024 * 1024));
        at += chunk.byteLength;
        most = Math.max(most, process.memoryUsage().arrayBuffers - arrayBuffersBefore);
      }
    });
    expect(most).toBeLessThan(16 * 1024 * 1024);
  });

  it("tells the failure of a write that nobody waited for", async () => {
    /** Does not look whether there is room: the disk says so by itself. */
    class Unaware extends Image {
      override requireSpace(): void {}
    }
    using directory = temporaryDirectory();
    const path = join(directory.path, "image");
    await using image = new Unaware(await open(path, "wx+"), path);
    image.write(new Uint8Array(10), Number.MAX_SAFE_INTEGER - 10); // no file reaches there
    await expect(image.drain()).rejects.toThrow(/EFBIG|EINVAL/);
    await expect(image.sync()).rejects.toThrow(/EFBIG|EINVAL/);
  });
});
