import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Event } from "../../../src/base/events.ts";
import { systemRandom } from "../../../src/base/system.ts";
import { type Compactor, createCompactor, type LocalFiles } from "../../../src/replica/compact.ts";
import type { Guard } from "../../../src/replica/lease/hold.ts";
import { MAX_INPUTS, PIECE_BYTES } from "../../../src/replica/levels.ts";
import type { LtxFileInfo } from "../../../src/replica/ltx/names.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import { openFileStore } from "../../../src/storage/file.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { createHistory, type History, restoredState } from "../../support/history.ts";
import { short } from "../../support/listing.ts";
import { createMemoryStore, type MemoryStore } from "../../support/memory-store.ts";
import { seededRandom } from "../../support/random.ts";
import { listFiles } from "../../support/replica.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { collect, newStore } from "../storage/s3/support.ts";
import { encode, headerWith, noise, pageOf, pageSizeOf } from "./ltx/support.ts";

const never = new AbortController().signal;
const txid = (value: number) => toTxid(BigInt(value));

type Options = {
  readonly wrap?: (store: ObjectStore) => ObjectStore;
  readonly local?: LocalFiles;
  readonly guard?: Guard;
};

/** A history in memory, and a compactor of its replica. */
function setUp({
  store = createMemoryStore(),
  history = createHistory(store),
  ...options
}: Options & { readonly store?: MemoryStore; readonly history?: History } = {}) {
  return { store, ...setUpOn(store, history, options) };
}

function setUpOn(
  store: ObjectStore,
  history: History,
  { wrap = (inner) => inner, local, guard = async () => {} }: Options = {},
) {
  const events: Event[] = [];
  const labels: string[] = [];
  const compactor = createCompactor({
    catalog: history.catalog,
    store: wrap(store),
    local,
    guard,
    log: (event) => void events.push(event),
    at: (label) => void labels.push(label),
  });
  return { history, compactor, events, labels };
}

const compact = (compactor: Compactor, level = 1) => compactor.compact({ level, signal: never });

async function filesAt(store: ObjectStore, level: number): Promise<readonly string[]> {
  return (await listFiles(store)).filter((file) => file.level === level).map(short);
}

/** Keys are those of a store in a directory. */
const keyOf = (level: number, first: number, last: number) =>
  `ltx/${level}/${[first, last].map((value) => value.toString(16).padStart(16, "0")).join("-")}.ltx`;

function damage(store: MemoryStore, key: string): void {
  const object = store.objects.get(key);
  if (object === undefined) throw new Error(`no object: ${key}`);
  const bytes = object.bytes.slice();
  bytes[130] = (bytes[130] ?? 0) ^ 0x55;
  store.objects.set(key, { ...object, bytes });
}

/** Counts requests by method and level: "get 0". */
function counting(counts: Record<string, number>) {
  const count = (method: string, key: string) => {
    const name = `${method} ${key.split("/")[1]}`;
    counts[name] = (counts[name] ?? 0) + 1;
  };
  return (store: ObjectStore): ObjectStore => ({
    ...store,
    list: (prefix, options) => {
      count("list", prefix);
      return store.list(prefix, options);
    },
    get: (key, options) => {
      count("get", key);
      return store.get(key, options);
    },
    put: (key, body, options) => {
      count("put", key);
      return store.put(key, body, options);
    },
  });
}

