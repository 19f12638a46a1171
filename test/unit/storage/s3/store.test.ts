import { lookup } from "node:dns/promises";
import { describe, expect, it } from "vitest";
import { systemClock, systemRandom } from "../../../../src/base/system.ts";
import { makeS3Place } from "../../../../src/storage/s3/place.ts";
import { providerOf } from "../../../../src/storage/s3/providers.ts";
import { openS3Store } from "../../../../src/storage/s3/store.ts";
import { BUCKET } from "../../../support/s3-server.ts";
import { describeStore } from "./behaviour.ts";
import {
  bytes,
  collect,
  fixedCredentials,
  keysOf,
  newStore,
  options,
  PART_BYTES,
  pattern,
  readText,
  unreachable,
} from "./support.ts";

describeStore("a store in a bucket", async () => (await newStore()).store, { partBytes: PART_BYTES });

describe("where objects are in the bucket", () => {
  it.each([
    ["a/b", "a/b/0009/x"],
    [".", "./0009/x"],
    ["", "/0009/x"],
    ["/lead/ing/", "/lead/ing//0009/x"],
  ])("is below the prefix %j, as Litestream has it", async (prefix, key) => {
    const { server, store } = await newStore({ place: { prefix } });
    await store.put(`${store.levelDirectory(9)}/x`, [bytes("x")], options);
    expect([...server.objects.keys()]).toEqual([key]);
    expect(await keysOf(store)).toEqual(["0009/x"]);
  });

  it.each([
    ["a/b", "a/b/generations/0123/x"],
    [".", "generations/0123/x"],
    ["", "generations/0123/x"],
    ["/lead/ing/", "lead/ing/generations/0123/x"],
    ["a//b/../c", "a/c/generations/0123/x"],
  ])("is, for generations, below the cleaned prefix of %j, as Litestream 0.3 has it", async (prefix, key) => {
    const { server, store } = await newStore({ place: { prefix } });
    server.put(key, "old");
    server.put(`${prefix}/0009/y`, "new");
    expect(await keysOf(store)).toEqual(["0009/y", "generations/0123/x"]);
    expect(await keysOf(store, "generations/0123/")).toEqual(["generations/0123/x"]);
    expect(await keysOf(store, "0009/")).toEqual(["0009/y"]);
    expect(await readText(store, "generations/0123/x")).toBe("old");
    await store.deleteMany(["generations/0123/x"], options);
    expect([...server.objects.keys()]).toEqual([`${prefix}/0009/y`]);
  });

  it("spells levels in four hexadecimal digits", async () => {
    const { store } = await newStore();
    expect([0, 1, 9, 10].map(store.levelDirectory)).toEqual(["0000", "0001", "0009", "000a"]);
  });

  it("is told by an address, with the endpoint where it isn't AWS", async () => {
    const { server, store } = await newStore();
    expect(store.address).toBe(`s3://test-bucket/my/db?endpoint=${server.origin}`);
  });

  it("doesn't reach into other prefixes that begin alike", async () => {
    const { server, store } = await newStore();
    server.put("my/db-other/x", "theirs");
    server.put("my/db/x", "ours");
    expect(await keysOf(store)).toEqual(["x"]);
  });
});

describe("a list of many pages", () => {
  it("is whole and sorted", async () => {
    const { server, store } = await newStore();
    const keys = Array.from({ length: 2345 }, (_, index) => `0000/${index.toString(16).padStart(16, "0")}.ltx`);
    for (const key of keys.toReversed()) server.put(`my/db/${key}`, key);
    expect(await keysOf(store)).toEqual(keys);
    expect(server.count("List")).toBe(3);
  });

  it("keeps all characters over tiny pages", async () => {
    const { server, store } = await newStore({ server: { pageKeys: 1 } });
    const keys = ["+", "//", "a b", "z", "é", "日本"];
    for (const key of keys) server.put(`my/db/${key}`, key);
    expect(await keysOf(store)).toEqual([...keys].sort());
  });
});

