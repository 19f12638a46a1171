import { describe, expect, it } from "vitest";
import type { ObjectStore } from "../../../../src/storage/store.ts";
import type { Operation } from "../../../support/s3-server.ts";
import { bytes, collect, newStore, PART_BYTES, pattern } from "./support.ts";

type Call = (store: ObjectStore, options: { readonly signal: AbortSignal }) => Promise<unknown>;

const put: Call = (store, options) => store.put("a", [bytes("x")], options);
const putBig: Call = (store, options) => store.put("a", [pattern(PART_BYTES * 5)], options);

const CALLS: readonly (readonly [string, Operation, Call])[] = [
  ["a list", "List", (store, options) => store.list("", options)],
  ["reading", "Get", async (store, options) => collect(await store.get("there", options))],
  ["a put", "Put", put],
  ["the begin of parts", "CreateUpload", putBig],
  ["a part", "UploadPart", putBig],
  ["the end of parts", "CompleteUpload", putBig],
  ["deleting", "Delete", (store, options) => store.delete("there", options)],
  ["deleting many", "DeleteObjects", (store, options) => store.deleteMany(["there"], options)],
  [
    "the exact time",
    "Head",
    (store, options) => store.exactTime({ key: "there", sizeBytes: 1, modifiedMs: 1 }, options),
  ],
];

const reason = new Error("stopped");

/** So long that only an abort ends a call in time. */
const LONG = { idleMs: 600_000, requestMs: 600_000, connectMs: 600_000, pauseMs: 600_000, pauseCapMs: 600_000 };

describe("an abort", () => {
  it.each(CALLS)("before %s sends nothing", async (_, __, call) => {
    const { server, store } = await newStore();
    await expect(call(store, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(server.requests).toEqual([]);
  });

  it.each(CALLS)("while %s waits for an answer ends it at once", async (_, operation, call) => {
    const { server, store } = await newStore({ limits: LONG });
    server.put("my/db/there", "x");
    server.fail(operation, { kind: "hang", when: "before" }, Number.POSITIVE_INFINITY);
    const stop = new AbortController();
    const running = call(store, { signal: stop.signal });
    running.catch(() => {});
    await expect.poll(() => server.count(operation)).toBeGreaterThan(0);
    stop.abort(reason);
    await expect(running).rejects.toBe(reason);
    await expect.poll(() => server.uploads.size).toBe(0); // given up behind the caller's back
  });

  it.each(CALLS)("while %s pauses before another try ends it at once", async (_, operation, call) => {
    const { server, store } = await newStore({ limits: LONG });
    server.put("my/db/there", "x");
    server.fail(operation, { kind: "status", status: 503, code: "SlowDown" }, Number.POSITIVE_INFINITY);
    const stop = new AbortController();
    const running = call(store, { signal: stop.signal });
    running.catch(() => {});
    await expect.poll(() => server.requests.some(({ status }) => status === 503)).toBe(true);
    stop.abort(reason);
    await expect(running).rejects.toBe(reason);
  });

  it("in the middle of a body ends reading at once", async () => {
    const { server, store } = await newStore({ limits: LONG });
    server.put("my/db/there", pattern(1_000_000));
    server.fail("Get", { kind: "hang", when: "mid-body" });
    const stop = new AbortController();
    const read = async () => {
      for await (const _ of (await store.get("there", { signal: stop.signal })) ?? []) stop.abort(reason);
    };
    await expect(read()).rejects.toBe(reason);
  });

  it.each([0, PART_BYTES * 3])("of a put ends it while its source hangs after %d bytes", async (sizeBytes) => {
    const { server, store } = await newStore();
    const stop = new AbortController();
    const source = async function* () {
      yield pattern(sizeBytes);
      queueMicrotask(() => stop.abort(reason));
      await new Promise(() => {});
    };
    await expect(store.put("a", source(), { signal: stop.signal })).rejects.toBe(reason);
    expect(server.objects.size).toBe(0);
    await expect.poll(() => server.uploads.size).toBe(0);
  });

  it("while credentials are looked for ends a call at once", async () => {
    const stop = new AbortController();
    const { store } = await newStore({
      credentials: {
        get: ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
        refused: () => {},
      },
    });
    const listing = store.list("", { signal: stop.signal });
    stop.abort(reason);
    await expect(listing).rejects.toBe(reason);
  });
});
