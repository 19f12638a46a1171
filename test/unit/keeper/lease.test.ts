// A real keeper and its replica's lease: what it costs, what a start does that is refused, and what may go wrong.

import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { systemClock, systemRandom } from "../../../src/base/system.ts";
import { LEASE_KEY, parseLease } from "../../../src/replica/lease/content.ts";
import { takeLease } from "../../../src/replica/lease/take.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { until } from "../../support/box.ts";
import type { S3Server } from "../../support/s3-server.ts";
import { entriesOf, signal, world } from "./support.ts";

const PATIENT = { ttlMs: 20_000, waitMs: 600_000 };
const HASTY = { ttlMs: 20_000, waitMs: 2_000 };
const SHORT = { ttlMs: 3_000, waitMs: 600_000 };

const LEASE = `app/${LEASE_KEY}`;
const TIMEOUT_MS = 90_000;

function serverOf({ server }: { readonly server: S3Server | undefined }): S3Server {
  if (server === undefined) throw new Error("there is no server");
  return server;
}

async function leaseOf(store: ObjectStore) {
  const found = await store.readVersioned(LEASE_KEY, { signal });
  if (found === undefined) throw new Error("there is no lease");
  return parseLease(found.bytes, store.address);
}

/** Another machine takes the lease, whatever it says. */
async function takeOver(store: ObjectStore) {
  const found = await store.readVersioned(LEASE_KEY, { signal });
  const seen = found && { content: parseLease(found.bytes, store.address), version: found.version };
  const taken = await takeLease(store, {
    facts: { seen, memory: undefined, owner: undefined },
    machine: "stranger",
    ttlMs: PATIENT.ttlMs,
    clock: systemClock,
    random: systemRandom,
    signal,
  });
  if (taken === undefined) throw new Error("it was not taken");
}

/** What the volume remembers of its lease. */
const renewalOn = (volume: string): number =>
  (JSON.parse(readFileSync(join(volume, ".app.db-flysqlite/lease.json"), "utf8")) as { renewal: number }).renewal;

