import { describe, expect, it } from "vitest";
import type { ObjectStore } from "../../../../src/storage/store.ts";
import { type Fault, KEY, type Operation, type S3Server } from "../../../support/s3-server.ts";
import { bytes, collect, denied, newStore, options, PART_BYTES, pattern, QUICK, unreachable } from "./support.ts";

const SMALL = pattern(100_000).subarray(0, PART_BYTES - 1);
const BIG = pattern(PART_BYTES * 3 + 5);
const INFO = { key: "there", sizeBytes: SMALL.length, modifiedMs: 1 };

type Call = {
  /** The step of the call that fails. */
  readonly operation: Operation;
  readonly run: (store: ObjectStore) => Promise<unknown>;
  /** What it gives when all is well. */
  readonly right: unknown;
  /** What must be true of the bucket after it. */
  readonly after?: (server: S3Server) => unknown;
};

const same = (key: string, content: Uint8Array) => (server: S3Server) =>
  expect(Buffer.from(server.objects.get(`my/db/${key}`)?.bytes ?? []).equals(content)).toBe(true);

const upload = { run: (store: ObjectStore) => store.put("new", [BIG], options), right: true, after: same("new", BIG) };

/** Before each call "there" is in the bucket, with SMALL in it, and no more. */
const CALLS: Readonly<Record<string, Call>> = {
  list: {
    operation: "List",
    run: async (store) => (await store.list("", options)).map(({ key }) => key),
    right: ["there"],
  },
  get: {
    operation: "Get",
    run: async (store) => (await collect(await store.get("there", options)))?.equals(SMALL),
    right: true,
  },
  put: {
    operation: "Put",
    run: (store) => store.put("new", [SMALL], options),
    right: true,
    after: same("new", SMALL),
  },
  "put if absent": {
    operation: "Put",
    run: (store) => store.put("new", [SMALL], { ...options, ifAbsent: true }),
    right: true,
    after: same("new", SMALL),
  },
  replace: {
    operation: "Put",
    run: async (store) => typeof (await store.replace("new", SMALL, { version: undefined, ...options })),
    right: "string",
    after: same("new", SMALL),
  },
  "read with a version": {
    operation: "Get",
    run: async (store) => Buffer.from((await store.readVersioned("there", options))?.bytes ?? []).equals(SMALL),
    right: true,
  },
  delete: {
    operation: "Delete",
    run: (store) => store.delete("there", options),
    right: undefined,
    after: (server) => expect(server.objects.size).toBe(0),
  },
  "delete many": {
    operation: "DeleteObjects",
    run: (store) => store.deleteMany(["there", "not there"], options),
    right: undefined,
    after: (server) => expect(server.objects.size).toBe(0),
  },
  sweep: {
    operation: "ListUploads",
    run: (store) => store.sweep({ ...options, isOurs: () => true, beforeMs: 1 }),
    right: 0,
  },
  "exact time": { operation: "Head", run: (store) => store.exactTime(INFO, options), right: 1 },
  "begin of parts": { operation: "CreateUpload", ...upload },
  "a part": { operation: "UploadPart", ...upload },
  "end of parts": { operation: "CompleteUpload", ...upload },
};

type Case = readonly [fault: string, call: string, Fault];

const each = (faults: Readonly<Record<string, Fault>>, calls = Object.keys(CALLS)): readonly Case[] =>
  Object.entries(faults).flatMap(([name, fault]) => calls.map((call) => [name, call, fault] as const));

const status = (status: number, code: string, headers = {}): Fault => ({ kind: "status", status, code, headers });

const withAnswers = ["list", "get", "read with a version"];
const conditional = ["put if absent", "replace"];
const withXml = ["list", "sweep", "delete many", "begin of parts", "end of parts"];
const notHead = Object.keys(CALLS).filter((name) => name !== "exact time");