describe("compact", () => {
  it("makes one file of all that is new, and leads to the same states", async () => {
    const { store, history, compactor } = setUp();
    await history.upload(4);
    await history.snapshot();
    await history.upload(5);
    expect(await compact(compactor)).toMatchObject({ files: 1, reached: 9n, hole: undefined, foundDamage: false });
    expect(await filesAt(store, 1)).toEqual(["1/1-9"]);
    await history.upload(3);
    await compact(compactor);
    expect(await filesAt(store, 1)).toEqual(["1/1-9", "1/10-12"]);
    await compact(compactor, 2);
    expect(await filesAt(store, 2)).toEqual(["2/1-12"]);
    expect(await compact(compactor, 2)).toMatchObject({ files: 0, reached: 12n });

    for (const at of [4n, 9n, 12n]) {
      const target = { kind: "txid", txid: toTxid(at) } as const;
      expect(await restoredState(store, target)).toEqual(history.stateAt(toTxid(at)));
    }
    for (const key of [...store.objects.keys()]) if (!key.startsWith("ltx/2/")) store.objects.delete(key);
    expect(await restoredState(store)).toEqual(history.stateAt(txid(12)));
  });

  it("leads to the same states through any number of levels and calls", async () => {
    const random = seededRandom(3);
    for (let round = 0; round < 15; round += 1) {
      const store = createMemoryStore();
      const { history, compactor } = setUp({ store, history: createHistory(store, { seed: round }) });
      await history.upload();
      await history.snapshot();
      for (let step = 0; step < 40; step += 1) {
        await history.upload();
        for (const level of [1, 2, 3]) if (random.unit() < 0.4 / level) await compact(compactor, level);
        if (random.unit() < 0.03) await history.snapshot();
      }
      expect(await restoredState(store)).toEqual(history.stateAt(history.last));
      for (const { level, max } of await listFiles(store)) {
        if (level === 0) continue;
        expect(await restoredState(store, { kind: "txid", txid: max })).toEqual(history.stateAt(max));
      }
      // And without the files of the lower levels that are held by higher ones.
      for (const { level, max, key } of await listFiles(store)) {
        if (level < 3 && max <= history.catalog.reached(level + 1)) store.objects.delete(key);
      }
      expect(await restoredState(store)).toEqual(history.stateAt(history.last));
    }
  });

  it("notes what it made as a listing would show it", async () => {
    const { store, history, compactor } = setUp();
    await history.upload(9);
    await compact(compactor);
    const listed = await listFiles(store);
    expect(history.catalog.files(1)).toEqual(listed.filter(({ level }) => level === 1).map(withoutVersion));
  });

  it("gives a merged file the time of its last transaction, in the header too", async () => {
    let nowMs = 1000;
    const store = createMemoryStore();
    const history = createHistory(store, { now: () => nowMs });
    const { compactor } = setUp({ store, history });
    await history.upload(2);
    nowMs = 5000;
    await history.upload(1);
    nowMs = 9000;
    await compact(compactor);
    expect(store.objects.get(keyOf(1, 1, 3))?.modifiedMs).toBe(5000);
    expect(history.catalog.newest(1)?.modifiedMs).toBe(5000);
  });

  it("makes several files of more than one merge may hold", async () => {
    const { store, history, compactor } = setUp();
    await history.upload(MAX_INPUTS + 5);
    expect(await compact(compactor)).toMatchObject({ files: 2, reached: BigInt(MAX_INPUTS + 5) });
    expect(await restoredState(store)).toEqual(history.stateAt(history.last));
  });

  it("asks the store for nothing where there is nothing new, and never for a list", async () => {
    const counts: Record<string, number> = {};
    const { history, compactor } = setUp({ wrap: counting(counts) });
    await history.upload(5);
    await compact(compactor);
    expect(counts).toEqual({ "get 0": 5, "put 1": 1 });
    await compact(compactor);
    await compact(compactor, 2);
    expect(counts).toEqual({ "get 0": 5, "put 1": 1, "get 1": 1, "put 2": 1 });
  });

  it("reads large files in pieces, each to its end, so that no connection waits for another", async () => {
    const store = createMemoryStore();
    const history = createHistory(store);
    let open = 0;
    let most = 0;
    let pieces = 0;
    const wrap = (inner: ObjectStore): ObjectStore => ({
      ...inner,
      async get(key, options) {
        expect(options.lengthBytes).toBeLessThanOrEqual(PIECE_BYTES);
        const chunks = await inner.get(key, options);
        return chunks && watched(chunks);
      },
    });
    async function* watched(chunks: AsyncIterable<Uint8Array>) {
      open += 1;
      pieces += 1;
      most = Math.max(most, open);
      yield* chunks;
      open -= 1;
    }
    const { compactor } = setUp({ store, history, wrap });
    for (let number = 1; number <= 3; number += 1) history.catalog.add(await putNoise(store, number));
    expect(await compact(compactor)).toMatchObject({ files: 1 });
    expect(pieces).toBeGreaterThan(6);
    expect(most).toBe(1);
  });

  it("gives memory back as it goes, and holds a part of each file at most", async () => {
    const store = createMemoryStore();
    const history = createHistory(store);
    const given: Uint8Array[] = [];
    let most = 0;
    const wrap = (inner: ObjectStore): ObjectStore => ({
      ...inner,
      async get(key, options) {
        const chunks = await inner.get(key, options);
        return chunks && noted(chunks);
      },
    });
    async function* noted(chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        given.push(chunk);
        yield chunk;
      }
      const held = given.reduce((sum, { byteLength }) => sum + byteLength, 0); // 0 for what was given back
      most = Math.max(most, held);
    }
    const { compactor } = setUp({ store, history, wrap });
    const sizes: number[] = [];
    for (let number = 1; number <= 6; number += 1) {
      const found = await putNoise(store, number);
      history.catalog.add(found);
      sizes.push(found.sizeBytes);
    }
    expect(await compact(compactor)).toMatchObject({ files: 1 });
    const all = sizes.reduce((sum, size) => sum + size);
    expect(most).toBeLessThanOrEqual(6 * PIECE_BYTES);
    expect(all).toBeGreaterThan(2 * most);
  });

  it("reads a file whose size it was told wrong", async () => {
    const { store, history, compactor } = setUp();
    await history.upload(3);
    for (const found of [...history.catalog.files(0)]) history.catalog.add({ ...found, sizeBytes: 7 });
    expect(await compact(compactor)).toMatchObject({ files: 1, reached: 3n });
    expect(await restoredState(store)).toEqual(history.stateAt(txid(3)));
  });

  it("is not disturbed by a second call for the same level", async () => {
    const { store, history, compactor } = setUp();
    await history.upload(9);
    const [first, second] = await Promise.all([compact(compactor), compact(compactor)]);
    expect([first.files, second.files]).toEqual([1, 0]);
    expect(await filesAt(store, 1)).toEqual(["1/1-9"]);
  });

  it("goes on after a call that failed", async () => {
    const failures = { left: 1 };
    const { store, history, compactor } = setUp({ wrap: (inner) => failingPuts(inner, failures, "before") });
    await history.upload(3);
    const [first, second] = await Promise.allSettled([compact(compactor), compact(compactor)]);
    expect(first).toMatchObject({ status: "rejected", reason: { message: "connection refused" } });
    expect(second).toMatchObject({ status: "fulfilled", value: { files: 1 } });
    expect(await filesAt(store, 1)).toEqual(["1/1-3"]);
  });

  it("breaks off when it is told to, and leaves nothing", async () => {
    const stop = new AbortController();
    const wrap = (inner: ObjectStore): ObjectStore => ({
      ...inner,
      async get(key, options) {
        if (key.endsWith("3.ltx")) stop.abort(new Error("told to stop"));
        options.signal.throwIfAborted();
        return inner.get(key, options);
      },
    });
    const { store, history, compactor } = setUp({ wrap });
    await history.upload(5);
    await expect(compactor.compact({ level: 1, signal: stop.signal })).rejects.toThrow("told to stop");
    expect(await filesAt(store, 1)).toEqual([]);
  });
});