describe("a keeper's lease", { timeout: TIMEOUT_MS }, () => {
  it("costs a warm start two requests, and a stop one", async () => {
    const made = await world("bucket");
    const server = serverOf(made);
    const a = made.machine("a");
    const times = { ...PATIENT, ttlMs: 600_000 }; // no renewal comes in between
    const first = a.start({ times });
    await first.ready();
    await a.write();
    await made.acknowledged(a, "a1");
    await a.endApp();
    expect(await first.finish()).toBe(0);

    const before = server.requests.length;
    const second = a.start({ times });
    await second.ready();
    const forLease = () => server.requests.slice(before).filter(({ path }) => path.endsWith(LEASE_KEY));
    expect(forLease().map(({ operation }) => operation)).toEqual(["Get", "Put"]);
    expect(server.requests.slice(before).filter(({ path }) => path.includes("probe"))).toEqual([]);
    expect(server.requests.slice(before).filter(({ operation }) => operation === "List")).toHaveLength(1);
    // After a clean end it need not ask whose the newest file is.
    expect(server.requests.slice(before).filter(({ path }) => path.endsWith(".ltx"))).toEqual([]);
    expect(await second.finish()).toBe(0);
    expect(forLease().map(({ operation }) => operation)).toEqual(["Get", "Put", "Put"]);
  });

  it("is probed for once, where there is none, and leaves no probe behind", async () => {
    const made = await world("bucket");
    const server = serverOf(made);
    const a = made.machine("a");
    const first = a.start({ times: PATIENT });
    await first.ready();
    const probes = server.requests.filter(({ path }) => path.includes("probe"));
    expect(probes.map(({ operation, status }) => `${operation} ${status}`)).toEqual([
      "Put 200",
      "Put 412",
      "Put 412",
      "Put 200",
      "Delete 204",
    ]);
    expect([...server.objects.keys()].filter((key) => key.includes("probe"))).toEqual([]);
  });

  it("does not need the right to delete", async () => {
    const made = await world("bucket");
    const server = serverOf(made);
    server.fail("Delete", { kind: "status", status: 403, code: "AccessDenied" }, Number.POSITIVE_INFINITY);
    const a = made.machine("a");
    const first = a.start({ times: PATIENT });
    await first.ready();
    await a.write();
    await made.acknowledged(a, "a1");
    await a.endApp();
    expect(await first.finish()).toBe(0);
    expect(await leaseOf(made.store)).toMatchObject({ epoch: 1, state: "released" });
  });

  it("is taken, renewed and released, and files arrive, where answers get lost", async () => {
    const made = await world("bucket");
    const server = serverOf(made);
    const a = made.machine("a");
    const lose = (times: number) => server.fail("Put", { kind: "reset", when: "after" }, times);
    lose(4); // of the probe, and of the taking
    const first = a.start({ times: SHORT });
    await first.ready();
    for (let n = 1; n <= 5; n += 1) {
      lose(3);
      await a.write();
      await made.acknowledged(a, `a${n}`);
    }
    await until(() => server.requests.filter(({ path }) => path.includes("lease.json")).length > 6, {
      what: () => `renewals\n${first.output()}`,
    });
    expect(await leaseOf(made.store)).toMatchObject({ epoch: 1, state: "held" });
    server.heal();
    lose(2);
    await a.endApp();
    expect(await first.finish()).toBe(0);
    expect(await leaseOf(made.store)).toMatchObject({ epoch: 1, state: "released" });
    expect(await made.expectOneHistory()).toEqual(["a1", "a2", "a3", "a4", "a5"]);
  });

  it("is kept, and nothing counts as replicated, while the bucket is away for longer than it holds", async () => {
    const made = await world("bucket");
    const server = serverOf(made);
    const a = made.machine("a");
    const first = a.start({ times: SHORT });
    await first.ready();
    await a.write();
    await made.acknowledged(a, "a1");
    for (const operation of ["Put", "Get", "List"] as const)
      server.fail(operation, { kind: "status", status: 403, code: "AccessDenied" }, Number.POSITIVE_INFINITY);
    await first.line(/lease +warning: not renewed; until it is, nothing counts as replicated: /);
    await a.write();
    const acknowledged = a.acknowledged.size;
    await until(() => (first.output().match(/lease +not renewed/g)?.length ?? 0) > 6, { what: () => first.output() });
    expect(a.acknowledged.size).toBe(acknowledged);
    server.heal();
    await made.acknowledged(a, "a2");
    await first.line(/lease +renewed again, after \d+ failed tries/);
    await a.endApp();
    expect(await first.finish()).toBe(0);
    expect(await made.expectOneHistory()).toEqual(["a1", "a2"]);
  });

  it("is lost where another machine took it while the app was idle, and ends the keeper by itself", async () => {
    const { machine, store, acknowledged } = await world("directory");
    const a = machine("a");
    const first = a.start({ times: SHORT });
    await first.ready();
    await a.write();
    await acknowledged(a, "a1");
    await takeOver(store);
    expect(await first.ended).toBe(76);
    expect(first.output()).toMatch(/E_FENCED: .*machine "stranger", since/);
    expect(await leaseOf(store)).toMatchObject({ epoch: 2, machine: "stranger", state: "held" });
  });

  it("is taken, waited for and released beside an app that somebody else starts, and its loss ends that too", async () => {
    const { machine, store, acknowledged } = await world("directory");
    const a = machine("a");
    const first = a.start({ times: PATIENT });
    await first.ready();
    await a.write();
    await acknowledged(a, "a1");
    const beside = a.start({ times: SHORT, sidecar: true });
    expect(await beside.ended).toBe(72); // two on one volume: the first has its lock
    await a.endApp();
    expect(await first.finish()).toBe(0);

    const second = a.start({ times: SHORT, sidecar: true });
    await second.ready();
    await a.write();
    await acknowledged(a, "a2");
    expect(await leaseOf(store)).toMatchObject({ epoch: 2, state: "held" });
    expect(await second.finish()).toBe(0);
    expect(await leaseOf(store)).toMatchObject({ epoch: 2, state: "released" });

    const third = a.start({ times: SHORT, sidecar: true });
    await third.ready();
    await takeOver(store);
    expect(await third.ended).toBe(76);
    expect(third.output()).toMatch(/E_FENCED: .*machine "stranger", since/);
    const fourth = a.start({ times: HASTY, sidecar: true });
    expect(await fourth.ended).toBe(76);
    expect(fourth.output()).toMatch(/E_FENCED: Cannot start: machine "stranger"/);
  });

  it("is no longer the app's where another machine took it after the keeper had died", async () => {
    const { machine, store, acknowledged } = await world("directory");
    const a = machine("a");
    const first = a.start({ times: PATIENT });
    await first.ready();
    await a.write();
    await acknowledged(a, "a1");
    first.kill();
    await first.ended;
    await takeOver(store);
    const again = a.start({ times: PATIENT, again: true });
    expect(await again.ended).toBe(76);
    expect(again.output()).toMatch(/E_FENCED: Cannot write to .* any more: machine "stranger"/);
  });

  it("is given back by a start that fails after it was taken", async () => {
    const { machine, store, directory } = await world("directory");
    const a = machine("a");
    const script = join(directory, "a-app/prisma/migrations/20250101000000_init/migration.sql");
    writeFileSync(script, "CREATE TABLE half (x); SELECT nothing FROM nowhere;");
    const first = a.start({ times: PATIENT });
    expect(await first.ended).toBe(70);
    expect(await leaseOf(store)).toMatchObject({ epoch: 1, state: "released" });
  });

  it("is not taken by a start that is refused", async () => {
    const { machine, store, acknowledged } = await world("directory");
    const a = machine("a");
    const first = a.start({ times: PATIENT });
    await first.ready();
    await a.write();
    await acknowledged(a, "a1");
    await a.endApp();
    await first.finish();
    const before = await store.readVersioned(LEASE_KEY, { signal });
    rmSync(join(a.volume, ".app.db-flysqlite/replication.json")); // now nothing says that it is the replica's database
    const second = a.start({ times: PATIENT });
    expect(await second.ended).toBe(65);
    expect(second.output()).toMatch(/E_DIVERGED/);
    expect(await store.readVersioned(LEASE_KEY, { signal })).toEqual(before);
  });
});

