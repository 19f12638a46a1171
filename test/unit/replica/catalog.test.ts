import { describe, expect, it } from "vitest";
import { createCatalog } from "../../../src/replica/catalog.ts";
import { info, listing, short } from "../../support/listing.ts";

describe("a catalog", () => {
  it("tells what a listing shows, level by level, ordered by the last transaction", () => {
    const catalog = createCatalog(listing("0/3-3", "9/1-3", "0/1-1", "1/1-2", "0/2-2", "9/1-1"));
    expect(catalog.files(0).map(short)).toEqual(["0/1-1", "0/2-2", "0/3-3"]);
    expect(catalog.snapshots().map(short)).toEqual(["9/1-1", "9/1-3"]);
    expect(catalog.newest(1)).toEqual(info("1/1-2"));
    expect(catalog.reached(1)).toBe(2n);
    expect(catalog.lastTxid).toBe(3n);
  });

  it("knows nothing of an empty replica", () => {
    const catalog = createCatalog();
    expect(catalog.newest(0)).toBeUndefined();
    expect([catalog.reached(0), catalog.reached(9), catalog.lastTxid]).toEqual([0n, 0n, 0n]);
  });

  it("takes the last transaction of all levels, as a merge may be ahead of the uploads", () => {
    expect(createCatalog(listing("0/1-1", "1/1-7")).lastTxid).toBe(7n);
  });

  it("follows what is added and removed, wherever it belongs", () => {
    const catalog = createCatalog(listing("0/1-1", "0/4-4"));
    for (const text of ["0/5-5", "0/2-2", "1/1-2"]) catalog.add(info(text));
    expect(catalog.files(0).map(short)).toEqual(["0/1-1", "0/2-2", "0/4-4", "0/5-5"]);
    catalog.remove(listing("0/5-5", "0/1-1", "1/1-2", "2/9-9"));
    expect(catalog.files(0).map(short)).toEqual(["0/2-2", "0/4-4"]);
    expect([catalog.reached(0), catalog.reached(1)]).toEqual([4n, 0n]);
  });

  it("has a file once, however often it is added", () => {
    const catalog = createCatalog(listing("0/1-1"));
    catalog.add({ ...info("0/1-1"), sizeBytes: 77 });
    expect(catalog.files(0)).toEqual([{ ...info("0/1-1"), sizeBytes: 77 }]);
  });

  it("keeps files apart that end at the same transaction", () => {
    const catalog = createCatalog(listing("1/3-5"));
    catalog.add(info("1/1-5"));
    catalog.add(info("1/4-5"));
    expect(catalog.files(1).map(short)).toEqual(["1/1-5", "1/3-5", "1/4-5"]);
  });

  it("counts as a copy of the database only what begins with the first transaction", () => {
    expect(createCatalog(listing("9/1-3", "9/4-6")).snapshots().map(short)).toEqual(["9/1-3"]);
  });

  it("tells of each change, as long as one listens", () => {
    const catalog = createCatalog();
    let changes = 0;
    {
      using _listening = catalog.onChange(() => {
        changes += 1;
      });
      catalog.add(info("0/1-1"));
      catalog.remove([]);
      catalog.remove(listing("0/1-1"));
    }
    catalog.add(info("0/2-2"));
    expect(changes).toBe(2);
  });
});