describe("a compactor, before it writes", () => {
  it("asks whether it still may, and writes nothing where it may not", async () => {
    const guard = async () => {
      throw new Error("the lease is lost");
    };
    const { store, history, compactor } = setUp({ guard });
    await history.upload(3);
    await expect(compact(compactor)).rejects.toThrow("the lease is lost");
    expect(await filesAt(store, 1)).toEqual([]);
    const asked: string[] = [];
    const allowed = setUp({ guard: async () => void asked.push("asked") });
    await allowed.history.upload(3);
    await compact(allowed.compactor);
    expect([asked, allowed.labels]).toEqual([["asked"], ["merging", "merged"]]);
  });
});

describe("a compactor whose upload had arrived although its answer did not", () => {
  it("finds its own bytes, and goes on", async () => {
    const failures = { left: 1 };
    const { store, history, compactor } = setUp({ wrap: (inner) => failingPuts(inner, failures, "after") });
    await history.upload(3);
    await expect(compact(compactor)).rejects.toThrow("connection reset");
    expect(await compact(compactor)).toMatchObject({ files: 1, reached: 3n });
    const listed = (await listFiles(store)).filter(({ level }) => level === 1).map(withoutVersion);
    expect(history.catalog.files(1)).toEqual(listed);
  });

  it("tries the same file again, although more has come since: no two files of a level overlap", async () => {
    const failures = { left: 1 };
    const { store, history, compactor } = setUp({ wrap: (inner) => failingPuts(inner, failures, "after") });
    await history.upload(3);
    await expect(compact(compactor)).rejects.toThrow("connection reset");
    await history.upload(3);
    expect(await compact(compactor)).toMatchObject({ files: 2, reached: 6n });
    expect(await filesAt(store, 1)).toEqual(["1/1-3", "1/4-6"]);
  });

  it("tells another writer's bytes from its own", async () => {
    const { store, history, compactor } = setUp();
    await history.upload(3);
    const theirs = createMemoryStore();
    const another = setUp({ store: theirs, history: createHistory(theirs, { seed: 99 }) });
    await another.history.upload(3);
    await compact(another.compactor);
    const object = theirs.objects.get(keyOf(1, 1, 3));
    if (object !== undefined) store.objects.set(keyOf(1, 1, 3), object);
    await expect(compact(compactor)).rejects.toMatchObject({ code: "E_DIVERGED" });
  });
});

