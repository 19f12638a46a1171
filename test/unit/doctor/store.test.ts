import { describe, expect, it } from "vitest";
import type { Clock } from "../../../src/base/context.ts";
import { FlysqliteError } from "../../../src/base/errors.ts";
import { systemClock, systemRandom } from "../../../src/base/system.ts";
import { judgeClock, probeAccess, probeLease } from "../../../src/doctor/store.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { createMemoryStore } from "../../support/memory-store.ts";
import { type Fault, KEY, type Operation, type ServerOptions } from "../../support/s3-server.ts";
import { newStore } from "../storage/s3/support.ts";

const never = new AbortController().signal;
const world = { clock: systemClock, random: systemRandom, signal: never };

const bucket = (server: ServerOptions = {}) => newStore({ server });

const refused: Fault = { kind: "status", status: 403, code: "AccessDenied" };

/** A store whose first write is followed by the signal to stop, after which it does nothing for that signal. */
function stoppedStore() {
  const stop = new AbortController();
  const memory = createMemoryStore();
  const store: ObjectStore = {
    ...memory,
    async put(...words) {
      const stored = await memory.put(...words);
      stop.abort(new Error("stopped"));
      return stored;
    },
    async replace(...words) {
      const version = await memory.replace(...words);
      stop.abort(new Error("stopped"));
      return version;
    },
    async delete(key, { signal }) {
      signal.throwIfAborted();
      await memory.delete(key, { signal });
    },
  };
  return { store, stop: stop.signal, objects: memory.objects };
}

describe("the probe of a bucket", () => {
  it("writes, lists, reads and deletes one object beside the history, and leaves nothing", async () => {
    const { server, store } = await bucket();
    const { access, written, canDelete } = await probeAccess(store, world);
    expect(access).toMatchObject({ result: "ok", text: expect.stringContaining(store.address) });
    expect(canDelete).toBe(true);
    if (written === undefined) throw new Error("it was not written");
    expect(judgeClock(written)).toMatchObject({ result: "ok" });
    expect(server.objects.size).toBe(0);
    const touched = server.requests.filter(({ operation }) => operation !== "List").map(({ path }) => path);
    expect(touched).toHaveLength(3);
    for (const path of touched) expect(path).toMatch(/^\/test-bucket\/my\/db\/flysqlite\/probe-[0-9a-f-]{36}$/);
  });

  it.each<[string, Operation, Fault, string]>([
    ["can't be written to", "Put", refused, "E_REPLICA_DENIED"],
    ["can't be listed", "List", refused, "E_REPLICA_DENIED"],
    ["can't be read", "Get", refused, "E_REPLICA_DENIED"],
    ["gives other bytes back", "Get", { kind: "wrong-bytes" }, "E_REPLICA_UNREACHABLE"],
    ["forgets what was written", "List", { kind: "stale" }, "E_REPLICA_UNREACHABLE"],
    ["stores the object, and its answers get lost", "Put", { kind: "reset", when: "after" }, "E_REPLICA_UNREACHABLE"],
  ])("fails where it %s, and leaves nothing", async (_, operation, fault, code) => {
    const { server, store } = await bucket();
    server.fail(operation, fault, 100);
    const { access, canDelete } = await probeAccess(store, world);
    expect(access).toMatchObject({ result: "failed", code, wayOut: expect.stringMatching(/\S/) });
    expect(canDelete).toBe(false);
    expect(server.count("Delete")).toBe(1);
    expect(server.objects.size).toBe(0);
  });

  it("names what it can't delete, and asks for no further probe", async () => {
    const { server, store } = await bucket();
    server.fail("Delete", refused, 100);
    const { access, canDelete } = await probeAccess(store, world);
    const [left = ""] = server.objects.keys();
    expect(access).toMatchObject({ result: "warning", wayOut: expect.stringContaining("DeleteObject") });
    expect(access.text).toContain(left.replace("my/db/", ""));
    expect(canDelete).toBe(false);
  });

  it("tells no secret where the key is wrong", async () => {
    const { server, store } = await bucket();
    server.accept({ accessKeyId: "AKIAANOTHER", secretAccessKey: "another" });
    const { access } = await probeAccess(store, world);
    expect(access).toMatchObject({ result: "failed", code: "E_REPLICA_DENIED" });
    expect(JSON.stringify(access)).not.toContain(KEY.secretAccessKey);
  });

  it("gives up where the bucket never answers", async () => {
    const late = Promise.withResolvers<void>();
    const clock: Clock = { ...systemClock, sleep: () => late.promise };
    const store: ObjectStore = {
      ...createMemoryStore(),
      put: (_key, _body, { signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
          late.resolve();
        }),
    };
    const { access } = await probeAccess(store, { ...world, clock });
    expect(access).toMatchObject({
      result: "failed",
      code: "E_REPLICA_UNREACHABLE",
      text: expect.stringContaining("30.0 s"),
    });
  });

  it("deletes what it wrote also where it is told to stop meanwhile", async () => {
    const { store, stop, objects } = stoppedStore();
    await expect(probeAccess(store, { ...world, signal: stop })).rejects.toThrow("stopped");
    expect(objects.size).toBe(0);
  });
});