describe("uploads", () => {
  it("of parts that are done leave none behind", async () => {
    const { server, store } = await newStore();
    await store.put("big", [pattern(PART_BYTES * 4)], options);
    expect(server.uploads.size).toBe(0);
    expect(server.objects.get("my/db/big")?.etag).toMatch(/-4$/);
  });

  it("of what is there already are not even begun", async () => {
    const { server, store } = await newStore();
    server.put("my/db/big", "theirs");
    expect(await store.put("big", [pattern(PART_BYTES * 4)], { ...options, ifAbsent: true })).toBe(false);
    expect(server.count("CreateUpload")).toBe(0);
  });

  it("keep the condition to the end, where someone else was faster", async () => {
    const { server, store } = await newStore();
    const body = async function* () {
      yield pattern(PART_BYTES * 2);
      server.put("my/db/big", "theirs");
      yield pattern(PART_BYTES);
    };
    expect(await store.put("big", body(), { ...options, ifAbsent: true })).toBe(false);
    expect((await collect(await store.get("big", options)))?.toString()).toBe("theirs");
    expect(server.uploads.size).toBe(0);
  });

  it("take a source that uses its memory again", async () => {
    const { store } = await newStore();
    const reused = new Uint8Array(1000);
    const body = function* () {
      for (let index = 0; index < 200; index += 1) yield reused.fill(index);
    };
    await store.put("a", body(), options);
    const found = await collect(await store.get("a", options));
    expect(found?.every((byte, index) => byte === Math.floor(index / 1000))).toBe(true);
  });

  it.each([
    ["before the first part is full", 10],
    ["after some parts", PART_BYTES * 3],
  ])("fail with their source's own error, %s, and leave nothing", async (_, sizeBytes) => {
    const { server, store } = await newStore();
    const broken = new Error("the source broke");
    const body = async function* () {
      yield pattern(sizeBytes);
      throw broken;
    };
    await expect(store.put("a", body(), options)).rejects.toBe(broken);
    expect([server.objects.size, server.uploads.size]).toEqual([0, 0]);
  });

  it("let go of their source when they fail", async () => {
    const { server, store } = await newStore();
    server.fail("UploadPart", { kind: "status", status: 403, code: "AccessDenied" }, 100);
    let closed = false;
    const body = function* () {
      try {
        for (;;) yield pattern(PART_BYTES);
      } finally {
        closed = true;
      }
    };
    await expect(store.put("a", body(), options)).rejects.toThrow("AccessDenied");
    expect(closed).toBe(true);
    expect(server.uploads.size).toBe(0);
  });
});

describe("connections", () => {
  it("are kept for the next request", async () => {
    const { server, store } = await newStore();
    for (const key of ["a", "b", "c"]) await store.put(key, [bytes(key)], options);
    await keysOf(store);
    expect(new Set(server.requests.map(({ socket }) => socket)).size).toBe(1);
  });

  it("that were closed meanwhile cost no pause", async () => {
    const { server, store, events } = await newStore({ limits: { pauseMs: 60_000, pauseCapMs: 60_000 } });
    await store.put("a", [bytes("a")], options);
    server.closeConnections();
    await store.put("b", [bytes("b")], options);
    expect(await keysOf(store)).toEqual(["a", "b"]);
    expect(events.every(({ text }) => !text.includes("60 s"))).toBe(true);
  });

  it("that nobody listens to are an unreachable replica, with the reason", async () => {
    const { server, store } = await newStore();
    await server[Symbol.asyncDispose]();
    await expect(store.list("", options)).rejects.toThrow(
      /Cannot list "s3:\/\/test-bucket\/my\/db.*ECONNREFUSED.*after 3 tries/,
    );
    await expect(store.list("", options)).rejects.toEqual(unreachable);
  });

  it("over http to another host need the user's word", () => {
    const place = makeS3Place({ bucket: "test-bucket", endpoint: "http://192.0.2.1:9000" });
    const open = (insecure: boolean) =>
      openS3Store(
        { ...place, insecure },
        { clock: systemClock, random: systemRandom, credentials: fixedCredentials() },
      );
    expect(() => open(false)).toThrow(expect.objectContaining({ code: "E_CONFIG" }));
    expect(() => open(true)[Symbol.dispose]()).not.toThrow();
  });
});

describe("a wrong region", () => {
  it.each(["none", "other-1"])("is set right by the bucket's own word: %s", async (region) => {
    const { server, store } = await newStore({ place: { region: region === "none" ? undefined : region } });
    server.put("my/db/a", "x");
    expect(await keysOf(store)).toEqual(["a"]);
    expect(await keysOf(store)).toEqual(["a"]);
    expect(server.count("List")).toBe(3); // learnt once, and kept
  });
});

describe("a wrong clock", () => {
  it.each([-3_600_000, 86_400_000])("that is off by %d ms is set right by the answer's date, and told", async (ms) => {
    const { server, store, events } = await newStore();
    server.setClockOffset(ms);
    await store.put("a", [bytes("x")], options);
    expect(await keysOf(store)).toEqual(["a"]);
    expect(server.count("Put")).toBe(2);
    expect(events.filter(({ level }) => level === "warn").map(({ text }) => text)).toEqual([
      expect.stringMatching(ms < 0 ? /^this clock is .* ahead of/ : /^this clock is .* behind/),
    ]);
  });
});

describe("a bucket that is named by its host", () => {
  it("is found there", async ({ skip }) => {
    const { server, store } = await newStore();
    const { hostname, port } = { hostname: `${BUCKET}.localhost`, port: server.port };
    if (!(await lookup(hostname).catch(() => undefined))) skip(`this system doesn't know "${hostname}"`);
    store[Symbol.dispose]();
    const byHost = await newStore({
      place: { endpoint: `http://localhost:${port}`, region: server.region, pathStyle: false },
    });
    server.put("my/db/a b", "x");
    expect(await keysOf(byHost.store)).toEqual(["a b"]);
    expect(server.requests[0]?.headers.host).toBe(`${hostname}:${port}`);
  });
});

describe("Tigris", () => {
  it("is asked for the newest state with every request, and gets no MD5, as from Litestream", () => {
    for (const endpoint of ["https://fly.storage.tigris.dev", "https://t3.storage.dev"]) {
      expect(providerOf(endpoint)).toMatchObject({ headers: { "x-tigris-consistent": "true" }, contentMd5: false });
    }
    expect(providerOf(undefined)).toMatchObject({ headers: {}, contentMd5: true });
  });
});