describe("a compactor with files on the volume", () => {
  it("reads them, and of the replica only what is not there", async () => {
    const counts: Record<string, number> = {};
    const local = createMemoryStore();
    const store = createMemoryStore();
    const history = createHistory(store);
    await history.upload(6);
    const there = history.catalog.files(0).slice(2, 5);
    for (const { key } of there) {
      const object = store.objects.get(key);
      if (object !== undefined) local.objects.set(key, object);
    }
    const { compactor } = setUp({
      store,
      history,
      local: { store: local, files: () => there },
      wrap: counting(counts),
    });
    await compact(compactor);
    expect(counts).toEqual({ "get 0": 3, "put 1": 1 });
    expect(await restoredState(store)).toEqual(history.stateAt(txid(6)));
  });

  it("takes none that was not uploaded yet: its merge would lead the replica, under a name that stands in nobody's way", async () => {
    const local = createMemoryStore();
    const staged: LtxFileInfo[] = [];
    const { store, history, compactor } = setUp({ local: { store: local, files: () => staged } });
    await history.upload(3);
    staged.push(...(await history.stage(local, 7)));
    expect(await compact(compactor)).toMatchObject({ files: 1, reached: 3n });
    expect(await compact(compactor)).toMatchObject({ files: 0, reached: 3n });
    expect(await filesAt(store, 1)).toEqual(["1/1-3"]);
  });

  it("passes over a damaged one where the replica has it too", async () => {
    const local = createMemoryStore();
    const store = createMemoryStore();
    const history = createHistory(store);
    await history.upload(6);
    for (const { key } of history.catalog.files(0)) {
      const object = store.objects.get(key);
      if (object !== undefined) local.objects.set(key, object);
    }
    damage(local, keyOf(0, 4, 4));
    local.objects.delete(keyOf(0, 5, 5));
    const files = () => history.catalog.files(0);
    const { compactor, events } = setUp({ store, history, local: { store: local, files } });
    expect(await compact(compactor)).toMatchObject({ files: 1, reached: 6n, foundDamage: false });
    expect(await restoredState(store)).toEqual(history.stateAt(txid(6)));
    expect(events.filter(({ level }) => level === "warn").map(({ text }) => text)).toEqual([
      expect.stringContaining(`"${keyOf(0, 4, 4)}"`),
    ]);
  });

  it("takes a sound one where the replica's is gone", async () => {
    const local = createMemoryStore();
    const store = createMemoryStore();
    const history = createHistory(store);
    await history.upload(6);
    const object = store.objects.get(keyOf(0, 4, 4));
    if (object !== undefined) local.objects.set(keyOf(0, 4, 4), object);
    store.objects.delete(keyOf(0, 4, 4));
    const files = () => history.catalog.files(0).filter(({ max }) => max === 4n);
    const { compactor } = setUp({ store, history, local: { store: local, files } });
    expect(await compact(compactor)).toMatchObject({ files: 1, reached: 6n, hole: undefined });
  });
});

const HARMS: readonly (readonly [string, (store: MemoryStore, key: string) => void])[] = [
  ["is gone", (store, key) => void store.objects.delete(key)],
  ["is damaged", damage],
];