const PASSING: readonly Case[] = [
  ...each({
    "500 InternalError": status(500, "InternalError"),
    "503 SlowDown with Retry-After": status(503, "SlowDown", { "retry-after": "60" }),
    "503 without a body": { kind: "status", status: 503 },
    "502 of a proxy": { kind: "status", status: 502 },
    "429 TooManyRequests": status(429, "TooManyRequests"),
    "408 RequestTimeout": { kind: "status", status: 408 },
    "a reset before": { kind: "reset", when: "before" },
    "no answer": { kind: "hang", when: "before" },
  }),
  ...each(
    { "400 RequestTimeout": status(400, "RequestTimeout"), "409 OperationAborted": status(409, "OperationAborted") },
    notHead,
  ),
  ...each({ "409 ConditionalRequestConflict": status(409, "ConditionalRequestConflict") }, [
    ...conditional,
    "end of parts",
  ]),
  ...each({ "a damaged body": status(400, "BadDigest") }, ["put", "replace", "a part"]),
  ...each(
    { "a reset after it was done": { kind: "reset", when: "after" } },
    notHead.filter((name) => !conditional.includes(name)),
  ),
  ...each(
    {
      "a reset in the body": { kind: "reset", when: "mid-body" },
      "a body that stops": { kind: "hang", when: "mid-body" },
      "a body that ends too early": { kind: "truncated" },
    },
    withAnswers,
  ),
  ...each(
    {
      "an error with status 200": { kind: "body", body: "error" },
      "SlowDown with status 200": { kind: "body", body: "error", code: "SlowDown" },
      "no XML": { kind: "body", body: "garbage" },
      "half of the XML": { kind: "body", body: "half" },
      "another kind of answer": { kind: "body", body: "other-root" },
    },
    withXml,
  ),
  ...each({ "the ETag of something else": { kind: "wrong-etag" } }, ["put", "read with a version", "a part"]),
  ...each({ "other bytes": { kind: "wrong-bytes" } }, ["read with a version"]),
];

const FINAL_DENIED = each(
  {
    AccessDenied: status(403, "AccessDenied"),
    SignatureDoesNotMatch: status(403, "SignatureDoesNotMatch"),
    AllAccessDisabled: status(403, "AllAccessDisabled"),
    "401 without a body": { kind: "status", status: 401 },
  },
  Object.keys(CALLS),
);

const FINAL_UNREACHABLE: readonly Case[] = [
  ...each({ NoSuchBucket: status(404, "NoSuchBucket") }, notHead),
  ...each({ "404 of a proxy": { kind: "status", status: 404 } }, [
    ...withAnswers,
    ...["put", "replace", "delete", "delete many"],
  ]),
  ...each({ "400 InvalidRequest": status(400, "InvalidRequest"), "405": { kind: "status", status: 405 } }, notHead),
];

/** Short only where an answer never comes: a busy machine must not be taken for a silent service. */
const SHORT_IDLE_MS = 150;

async function prepare({ kind }: { readonly kind?: Fault["kind"] } = {}) {
  const limits = { ...QUICK, idleMs: kind === "hang" ? SHORT_IDLE_MS : 20_000, requestMs: 20_000 };
  const tested = await newStore({ limits });
  tested.server.put("my/db/there", SMALL);
  return tested;
}

function callNamed(name: string): Call {
  const call = CALLS[name];
  if (call === undefined) throw new Error(`no call "${name}"`);
  return call;
}

describe("a fault that may pass", () => {
  it.each(PASSING)("once: %s, during %s, is got over", async (_, name, fault) => {
    const { server, store } = await prepare(fault);
    const { operation, run, right, after } = callNamed(name);
    server.fail(operation, fault);
    expect(await run(store)).toEqual(right);
    after?.(server);
    // Of an upload whose begin was not answered nobody knows the id.
    if (operation !== "CreateUpload") expect(server.uploads.size).toBe(0);
  });

  it.each(PASSING)("always: %s, during %s, is an unreachable replica in the end", async (_, name, fault) => {
    const { server, store } = await prepare(fault);
    const { operation, run } = callNamed(name);
    server.fail(operation, fault, Number.POSITIVE_INFINITY);
    const error = await run(store).catch((error: unknown) => error);
    expect(error).toEqual(unreachable);
    expect(error).toMatchObject({ message: expect.stringMatching(/^Cannot \w+ .*s3:\/\/test-bucket\/my\/db.*: .+/) });
    expect(server.count(operation)).toBeLessThanOrEqual(8 * 3);
    if (operation !== "CreateUpload") expect(server.uploads.size).toBe(0);
    server.heal();
    await expect(store.list("", options)).resolves.toBeInstanceOf(Array);
  });
});

