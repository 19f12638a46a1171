import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { systemRandom } from "../../../src/base/system.ts";
import { openFileStore } from "../../../src/storage/file.ts";
import { MAX_SMALL_BYTES, type ObjectStore } from "../../../src/storage/store.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const signal = new AbortController().signal;
const options = { signal };
const bytes = (text: string) => new TextEncoder().encode(text);
const unreachable = expect.objectContaining({ code: "E_REPLICA_UNREACHABLE" });

/** A store in a directory that is not there yet; its parent is. */
function newStore(): { readonly store: ObjectStore; readonly root: string; readonly parent: string } {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const root = join(directory.path, "backup");
  return { store: openFileStore(root, { random: systemRandom }), root, parent: directory.path };
}

async function read(store: ObjectStore, key: string): Promise<string | undefined> {
  const body = await store.get(key, options);
  if (body === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function keys(store: ObjectStore, prefix = ""): Promise<readonly string[]> {
  return (await store.list(prefix, options)).map(({ key }) => key);
}

/** All files below a directory, also those that a store does not list. */
const filesBelow = (root: string) =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map(({ name }) => name);

describe("a store of files", () => {
  it("has an address that says where it is, with what is odd encoded", () => {
    expect(openFileStore("/backup/my app", { random: systemRandom }).address).toBe("file:///backup/my%20app");
  });

  it("gives back what was put, and makes the directories on the way for its owner alone", async () => {
    const { store, root } = newStore();
    expect(await store.put("ltx/0/a.ltx", [bytes("one "), bytes("two")], options)).toBe(true);
    expect(await read(store, "ltx/0/a.ltx")).toBe("one two");
    expect(statSync(join(root, "ltx/0")).mode & 0o777).toBe(0o700);
    expect(statSync(join(root, "ltx/0/a.ltx")).mode & 0o777).toBe(0o600);
  });

  it("takes a body that comes by and by, and one of nothing", async () => {
    const { store } = newStore();
    async function* slowly() {
      for (const part of ["a", "b", "c"]) yield bytes(part);
    }
    await store.put("slow", slowly(), options);
    await store.put("empty", [], options);
    expect(await read(store, "slow")).toBe("abc");
    expect(await read(store, "empty")).toBe("");
  });

  it("gives a large object in chunks", async () => {
    const { store } = newStore();
    const large = new Uint8Array(3_000_000).fill(7);
    await store.put("large", [large], options);
    let chunkCount = 0;
    let sizeBytes = 0;
    for await (const chunk of (await store.get("large", options)) ?? []) {
      chunkCount++;
      sizeBytes += chunk.byteLength;
    }
    expect(sizeBytes).toBe(large.byteLength);
    expect(chunkCount).toBeGreaterThan(5);
  });

  it("has no object that was never put or that was deleted", async () => {
    const { store } = newStore();
    expect(await store.get("absent", options)).toBeUndefined();
    await store.put("ltx/a", [bytes("x")], options);
    await store.delete("ltx/a", options);
    expect(await store.get("ltx/a", options)).toBeUndefined();
    expect(await keys(store)).toEqual([]);
    await expect(store.delete("ltx/a", options)).resolves.toBeUndefined();
    await expect(store.delete("never/there", options)).resolves.toBeUndefined();
  });

  it("replaces an object as a whole", async () => {
    const { store } = newStore();
    await store.put("a", [bytes("a long first text")], options);
    const reading = await store.get("a", options);
    expect(await store.put("a", [bytes("second")], options)).toBe(true);
    expect(await read(store, "a")).toBe("second");
    expect(reading).toBeDefined();
  });
});

describe("list", () => {
  it("gives all keys below a prefix in ascending order, with their sizes", async () => {
    const { store } = newStore();
    const all = ["a/x", "a.b", "a-b/y", "ab", "b/1", "b/2/z", "b/10", "B"];
    for (const key of all) await store.put(key, [bytes(key)], options);
    expect(await keys(store)).toEqual([...all].sort());
    expect(await keys(store, "b/")).toEqual(["b/1", "b/10", "b/2/z"]);
    expect(await keys(store, "c/")).toEqual([]);
    expect((await store.list("a/", options)).map(({ sizeBytes }) => sizeBytes)).toEqual([3]);
  });

  it.each([0, 1, 999, 1_700_000_000_123, 1_735_689_599_999])(
    "keeps the time that an object was given: %i",
    async (ms) => {
      const { store } = newStore();
      await store.put("a", [bytes("x")], { signal, modifiedMs: ms });
      expect((await store.list("", options))[0]?.modifiedMs).toBe(ms);
    },
  );

  it("never lists what is being written, or what a crash left of that", async () => {
    const { store, root } = newStore();
    await store.put("ltx/a", [bytes("x")], options);
    writeFileSync(join(root, "ltx/b.1234.tmp"), "half");
    async function* looksAround() {
      yield bytes("half");
      expect(filesBelow(root)).toHaveLength(3);
      expect(await keys(store)).toEqual(["ltx/a"]);
      yield bytes("whole");
    }
    await store.put("ltx/c", looksAround(), options);
    expect(await keys(store)).toEqual(["ltx/a", "ltx/c"]);
  });

  it("proves that nothing is there by the parent directory", async () => {
    const { store, parent, root } = newStore();
    expect(await keys(store)).toEqual([]);
    mkdirSync(root);
    expect(await keys(store)).toEqual([]);
    rmSync(parent, { recursive: true });
    await expect(store.list("", options)).rejects.toThrow(unreachable);
    await expect(store.list("ltx/", options)).rejects.toThrow(unreachable);
  });

  it("fails where the root, or its parent, is a file", async () => {
    const { store, parent, root } = newStore();
    writeFileSync(root, "");
    await expect(store.list("", options)).rejects.toThrow(unreachable);
    await expect(store.put("a", [], options)).rejects.toThrow(unreachable);
    rmSync(parent, { recursive: true });
    writeFileSync(parent, "");
    await expect(store.list("", options)).rejects.toThrow(unreachable);
  });

  it("follows links, so that a history behind one is never overlooked", async () => {
    const { store, root, parent } = newStore();
    mkdirSync(join(parent, "disk/ltx/0"), { recursive: true });
    writeFileSync(join(parent, "disk/ltx/0/a.ltx"), "x");
    mkdirSync(root);
    symlinkSync(join(parent, "disk/ltx"), join(root, "ltx"));
    symlinkSync(join(parent, "disk/ltx/0/a.ltx"), join(root, "b"));
    expect(await keys(store)).toEqual(["b", "ltx/0/a.ltx"]);
  });

  it("works where the root itself is a link", async () => {
    const { store, root, parent } = newStore();
    mkdirSync(join(parent, "disk"));
    symlinkSync(join(parent, "disk"), root);
    expect(await keys(store, "ltx/")).toEqual([]);
    await store.put("ltx/a", [bytes("x")], options);
    expect(await keys(store, "ltx/")).toEqual(["ltx/a"]);
  });

  it.each([
    ["the root", ""],
    ["a part of it", "ltx"],
  ])("takes %s that links to nowhere for unreachable, not for empty", async (_, place) => {
    const { store, root, parent } = newStore();
    if (place !== "") mkdirSync(root);
    symlinkSync(join(parent, "not-mounted"), join(root, place));
    await expect(store.list("", options)).rejects.toThrow(unreachable);
  });

  it("ends where links lead in a circle", async () => {
    const { store, root } = newStore();
    mkdirSync(root);
    symlinkSync(root, join(root, "again"));
    await expect(store.list("", options)).rejects.toThrow(unreachable);
  });
});

describe("put with ifAbsent", () => {
  it("stores where the key is absent, and changes nothing where it is not", async () => {
    const { store, root } = newStore();
    const ifAbsent = { signal, ifAbsent: true };
    expect(await store.put("id", [bytes("first")], ifAbsent)).toBe(true);
    expect(await store.put("id", [bytes("second")], ifAbsent)).toBe(false);
    expect(await read(store, "id")).toBe("first");
    expect(filesBelow(root)).toEqual(["id"]);
  });

  it("lets exactly one of many win", async () => {
    const { store, root } = newStore();
    const tries = Array.from({ length: 20 }, (_, index) =>
      store.put("id", [bytes(`${index}`)], { signal, ifAbsent: true }),
    );
    const wins = await Promise.all(tries);
    expect(wins.filter(Boolean)).toHaveLength(1);
    expect(await read(store, "id")).toBe(`${wins.indexOf(true)}`);
    expect(filesBelow(root)).toEqual(["id"]);
  });
});

describe("put that fails", () => {
  async function* breaksOff() {
    yield bytes("half");
    throw new Error("the source broke off");
  }

  it("leaves nothing behind, and what was there as it was", async () => {
    const { store, root } = newStore();
    await expect(store.put("ltx/a", breaksOff(), options)).rejects.toThrow("the source broke off");
    expect(filesBelow(root)).toEqual([]);
    await store.put("ltx/a", [bytes("whole")], options);
    await expect(store.put("ltx/a", breaksOff(), options)).rejects.toThrow("the source broke off");
    expect(await read(store, "ltx/a")).toBe("whole");
    expect(filesBelow(root)).toEqual(["a"]);
  });

  it("stops when it is told to, with the reason, and leaves nothing behind", async () => {
    const { store, root } = newStore();
    const stop = new AbortController();
    const reason = new Error("stopped");
    async function* stopsHalfWay() {
      yield bytes("half");
      stop.abort(reason);
      yield bytes("more");
    }
    await expect(store.put("a", stopsHalfWay(), { signal: stop.signal })).rejects.toBe(reason);
    expect(filesBelow(root)).toEqual([]);
  });

  it("does not make the root's parent, which may be a disk that is not mounted", async () => {
    const { store, parent } = newStore();
    rmSync(parent, { recursive: true });
    await expect(store.put("a", [bytes("x")], options)).rejects.toThrow(unreachable);
    expect(existsSync(parent)).toBe(false);
  });

  it("fails where a part of the key's way is an object", async () => {
    const { store } = newStore();
    await store.put("a", [bytes("x")], options);
    await expect(store.put("a/b", [bytes("y")], options)).rejects.toThrow(unreachable);
    await expect(store.get("a/b", options)).rejects.toThrow(unreachable);
  });
});

describe("a store that is told to stop", () => {
  it.each([
    ["list", (store: ObjectStore, stopped: AbortSignal) => store.list("", { signal: stopped })],
    ["get", (store: ObjectStore, stopped: AbortSignal) => store.get("a", { signal: stopped })],
    ["get of an absent key", (store: ObjectStore, stopped: AbortSignal) => store.get("no", { signal: stopped })],
    ["put", (store: ObjectStore, stopped: AbortSignal) => store.put("b", [bytes("y")], { signal: stopped })],
    ["put of nothing", (store: ObjectStore, stopped: AbortSignal) => store.put("b", [], { signal: stopped })],
    ["delete", (store: ObjectStore, stopped: AbortSignal) => store.delete("a", { signal: stopped })],
  ])("rejects %s with the reason, and changes nothing", async (_, call) => {
    const { store } = newStore();
    await store.put("a", [bytes("x")], options);
    const reason = new Error("stopped");
    await expect(call(store, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(await keys(store)).toEqual(["a"]);
  });

  it("breaks off a reading", async () => {
    const { store } = newStore();
    await store.put("a", [new Uint8Array(3_000_000)], options);
    const stop = new AbortController();
    const reason = new Error("stopped");
    const drain = async () => {
      for await (const _ of (await store.get("a", { signal: stop.signal })) ?? []) stop.abort(reason);
    };
    await expect(drain()).rejects.toBe(reason);
  });
});

describe("a range of a file", () => {
  it.each([
    [{ offset: 3 }, "3456789"],
    [{ offset: 3, lengthBytes: 2 }, "34"],
    [{ lengthBytes: 4 }, "0123"],
    [{ offset: 8, lengthBytes: 100 }, "89"],
    [{ offset: 10 }, ""],
    [{ offset: 1000, lengthBytes: 5 }, ""],
  ])("%j is read", async (range, expected) => {
    const { store } = newStore();
    await store.put("a", [bytes("0123456789")], options);
    const chunks: Uint8Array[] = [];
    for await (const chunk of (await store.get("a", { ...options, ...range })) ?? []) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe(expected);
    expect(await store.get("absent", { ...options, ...range })).toBeUndefined();
  });
});

describe("a file's version", () => {
  const versionOf = async (store: ObjectStore): Promise<string> => {
    const [{ version } = {}] = await store.list("", options);
    if (version === undefined) throw new Error("the store tells no versions");
    return version;
  };

  it("changes with every writing, also of the same bytes at the same time", async () => {
    const { store } = newStore();
    await store.put("a", [bytes("x")], { ...options, modifiedMs: 1000 });
    const first = await versionOf(store);
    expect(await versionOf(store)).toBe(first);
    await store.put("a", [bytes("x")], { ...options, modifiedMs: 1000 });
    expect(await versionOf(store)).not.toBe(first);
  });

  it("is read only while it is there", async () => {
    const { store } = newStore();
    await store.put("a", [bytes("old")], options);
    const version = await versionOf(store);
    expect(await store.get("a", { ...options, version })).toBeDefined();
    await store.put("a", [bytes("new")], options);
    expect(await store.get("a", { ...options, version })).toBeUndefined();
  });

  it("is replaced by one writer of many, and leaves nothing beside it", async () => {
    const { store, root } = newStore();
    await store.put("a", [bytes("old")], options);
    const ifVersion = await versionOf(store);
    const tries = Array.from({ length: 8 }, (_, index) =>
      store.put("a", [bytes(String(index))], { ...options, ifVersion }),
    );
    const won = (await Promise.all(tries)).flatMap((stored, index) => (stored ? [String(index)] : []));
    expect(won).toEqual([await read(store, "a")]);
    expect(filesBelow(root)).toEqual(["a"]);
    expect(await store.put("b", [bytes("x")], { ...options, ifVersion })).toBe(false);
    expect(filesBelow(root)).toEqual(["a"]);
  });

  it("is left alone while another writer replaces it", async () => {
    const { store, root } = newStore();
    await store.put("a", [bytes("old")], options);
    const ifVersion = await versionOf(store);
    writeFileSync(join(root, `a.${ifVersion}.tmp`), "");
    expect(await store.put("a", [bytes("new")], { ...options, ifVersion })).toBe(false);
    expect(await keys(store)).toEqual(["a"]);
  });
});

describe("a small file that several writers change", () => {
  const replace = (store: ObjectStore, text: string, version: string | undefined) =>
    store.replace("a", bytes(text), { version, signal });

  it("is replaced by who knows its version, and tells the new one", async () => {
    const { store, root } = newStore();
    expect(await store.readVersioned("a", options)).toBeUndefined();
    const first = await replace(store, "same", undefined);
    expect(await replace(store, "late", undefined)).toBeUndefined();
    const second = await replace(store, "same", first);
    expect(second).not.toBe(first);
    expect(await replace(store, "late", first)).toBeUndefined();
    expect(await store.readVersioned("a", options)).toEqual({ bytes: Buffer.from("same"), version: second });
    expect((await store.list("", options))[0]?.version).toBe(second);
    expect(filesBelow(root)).toEqual(["a"]);
  });

  it.each(["made", "replaced"])("is %s by one of many", async (how) => {
    const { store } = newStore();
    const version = how === "made" ? undefined : await replace(store, "old", undefined);
    const tries = await Promise.all(Array.from({ length: 8 }, (_, index) => replace(store, `${index}`, version)));
    const won = tries.flatMap((stored, index) => (stored === undefined ? [] : [`${index}`]));
    expect(won).toEqual([await read(store, "a")]);
  });

  it("is not read where it is a large one", async () => {
    const { store } = newStore();
    await store.put("a", [new Uint8Array(MAX_SMALL_BYTES + 1)], options);
    await expect(store.readVersioned("a", options)).rejects.toThrow('Cannot read "a"');
  });
});

describe("deleting many files", () => {
  it("deletes all of them, and what is absent", async () => {
    const { store } = newStore();
    for (const key of ["a", "b", "c"]) await store.put(key, [bytes(key)], options);
    await store.deleteMany(["a", "c", "never there"], options);
    expect(await keys(store)).toEqual(["b"]);
  });
});

describe("sweeping a directory", () => {
  it("removes what a writer that was killed left, where it is old and ours, and nothing that is an object", async () => {
    const { store, root } = newStore();
    await store.put("ltx/0/a.ltx", [bytes("a")], { ...options, modifiedMs: 1000 });
    await store.put("photo", [bytes("p")], options);
    const left = ["ltx/0/b.ltx.01234567-0123-4123-8123-0123456789ab.tmp", "ltx/0/c.ltx.tmp", "ltx/9/d.ltx.x-1.tmp"];
    const others = ["photo.tmp", "ltx/0/notes.txt.tmp"];
    mkdirSync(join(root, "ltx/9"), { recursive: true });
    for (const name of [...left, ...others]) writeFileSync(join(root, name), "half");
    const isOurs = (key: string) => key.startsWith("ltx/") && key.endsWith(".ltx");
    const sweep = (beforeMs: number) => store.sweep({ ...options, isOurs, beforeMs });
    expect(await sweep(Date.now() - 60_000)).toBe(0);
    expect(await sweep(Date.now() + 60_000)).toBe(left.length);
    expect(readdirSync(join(root, "ltx"), { recursive: true }).sort()).toEqual([
      "0",
      "0/a.ltx",
      "0/notes.txt.tmp",
      "9",
    ]);
    expect(await keys(store)).toEqual(["ltx/0/a.ltx", "photo"]);
  });

  it("finds nothing where there is nothing yet", async () => {
    const { store } = newStore();
    expect(await store.sweep({ ...options, isOurs: () => true, beforeMs: Date.now() })).toBe(0);
  });
});

describe("what others put there", () => {
  it("is read as it is, with its own time", async () => {
    const { store, root } = newStore();
    mkdirSync(join(root, "ltx/9"), { recursive: true });
    writeFileSync(join(root, "ltx/9/x.ltx"), "theirs");
    utimesSync(join(root, "ltx/9/x.ltx"), 1_700_000_000, 1_700_000_000);
    expect(await store.list("", options)).toEqual([
      { key: "ltx/9/x.ltx", sizeBytes: 6, modifiedMs: 1_700_000_000_000, version: expect.any(String) },
    ]);
    expect(await read(store, "ltx/9/x.ltx")).toBe("theirs");
    expect(readFileSync(join(root, "ltx/9/x.ltx"), "utf8")).toBe("theirs");
  });
});