describe.each(HARMS)("a compactor, where a file of the replica %s", (_, harm) => {
  it("compacts what comes before it, says what is lost, and goes on with a snapshot from behind it", async () => {
    const { store, history, compactor } = setUp();
    await history.upload(2);
    await history.snapshot();
    await history.upload(7);
    harm(store, keyOf(0, 5, 5));
    harm(store, keyOf(0, 6, 6));
    const found = await compact(compactor);
    expect(found).toMatchObject({ files: 1, reached: 4n, hole: { first: 5n, last: 5n }, foundDamage: true });
    expect(compactor.isRestorable()).toBe(false);
    expect(await compact(compactor)).toMatchObject({ files: 0, hole: { first: 5n, last: 5n }, foundDamage: false });

    await history.snapshot();
    expect(compactor.isRestorable()).toBe(true);
    await history.upload(3);
    expect(await compact(compactor)).toMatchObject({ files: 2, reached: 12n, hole: undefined });
    expect(await filesAt(store, 1)).toEqual(["1/1-4", "1/5-9", "1/10-12"]);
    await compact(compactor, 2);
    expect(await filesAt(store, 2)).toEqual(["2/1-12"]);
    for (const at of [4n, 9n, 12n]) {
      expect(await restoredState(store, { kind: "txid", txid: toTxid(at) })).toEqual(history.stateAt(toTxid(at)));
    }
    // Also without the snapshot: the bridge is as good.
    store.objects.delete(keyOf(9, 1, 9));
    expect(await restoredState(store)).toEqual(history.stateAt(txid(12)));
  });

  it("bridges higher levels in the same way", async () => {
    const { store, history, compactor } = setUp();
    await history.upload();
    await history.snapshot();
    for (let i = 0; i < 6; i += 1) {
      await history.upload(3);
      await compact(compactor);
      if (i === 2) await compact(compactor, 2);
    }
    harm(store, keyOf(1, 14, 16)); // of 2-4, 5-7, 8-10, 11-13, 14-16, 17-19
    expect(await compact(compactor, 2)).toMatchObject({ files: 1, reached: 13n, hole: { first: 14n, last: 16n } });
    await history.upload();
    await history.snapshot();
    // The snapshot ends where level 1 doesn't yet: level 2 waits for it.
    expect(await compact(compactor, 2)).toMatchObject({ files: 0, hole: undefined });
    await history.upload();
    await compact(compactor);
    expect(await compact(compactor, 2)).toMatchObject({ files: 1, reached: 21n });
    await compact(compactor, 3);
    expect(await filesAt(store, 3)).toEqual(["3/2-21"]);
    expect(await restoredState(store)).toEqual(history.stateAt(txid(21)));
  });

  it("is not misled by a failure that passes", async () => {
    let harmed = false;
    const wrap = (inner: ObjectStore): ObjectStore => ({
      ...inner,
      async get(key, options) {
        if (key !== keyOf(0, 3, 3) || harmed) return inner.get(key, options);
        harmed = true;
        const copy = createMemoryStore(store.objects);
        harm(copy, key);
        return copy.get(key, options);
      },
    });
    const store = createMemoryStore();
    const { history, compactor } = setUp({ store, history: createHistory(store), wrap });
    await history.upload(5);
    expect(await compact(compactor)).toMatchObject({ files: 1, reached: 5n, hole: undefined, foundDamage: false });
    expect(harmed).toBe(true);
  });

  it("notices it for the newest file too, which nothing comes after yet", async () => {
    const { store, history, compactor } = setUp();
    await history.upload();
    await history.snapshot();
    await history.upload(4);
    harm(store, keyOf(0, 5, 5));
    expect(await compact(compactor)).toMatchObject({ reached: 4n, hole: undefined, foundDamage: true });
    if (compactor.isRestorable()) expect(await restoredState(store)).toEqual(history.stateAt(txid(4)));
  });

  it("does without a snapshot that is so", async () => {
    const { store, history, compactor } = setUp();
    await history.upload(3);
    await compact(compactor);
    await history.upload(3);
    await history.snapshot();
    await history.upload(1);
    store.objects.delete(keyOf(0, 5, 5));
    harm(store, keyOf(9, 1, 6));
    const found = await compact(compactor);
    expect(found).toMatchObject({ files: 1, reached: 4n, hole: { first: 5n, last: 5n }, foundDamage: true });
    expect(compactor.soundSnapshot()).toBeUndefined();
    await history.snapshot();
    expect(compactor.soundSnapshot()).toMatchObject({ max: 7n });
    expect(await compact(compactor)).toMatchObject({ reached: 7n, hole: undefined });
    expect(await filesAt(store, 1)).toEqual(["1/1-3", "1/4-4", "1/5-7"]);
  });
});

