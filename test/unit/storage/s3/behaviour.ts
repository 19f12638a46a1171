// What every S3 service must do for a replica to be safe in it: run on the tests' own server, and on a real bucket.

import { describe, expect, it } from "vitest";
import { MAX_SMALL_BYTES, type ObjectStore } from "../../../../src/storage/store.ts";
import { collect, keysOf, options, pattern, readText } from "./support.ts";

const encoded = (value: string) => new TextEncoder().encode(value);
const text = (value: string) => [encoded(value)];

/** `newStore` opens an empty store. */
export function describeStore(
  name: string,
  newStore: () => Promise<ObjectStore>,
  { partBytes }: { partBytes: number },
) {
  describe(name, () => {
    it("gives back what was put, and nothing for what was not", async () => {
      const store = await newStore();
      expect(await store.put("0000/a.ltx", [...text("one "), ...text("two")], options)).toBe(true);
      expect(await readText(store, "0000/a.ltx")).toBe("one two");
      expect(await store.get("0000/b.ltx", options)).toBeUndefined();
    });

    it("takes an empty object", async () => {
      const store = await newStore();
      expect(await store.put("empty", [], options)).toBe(true);
      expect(await readText(store, "empty")).toBe("");
      expect(await store.list("", options)).toMatchObject([{ key: "empty", sizeBytes: 0 }]);
    });

    it("lists by prefix, with sizes, times and versions, in order of keys", async () => {
      const store = await newStore();
      for (const key of ["0001/b", "0000/b", "0000/a", "0000-more/a"]) await store.put(key, text(key), options);
      expect(await keysOf(store)).toEqual(["0000-more/a", "0000/a", "0000/b", "0001/b"]);
      const found = await store.list("0000/", options);
      expect(found).toEqual([
        { key: "0000/a", sizeBytes: 6, modifiedMs: expect.any(Number), version: expect.any(String) },
        { key: "0000/b", sizeBytes: 6, modifiedMs: expect.any(Number), version: expect.any(String) },
      ]);
      expect(Math.abs((found[0]?.modifiedMs ?? 0) - Date.now())).toBeLessThan(600_000);
      expect(await keysOf(store, "0002/")).toEqual([]);
    });

    it.each([
      "./0009/x",
      "/lead/ing//x",
      "a//b",
      "a/../b",
      "plus+and space",
      "ümläut/日本語/😀",
      "a?b=c&d#e",
      "per%cent%2F",
      "quote\"'<>&",
      "~!$*(),;:@=[]{}|^`\\",
      "tab\tand\u0001control",
    ])("keeps the key %j as it is", async (key) => {
      const store = await newStore();
      await store.put(key, text(key), options);
      expect(await keysOf(store)).toEqual([key]);
      expect(await readText(store, key)).toBe(key);
      expect(await store.put(key, text("again"), { ...options, ifAbsent: true })).toBe(false);
      await store.deleteMany([key], options);
      expect(await keysOf(store)).toEqual([]);
    });

    it("stores only what is absent, if told so", async () => {
      const store = await newStore();
      expect(await store.put("a", text("first"), { ...options, ifAbsent: true })).toBe(true);
      expect(await store.put("a", text("second"), { ...options, ifAbsent: true })).toBe(false);
      expect(await readText(store, "a")).toBe("first");
    });

    it("lets one of many win who store what is absent", async () => {
      const store = await newStore();
      const tries = Array.from({ length: 8 }, (_, index) =>
        store.put("a", text(String(index)), { ...options, ifAbsent: true }),
      );
      const won = (await Promise.all(tries)).flatMap((stored, index) => (stored ? [String(index)] : []));
      expect(won).toEqual([await readText(store, "a")]);
    });

    it("replaces only the version it was told", async () => {
      const store = await newStore();
      await store.put("lease", text("one"), options);
      const [{ version } = {}] = await store.list("", options);
      if (version === undefined) throw new Error("the store tells no versions");
      expect(await store.put("lease", text("two"), { ...options, ifVersion: version })).toBe(true);
      expect(await store.put("lease", text("three"), { ...options, ifVersion: version })).toBe(false);
      expect(await readText(store, "lease")).toBe("two");
      await store.delete("lease", options);
      expect(await store.put("lease", text("four"), { ...options, ifVersion: version })).toBe(false);
    });

    it("reads only the version it was told", async () => {
      const store = await newStore();
      await store.put("a", text("old"), options);
      const [{ version } = {}] = await store.list("", options);
      if (version === undefined) throw new Error("the store tells no versions");
      expect((await collect(await store.get("a", { ...options, version })))?.toString()).toBe("old");
      await store.put("a", text("new"), options);
      expect(await store.get("a", { ...options, version })).toBeUndefined();
    });

    it.each([
      [{ offset: 3 }, "3456789"],
      [{ offset: 3, lengthBytes: 2 }, "34"],
      [{ lengthBytes: 4 }, "0123"],
      [{ offset: 8, lengthBytes: 100 }, "89"],
      [{ offset: 9, lengthBytes: 1 }, "9"],
      [{ offset: 10 }, ""],
      [{ offset: 1000, lengthBytes: 5 }, ""],
    ])("reads the range %j", async (range, expected) => {
      const store = await newStore();
      await store.put("a", text("0123456789"), options);
      expect((await collect(await store.get("a", { ...options, ...range })))?.toString()).toBe(expected);
      expect(await store.get("absent", { ...options, ...range })).toBeUndefined();
    });

    it.each([
      ["one byte less than a part", -1],
      ["a part", 0],
      ["one byte more than a part", 1],
      ["several parts", partBytes * 3 + 17],
    ])("takes %s whole", async (_, more) => {
      const store = await newStore();
      const content = pattern(partBytes + more);
      const chunks = function* () {
        for (let start = 0; start < content.length; start += 10_007) yield content.subarray(start, start + 10_007);
      };
      expect(await store.put("big", chunks(), { ...options, ifAbsent: true })).toBe(true);
      expect((await collect(await store.get("big", options)))?.equals(content)).toBe(true);
      expect(await store.put("big", chunks(), { ...options, ifAbsent: true })).toBe(false);
      const [{ version = "" } = {}] = await store.list("", options);
      expect(await store.put("big", chunks(), { ...options, ifVersion: version })).toBe(true);
    });

    it.each([
      [1_700_000_000_000, 10],
      [1_700_000_000_120, partBytes + 1],
    ])("keeps the time %d that the writer gave, for %d bytes", async (modifiedMs, sizeBytes) => {
      const store = await newStore();
      await store.put("a", [pattern(sizeBytes)], { ...options, modifiedMs });
      const [info] = await store.list("", options);
      if (info === undefined) throw new Error("it is not listed");
      expect(await store.exactTime(info, options)).toBe(modifiedMs);
    });

    it("falls back to the time of the list where the writer gave none", async () => {
      const store = await newStore();
      await store.put("a", text("x"), options);
      const [info] = await store.list("", options);
      if (info === undefined) throw new Error("it is not listed");
      expect(await store.exactTime(info, options)).toBe(info.modifiedMs);
      expect(await store.exactTime({ ...info, key: "gone" }, options)).toBe(info.modifiedMs);
    });

    it("lets a small object be read with its version, and replaced by who knows that", async () => {
      const store = await newStore();
      const { signal } = options;
      expect(await store.readVersioned("a", options)).toBeUndefined();
      const first = await store.replace("a", encoded("first"), { version: undefined, signal });
      expect(await store.readVersioned("a", options)).toMatchObject({ version: first });
      const [listed] = await store.list("", options);
      expect(listed?.version).toBe(first);

      expect(await store.replace("a", encoded("late"), { version: undefined, signal })).toBeUndefined();
      const second = await store.replace("a", encoded("second"), { version: first, signal });
      expect(second).not.toBe(first);
      expect(await store.replace("a", encoded("late"), { version: first, signal })).toBeUndefined();
      const found = await store.readVersioned("a", options);
      expect([Buffer.from(found?.bytes ?? []).toString(), found?.version]).toEqual(["second", second]);
      expect(await store.replace("absent", encoded("x"), { version: first, signal })).toBeUndefined();
      expect(await keysOf(store)).toEqual(["a"]);
    });

    it("reads no large object as a small one", async () => {
      const store = await newStore();
      await store.put("a", [pattern(MAX_SMALL_BYTES)], options);
      expect((await store.readVersioned("a", options))?.bytes.byteLength).toBe(MAX_SMALL_BYTES);
      await store.put("a", [pattern(MAX_SMALL_BYTES + 1)], options);
      await expect(store.readVersioned("a", options)).rejects.toThrow('"a" of');
    });

    it("deletes one or many, and what is absent", async () => {
      const store = await newStore();
      for (const key of ["a", "b", "c", "d"]) await store.put(key, text(key), options);
      await store.delete("a", options);
      await store.delete("a", options);
      await store.deleteMany(["b", "c", "never there"], options);
      await store.deleteMany([], options);
      expect(await keysOf(store)).toEqual(["d"]);
    });
  });
}
