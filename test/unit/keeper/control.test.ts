import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import type { Status, SyncAnswer } from "../../../src/base/control.ts";
import { FlysqliteError } from "../../../src/base/errors.ts";
import type { Event } from "../../../src/base/events.ts";
import { systemClock, systemRandom } from "../../../src/base/system.ts";
import { askKeeper } from "../../../src/commands/ask-keeper.ts";
import { type RunningControl, startControl } from "../../../src/keeper/control.ts";
import { createFollower, type Follower } from "../../../src/replica/follow.ts";
import type { StepContext } from "../../../src/steps/context.ts";
import { controlSocket, stateDirectory } from "../../../src/steps/places.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { installedDriver } from "../../support/driver.ts";
import { settings } from "../plan/facts.ts";
import { never, type Replicated, replicated } from "../replica/support.ts";

const driver = await installedDriver();

const ADDRESS = "file:///replica";

/** With this interval no lag is too long, however busy the machine is. */
const INTERVAL_MS = 3_600_000;
const patient = { ...settings, syncIntervalMs: { value: INTERVAL_MS, source: "the test" } };

/** A database that is followed, with a control socket; without an interval that could pass by itself. */
async function controlled({
  wrap = (store) => store,
  follows = true,
  intervalMs = INTERVAL_MS,
}: {
  readonly wrap?: (store: ObjectStore) => ObjectStore;
  readonly follows?: boolean;
  readonly intervalMs?: number;
} = {}) {
  const replica = await replicated(driver, { wrap });
  const { path, replicator, attached } = replica;
  mkdirSync(stateDirectory(path), { mode: 0o700 });
  const events: Event[] = [];
  const log = (event: Event) => void events.push(event);
  const stop = new AbortController();
  const follower: Follower = createFollower(replicator, {
    databasePath: path,
    syncIntervalMs: intervalMs,
    isStillThere: attached.isStillThere,
    alongside: async () => {},
    clock: systemClock,
    random: systemRandom,
    log,
    signal: never,
  });
  const ended = follows ? follower.run({ until: stop.signal }).catch(() => {}) : undefined;
  const { isStillThere } = attached;
  const upcoming = () => [{ task: { kind: "compact", level: 1 } as const, atMs: Date.UTC(2026, 10, 24, 9, 30) }];
  const replication = { path, replicator, follower, upcoming, lease: undefined, isStillThere, close() {} };
  const context = { settings: patient, clock: systemClock, log, signal: never } as unknown as StepContext;
  const options = {
    databasePath: path,
    address: ADDRESS,
    replication: () => replication,
    isStopping: () => stop.signal.aborted,
  };
  const control: RunningControl = startControl(options, context);
  const socket = controlSocket(path);
  await vi.waitFor(() => expect(existsSync(socket) || events.some(({ level }) => level === "warn")).toBe(true));
  const ask = <Answer>(method: "GET" | "POST", target: string) =>
    askKeeper({ socket, method, path: target, timeoutMs: 20_000, signal: never }) as Promise<Answer>;
  return {
    replica,
    events,
    control,
    socket,
    sync: (timeout = "20s") => ask<SyncAnswer>("POST", `/sync?timeout=${timeout}`),
    status: () => ask<Status>("GET", "/status"),
    async [Symbol.asyncDispose]() {
      stop.abort();
      follower.hurry();
      await ended;
      await control[Symbol.asyncDispose]();
      await replica[Symbol.asyncDispose]();
    },
  };
}

async function committed(replica: Replicated, times: number): Promise<number> {
  return replica.app.commit(times);
}