describe("a copy of a volume", { timeout: TIMEOUT_MS }, () => {
  it("is stale once the original went on", async () => {
    const { machine, directory, acknowledged, expectOneHistory } = await world("directory");
    const a = machine("a");
    const first = a.start({ times: SHORT });
    await first.ready();
    await a.write();
    await acknowledged(a, "a1");
    const copy = join(directory, "copied-volume");
    cpSync(a.volume, copy, { recursive: true });
    // The original goes on, and the copy falls behind by more renewals than an answer that was lost.
    const copied = renewalOn(copy);
    await until(() => renewalOn(a.volume) > copied + 1, { what: () => `renewals\n${first.output()}` });
    await a.write();
    await acknowledged(a, "a2");

    const b = machine("b", { volume: copy });
    const refused = b.start({ times: HASTY });
    expect(await refused.ended).toBe(65);
    expect(refused.output()).toMatch(/E_DIVERGED: .*goes on to/);
    await a.endApp();
    expect(await first.finish()).toBe(0);
    const told = b.start({ times: PATIENT, onStaleVolume: "restore" });
    await told.ready();
    expect(entriesOf(b.database)).toEqual(["a1", "a2"]);
    expect(await expectOneHistory()).toEqual(["a1", "a2"]);
  });

  it("is another machine, and kept out while the original runs", async () => {
    const { machine, directory, acknowledged } = await world("directory");
    const a = machine("a");
    const first = a.start({ times: SHORT });
    await first.ready();
    await a.write();
    await acknowledged(a, "a1");
    const copy = join(directory, "copied-volume");
    cpSync(a.volume, copy, { recursive: true });
    const copied = renewalOn(copy);
    await until(() => renewalOn(a.volume) > copied + 1, { what: () => `renewals\n${first.output()}` });
    const refused = machine("b", { volume: copy }).start({ times: HASTY });
    expect(await refused.ended).toBe(76);
    expect(refused.output()).toMatch(/E_FENCED: Cannot start: machine "a"/);
  });
});

describe("a bucket that keeps to no conditions", { timeout: TIMEOUT_MS }, () => {
  it("is written to without a lease, and that is told at each start", async () => {
    const made = await world("bucket", { ignoresConditions: true });
    const server = serverOf(made);
    const a = made.machine("a");
    for (const n of [1, 2]) {
      const keeper = a.start({ times: PATIENT });
      await keeper.ready();
      const warning =
        /lease +warning: other machines can't be kept from writing to s3:.*: a write that must find nothing/g;
      expect(keeper.output().match(warning)).toHaveLength(1);
      await a.write();
      await made.acknowledged(a, `a${n}`);
      await a.endApp();
      expect(await keeper.finish()).toBe(0);
    }
    expect(server.objects.has(LEASE)).toBe(false);
    expect([...server.objects.keys()].filter((key) => key.includes("probe"))).toEqual([]);
    expect(await made.expectOneHistory()).toEqual(["a1", "a2"]);
  });

  it("is refused where a lease is required, and nothing is changed", async () => {
    const made = await world("bucket", { ignoresConditions: true });
    const a = made.machine("a");
    const keeper = a.start({ times: PATIENT, fence: "required" });
    expect(await keeper.ended).toBe(78);
    expect(keeper.output()).toMatch(/E_CONFIG: Cannot keep other machines from writing to "s3:.*, as --fence wants it/);
    expect(serverOf(made).objects.size).toBe(0);
  });
});

describe("without a lease on purpose", { timeout: TIMEOUT_MS }, () => {
  it("nothing is asked, and another machine's is not heeded", async () => {
    const { machine, store, acknowledged, expectOneHistory } = await world("directory");
    await takeOver(store);
    const a = machine("a");
    const first = a.start({ times: PATIENT, fence: "off" });
    await first.ready();
    await a.write();
    await acknowledged(a, "a1");
    await a.endApp();
    expect(await first.finish()).toBe(0);
    expect(await leaseOf(store)).toMatchObject({ epoch: 1, machine: "stranger" });
    expect(readdirSync(join(a.volume, ".app.db-flysqlite"))).not.toContain("lease.json");
    expect(await expectOneHistory()).toEqual(["a1"]);
  });
});