describe("a refusal", () => {
  it.each(FINAL_DENIED)("%s, during %s, is told at once, by its code", async (_, name, fault) => {
    const { server, store, events } = await prepare();
    const { operation, run } = callNamed(name);
    server.fail(operation, fault, Number.POSITIVE_INFINITY);
    const error = await run(store).catch((error: unknown) => error);
    expect(error).toEqual(denied);
    if (fault.kind === "status" && operation !== "Head")
      expect(error).toMatchObject({ message: expect.stringContaining(fault.code ?? "401") });
    if (operation !== "UploadPart") expect(server.count(operation)).toBe(1);
    expect(JSON.stringify([String(error), events])).not.toContain(KEY.secretAccessKey);
    expect(server.uploads.size).toBe(0);
  });

  it.each(FINAL_UNREACHABLE)("%s, during %s, is no proof of anything, and not tried again", async (_, name, fault) => {
    const { server, store } = await prepare();
    const { operation, run } = callNamed(name);
    server.fail(operation, fault, Number.POSITIVE_INFINITY);
    await expect(run(store)).rejects.toEqual(unreachable);
    if (operation !== "UploadPart") expect(server.count(operation)).toBe(1);
  });

  it("names a bucket that does not exist", async () => {
    const { store } = await newStore({ place: { bucket: "other-bucket" } });
    await expect(store.list("", options)).rejects.toThrow('the bucket "other-bucket" does not exist (NoSuchBucket)');
    await expect(store.get("a", options)).rejects.toEqual(unreachable);
    await expect(store.put("a", [bytes("x")], options)).rejects.toEqual(unreachable);
  });

  it("tells an unknown key by its code", async () => {
    const { server, store } = await prepare();
    server.accept({ accessKeyId: "AKIAOTHER", secretAccessKey: "other-secret" });
    await expect(store.list("", options)).rejects.toThrow(
      "403 InvalidAccessKeyId: The service says InvalidAccessKeyId, with the key …TEST",
    );
  });

  it("tells a wrong secret by its code, and neither the right nor the wrong one", async () => {
    const { server, store } = await prepare();
    server.accept({ ...KEY, secretAccessKey: "canary-the-right-one" });
    const error = await store.list("", options).catch((error: unknown) => error);
    expect(error).toEqual(denied);
    expect(String(error)).toContain("SignatureDoesNotMatch");
    expect(String(error)).not.toMatch(/canary/);
  });

  it("of a clock that stays wrong is told after one correction", async () => {
    const { server, store } = await prepare();
    server.fail("List", status(403, "RequestTimeTooSkewed"), Number.POSITIVE_INFINITY);
    await expect(store.list("", options)).rejects.toEqual(denied);
    expect(server.count("List")).toBe(2);
  });
});

describe("a conditional write", () => {
  it.each([
    ["a small object", SMALL],
    ["an object of parts", BIG],
  ])("of %s that was done and not answered is never told as stored by chance", async (_, content) => {
    const { server, store } = await prepare();
    server.fail("Put", { kind: "reset", when: "after" });
    server.fail("CompleteUpload", { kind: "reset", when: "after" });
    const stored = await store.put("new", [content], { ...options, ifAbsent: true });
    expect(stored).toBe(content === BIG); // its parts' ETag proves whose it is; else the caller compares
    same("new", content)(server);
  });

  it("that was not done, and then by someone else, is false", async () => {
    const { server, store } = await prepare();
    server.fail("Put", { kind: "reset", when: "before" });
    const put = store.put("new", [SMALL], { ...options, ifAbsent: true });
    server.put("my/db/new", "theirs");
    expect(await put).toBe(false);
  });

  it("is false at 412, also without a body", async () => {
    const { server, store } = await prepare();
    server.fail("Put", { kind: "status", status: 412 });
    expect(await store.put("new", [SMALL], { ...options, ifAbsent: true })).toBe(false);
  });

  it("that the service doesn't know is told so", async () => {
    const { server, store } = await prepare();
    server.fail("Put", status(501, "NotImplemented"));
    await expect(store.put("new", [SMALL], { ...options, ifAbsent: true })).rejects.toThrow("501 NotImplemented");
  });
});

describe("the end of an upload in parts", () => {
  it("counts where the ETag is another service's kind, and the size is right", async () => {
    const { server, store } = await prepare();
    server.fail("CompleteUpload", { kind: "wrong-etag" });
    expect(await store.put("new", [BIG], options)).toBe(true);
    same("new", BIG)(server);
  });

  it("that someone else wrote over before we knew of it is no success", async () => {
    const { server, store } = await prepare();
    server.fail("CompleteUpload", { kind: "reset", when: "after" });
    server.fail("Head", { kind: "status", status: 404 });
    await expect(store.put("new", [BIG], options)).rejects.toThrow("NoSuchUpload");
  });
});