describe("POST /sync", () => {
  it("comes back when everything that was committed before it is in the replica", async () => {
    await using running = await controlled();
    const { replica, sync } = running;
    for (let round = 1; round <= 5; round += 1) {
      const n = await committed(replica, 3);
      const { replica: address, replicated } = await sync();
      expect(address).toBe(ADDRESS);
      // Whoever restores now, on a machine of their own, has it.
      expect(await replica.judge()).toEqual({ n });
      expect(BigInt(`0x${replicated}`)).toBe(replica.replicator.lastTxid);
    }
  });

  it("has every commit of each of many callers", async () => {
    await using running = await controlled();
    const { replica, sync } = running;
    const answers: Promise<SyncAnswer>[] = [];
    for (let n = 1; n <= 20; n += 1) {
      await committed(replica, 1);
      answers.push(sync());
    }
    await Promise.all(answers);
    expect(await replica.judge()).toEqual({ n: 20 });
  });

  it("says how much is missing and why where the replica is away, and the rest follows by itself", async () => {
    let away = false;
    const wrap = (store: ObjectStore): ObjectStore => ({
      ...store,
      put: (key, body, options) =>
        away
          ? Promise.reject(new FlysqliteError("E_REPLICA_UNREACHABLE", "connection refused"))
          : store.put(key, body, options),
    });
    await using running = await controlled({ wrap, intervalMs: 2000 });
    const { replica, sync, status, events } = running;
    await sync();
    const before = replica.replicator.lastTxid;
    // Once the follower has captured something, it leaves what comes next for its interval.
    await committed(replica, 1);
    await vi.waitFor(() => expect(replica.replicator.lastTxid).toBeGreaterThan(before), { timeout: 20_000 });
    away = true;
    const n = await committed(replica, 2);
    await expect(sync("3s")).rejects.toMatchObject({
      code: "E_SYNC",
      exitStatus: 75,
      message: expect.stringMatching(
        /^Cannot bring everything of "\S+app\.db" to "file:\/\/\/replica": it lacks \d transactions? \(.*\), the oldest commit .* old: connection refused$/,
      ) as string,
    });
    await vi.waitFor(async () => {
      const { waiting, lastError } = await status();
      expect(waiting.transactions).toBeGreaterThan(0);
      expect(lastError?.message).toBe("connection refused");
    }, 20_000);
    away = false;
    // The follower was told that there is something to upload, and tries again.
    await vi.waitFor(() => expect(events.map(({ text }) => text).join()).toContain("answers again"), {
      timeout: 20_000,
    });
    expect(await status()).toMatchObject({ answer: "safe", waiting: { transactions: 0 } });
    expect(await status()).not.toHaveProperty("lastError");
    expect(await replica.judge()).toEqual({ n });
  });

  it("never answers for a database that another file has replaced", async () => {
    await using running = await controlled({ follows: false });
    const { replica, sync, status } = running;
    await sync();
    renameSync(replica.path, `${replica.path}.old`);
    writeFileSync(replica.path, "another");
    await expect(sync("200ms")).rejects.toMatchObject({
      code: "E_SYNC",
      message: expect.stringContaining("was replaced by another file, or removed") as string,
    });
    await expect(status()).rejects.toMatchObject({ code: "E_SYNC" });
    rmSync(replica.path);
    renameSync(`${replica.path}.old`, replica.path);
    await sync();
  });
});

describe("GET /status", () => {
  it("is safe after a sync, and says of what is committed since that it is on its way", async () => {
    await using running = await controlled({ follows: false });
    const { replica, sync, status } = running;
    expect(await status()).toMatchObject({ answer: "not safe", waiting: { wholeDatabase: true } });
    await committed(replica, 1);
    await sync();
    const safe = await status();
    expect(safe).toMatchObject({
      answer: "safe",
      upcoming: [{ task: "compact to level 1", time: "2026-11-24T09:30:00.000Z" }],
      keeper: "running",
      database: replica.path,
      replica: ADDRESS,
      captured: "0000000000000001",
      replicated: "0000000000000001",
      lagMs: 0,
      lagLimitMs: 3 * INTERVAL_MS,
      waiting: { transactions: 0, bytes: 0, uncapturedBytes: 0, wholeDatabase: false },
    });
    expect(Date.parse(safe.lastUpload ?? "")).toBeLessThanOrEqual(Date.now());
    expect(safe.log?.frames).toBeGreaterThan(0);
    expect(safe.log?.bytes).toBeGreaterThan(1000);

    await committed(replica, 1);
    const committing = await status();
    expect(committing).toMatchObject({ answer: "syncing", captured: "0000000000000001" });
    expect(committing.waiting.uncapturedBytes).toBeGreaterThan(0);
    expect(committing.lagMs).toBeGreaterThan(0);
    await replica.capture();
    expect(await status()).toMatchObject({
      answer: "syncing",
      captured: "0000000000000002",
      replicated: "0000000000000001",
      waiting: { transactions: 1, uncapturedBytes: 0 },
    });
  });
});

describe("a control socket that can't be had", () => {
  it("is told once, and nothing else fails", async () => {
    const replica = await replicated(driver);
    mkdirSync(stateDirectory(replica.path));
    writeFileSync(controlSocket(replica.path), "a file");
    const events: Event[] = [];
    const context = { settings, clock: systemClock, log: (event: Event) => void events.push(event), signal: never };
    const options = {
      databasePath: replica.path,
      address: ADDRESS,
      replication: () => undefined,
      isStopping: () => false,
    };
    await using _replica = replica;
    await using control = startControl(options, context as unknown as StepContext);
    await vi.waitFor(() => expect(events).toHaveLength(1));
    expect(events[0]).toMatchObject({ level: "warn", text: expect.stringContaining("no control socket") as string });
    control.syncNow();
  });
});