describe("a compactor, where the page size changed", () => {
  it("ends a file before it, and goes on after it", async () => {
    const { store, history, compactor } = setUp();
    await history.upload(3);
    await history.changePageSize(1024);
    await history.upload(3);
    expect(await compact(compactor)).toMatchObject({ files: 2, reached: 7n });
    expect(await filesAt(store, 1)).toEqual(["1/1-3", "1/4-7"]);
    expect(await compact(compactor, 2)).toMatchObject({ files: 2, reached: 7n });
    expect(await restoredState(store)).toEqual(history.stateAt(history.last));
  });
});

describe("a compactor of a replica in a directory", () => {
  it("writes and reads it as any other", async () => {
    using directory = temporaryDirectory();
    const store = openFileStore(join(directory.path, "replica"), { random: systemRandom });
    const history = createHistory(store, { now: () => 1_700_000_000_123 });
    const { compactor } = setUpOn(store, history);
    await history.upload(9);
    await compact(compactor);
    const listed = (await listFiles(store)).filter(({ level }) => level === 1);
    expect(listed).toMatchObject([{ ...history.catalog.newest(1) }]);
    expect(await restoredState(store)).toEqual(history.stateAt(txid(9)));
  });
});

/** A level-0 file of some 600 kB. */
async function putNoise(store: MemoryStore, number: number): Promise<LtxFileInfo> {
  const range = { min: txid(number), max: txid(number) };
  const header = headerWith({ ...range, pageSize: pageSizeOf(4096), commit: 150 });
  const pages = Array.from({ length: 150 }, (_, i) => pageOf(i + 1, 4096, noise(number * 1000 + i)));
  const bytes = encode(header, pages);
  const key = keyOf(0, number, number);
  await store.put(key, [bytes], { signal: never });
  return { level: 0, ...range, key, sizeBytes: bytes.byteLength, modifiedMs: 0 };
}

describe("a compactor of a replica in a bucket", () => {
  it("finds its own bytes after a lost answer", async () => {
    const { server, store } = await newStore();
    const history = createHistory(store, { pageSize: 4096, mostPages: 60, now: () => 1_700_000_000_123 });
    const { compactor } = setUpOn(store, history);
    await history.upload(5);
    server.fail("Put", { kind: "reset", when: "after" });
    expect(await compact(compactor)).toMatchObject({ files: 1, reached: 5n });
    const merged = (await listFiles(store)).find(({ level }) => level === 1);
    if (merged === undefined) throw new Error("nothing was compacted");
    expect(merged.key).toBe("0001/0000000000000001-0000000000000005.ltx");
    expect(merged.sizeBytes).toBe(history.catalog.newest(1)?.sizeBytes);
    expect(await store.exactTime(merged, { signal: never })).toBe(1_700_000_000_123);
    expect(await restoredState(store)).toEqual(history.stateAt(txid(5)));
  });

  it.each([
    ["one request", { minPartBytes: 5 * 1024 * 1024, partBytes: 5 * 1024 * 1024 }],
    ["parts", { minPartBytes: 1024, partBytes: 1024 }],
  ])("leaves nothing of an upload in %s that comes upon a damaged file", async (_, { minPartBytes, partBytes }) => {
    const { server, store } = await newStore({ server: { minPartBytes }, limits: { partBytes } });
    const history = createHistory(store, { pageSize: 4096, mostPages: 200 });
    const { compactor } = setUpOn(store, history);
    await history.upload(2);
    await history.snapshot();
    await history.upload(3);
    const key = "0000/0000000000000005-0000000000000005.ltx";
    const bytes = await collect(await store.get(key, { signal: never }));
    if (bytes === undefined) throw new Error(`no object: ${key}`);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1; // in its checksum, which is looked at last
    await store.put(key, [bytes], { signal: never });
    expect(await compact(compactor)).toMatchObject({ files: 1, reached: 4n, foundDamage: true });
    expect((await listFiles(store)).filter(({ level }) => level === 1).map(short)).toEqual(["1/1-4"]);
    expect(server.uploads.size).toBe(0);
  });
});

function withoutVersion({ level, min, max, key, sizeBytes, modifiedMs }: LtxFileInfo): LtxFileInfo {
  return { level, min, max, key, sizeBytes, modifiedMs };
}

function failingPuts(store: ObjectStore, failures: { left: number }, when: "before" | "after"): ObjectStore {
  return {
    ...store,
    async put(key, body, options) {
      const fails = failures.left > 0;
      if (fails) failures.left -= 1;
      if (fails && when === "before") throw new Error("connection refused");
      const stored = await store.put(key, body, options);
      if (fails) throw new Error("connection reset");
      return stored;
    },
  };
}