describe("reading", () => {
  const LARGE = pattern(3_000_000);

  it("goes on where the connection broke, of the same version", async () => {
    const { server, store } = await prepare();
    server.put("my/db/large", LARGE);
    server.fail("Get", { kind: "reset", when: "mid-body" }, 3);
    expect((await collect(await store.get("large", options)))?.equals(LARGE)).toBe(true);
    const [first, second, third] = server.requests;
    expect([first?.headers.range, second?.status, third?.status]).toEqual([undefined, 206, 206]);
    expect(second?.headers["if-match"]).toBe(`"${server.objects.get("my/db/large")?.etag}"`);
  });

  it("goes on within a range", async () => {
    const { server, store } = await prepare();
    server.put("my/db/large", LARGE);
    server.fail("Get", { kind: "truncated" }, 2);
    const found = await collect(await store.get("large", { ...options, offset: 1000, lengthBytes: 1_000_000 }));
    expect(found?.equals(LARGE.subarray(1000, 1_001_000))).toBe(true);
  });

  it("doesn't mix two versions", async () => {
    const { server, store } = await prepare();
    server.put("my/db/large", LARGE);
    server.fail("Get", { kind: "reset", when: "mid-body" });
    const body = await store.get("large", options);
    server.put("my/db/large", pattern(3_000_000).fill(7));
    await expect(collect(body)).rejects.toThrow("replaced or deleted while it was read");
  });

  it.each([{ kind: "wrong-bytes" }, { kind: "wrong-etag" }] as const)("ends with an error after %j", async (fault) => {
    const { server, store } = await prepare();
    server.fail("Get", fault);
    await expect(store.get("there", options).then(collect)).rejects.toThrow("arrived damaged");
  });

  it("doesn't take an encrypted object's ETag for a checksum", async () => {
    const { server, store } = await prepare();
    const metadata = { "x-amz-server-side-encryption": "aws:kms" };
    server.put("my/db/kms", "content", { etag: "0".repeat(32), metadata });
    expect((await collect(await store.get("kms", options)))?.toString()).toBe("content");
  });

  it("waits for a slow reader for as long as it takes", async () => {
    const { server, store } = await prepare({ kind: "hang" });
    server.put("my/db/large", LARGE);
    const chunks: Uint8Array[] = [];
    for await (const chunk of (await store.get("large", options)) ?? []) {
      if (chunks.push(chunk) === 1) await new Promise((resolve) => setTimeout(resolve, SHORT_IDLE_MS * 3));
    }
    expect(Buffer.concat(chunks).equals(LARGE)).toBe(true);
    expect(server.count("Get")).toBe(1);
  });

  it("that is broken off lets go of its connection", async () => {
    const { server, store } = await prepare();
    server.put("my/db/large", LARGE);
    for await (const _ of (await store.get("large", options)) ?? []) break;
    const { socket } = server.requests[0] ?? {};
    await expect.poll(() => socket?.destroyed).toBe(true);
  });
});

describe("a list", () => {
  it("that is stale is taken as it is, and never made up", async () => {
    const { server, store } = await prepare();
    server.fail("List", { kind: "stale" });
    await store.put("new", [SMALL], options);
    expect(await store.list("", options)).toMatchObject([{ key: "there" }]);
    expect(await store.list("", options)).toMatchObject([{ key: "new" }, { key: "there" }]);
  });

  it("of which one page fails is never a shorter one", async () => {
    const { server, store } = await newStore({ server: { pageKeys: 2 } });
    for (const key of ["a", "b", "c", "d", "e"]) server.put(`my/db/${key}`, key);
    const listing = store.list("", options);
    await expect.poll(() => server.count("List")).toBeGreaterThan(0);
    server.fail("List", { kind: "body", body: "half" }, Number.POSITIVE_INFINITY);
    const outcome = await listing.then(
      (found) => found.length,
      () => "an error",
    );
    expect([5, "an error"]).toContain(outcome);
  });
});

describe("deleting many", () => {
  it("does it one by one where the service knows no batches", async () => {
    const { server, store } = await prepare();
    server.fail("DeleteObjects", status(501, "NotImplemented"));
    await store.deleteMany(["there", "other"], options);
    expect(server.objects.size).toBe(0);
  });

  it("takes as many requests as there are thousands", async () => {
    const { server, store } = await prepare();
    await store.deleteMany(
      Array.from({ length: 2001 }, (_, index) => `k${index}`),
      options,
    );
    expect(server.count("DeleteObjects")).toBe(3);
  });
});