describe("the probe of a lease", () => {
  it("finds a store that keeps to conditions, and leaves nothing", async () => {
    const { server, store } = await bucket();
    expect(await probeLease(store, { ...world, isRequired: true })).toMatchObject({ result: "ok" });
    expect(server.objects.size).toBe(0);
    for (const { path } of server.requests) expect(path).toContain("/flysqlite/probe-");
  });

  it.each([
    [false, "warning", undefined],
    [true, "failed", "E_CONFIG"],
  ])("warns of one that doesn't; where a lease is required (%s) that is a %s", async (isRequired, result, code) => {
    const { server, store } = await bucket({ ignoresConditions: true });
    const finding = await probeLease(store, { ...world, isRequired });
    expect(finding).toMatchObject({ result, wayOut: expect.stringContaining("conditional writes") });
    expect(finding.code).toBe(code);
    expect(server.objects.size).toBe(0);
  });

  it("tells what it can't delete", async () => {
    const { server, store } = await bucket();
    server.fail("Delete", refused, 100);
    expect(await probeLease(store, { ...world, isRequired: false })).toMatchObject({ result: "warning" });
  });

  it("deletes what it wrote also where it is told to stop meanwhile", async () => {
    const { store, stop, objects } = stoppedStore();
    await expect(probeLease(store, { ...world, signal: stop, isRequired: false })).rejects.toThrow("stopped");
    expect(objects.size).toBe(0);
  });

  it("deletes what it wrote where the bucket fails half way", async () => {
    const { server, store } = await bucket();
    server.fail("Put", { kind: "latency", ms: 0 });
    server.fail("Put", refused, 100);
    await expect(probeLease(store, { ...world, isRequired: false })).rejects.toThrow(FlysqliteError);
    expect(server.count("Put")).toBe(2);
    expect(server.objects.size).toBe(0);
  });
});

describe("the clock", () => {
  const [beforeMs, afterMs] = [1_000_000, 1_000_200];

  it.each([
    ["agrees with a store that tells whole seconds", 999_000, "ok", "agree"],
    ["agrees within some seconds", 1_009_000, "ok", "agree"],
    ["is ahead", 970_000, "warning", "30.0 s ahead of"],
    ["is behind", 1_060_200, "warning", "1 min 0 s behind"],
  ])("%s", (_, byStoreMs, result, text) => {
    expect(judgeClock({ beforeMs, afterMs, byStoreMs })).toMatchObject({ result, text: expect.stringContaining(text) });
  });

  it("is compared with the bucket's also where that refuses requests for it", async () => {
    const { server, store } = await bucket();
    server.setClockOffset(-20 * 60_000);
    const { written } = await probeAccess(store, world);
    if (written === undefined) throw new Error("it was not written");
    expect(judgeClock(written)).toMatchObject({
      result: "warning",
      text: expect.stringMatching(/\b(19|20) min .* ahead/),
    });
  });
});
