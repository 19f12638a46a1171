// Real keepers on volumes of their own, which all mean the same replica.

import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { LEASE_KEY, parseLease } from "../../../src/replica/lease/content.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { entriesOf, signal, world } from "./support.ts";

/** A lease that does not run out during a test, and a start that waits for as long as it takes. */
const PATIENT = { ttlMs: 20_000, waitMs: 600_000 };

/** A start that gives up soon. */
const HASTY = { ttlMs: 20_000, waitMs: 2_000 };

/** A lease that runs out soon, where its holder is halted. */
const SHORT = { ttlMs: 3_000, waitMs: 600_000 };

const TIMEOUT_MS = 90_000;

async function leaseOf(store: ObjectStore) {
  const found = await store.readVersioned(LEASE_KEY, { signal });
  if (found === undefined) throw new Error("there is no lease");
  return parseLease(found.bytes, store.address);
}

describe.each(["bucket", "directory"] as const)("two machines and a %s", (kind) => {
  it("overlap at a deploy: the second waits for the first one's end, and goes on with all it wrote", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { machine, store, acknowledged, expectOneHistory } = await world(kind);
    const [a, b] = [machine("a"), machine("b")];
    const first = a.start({ times: PATIENT });
    await first.ready();
    const entries = [await a.write(), await a.write()];
    await acknowledged(a, "a2");

    const second = b.start({ times: PATIENT });
    await second.line(/lease +machine "a", since \S+, epoch 1, writes to .*: waiting for it, up to 10 min 0 s/);
    expect(b.isUsed).toBe(false);
    entries.push(await a.write()); // while the other one waits
    await a.endApp();
    expect(await first.finish()).toBe(0);
    expect(first.output()).toMatch(/everything is in the replica/);

    await second.ready();
    expect(await leaseOf(store)).toMatchObject({ epoch: 2, machine: "b", state: "held" });
    entries.push(await b.write());
    await acknowledged(b, "b1");
    await b.endApp();
    expect(await second.finish()).toBe(0);
    expect(await leaseOf(store)).toMatchObject({ epoch: 2, state: "released" });
    expect(await expectOneHistory()).toEqual(entries);
  });

  it("exclude each other: the second is refused in time, and leaves no trace", { timeout: TIMEOUT_MS }, async () => {
    const { machine, store, acknowledged, expectOneHistory } = await world(kind);
    const [a, b] = [machine("a"), machine("b")];
    const first = a.start({ times: PATIENT });
    await first.ready();
    await a.write();
    await acknowledged(a, "a1");
    // Machine a may merge its files meanwhile, which it does at each half of a minute.
    const isMerged = (key: string) => key.startsWith(`${store.levelDirectory(1)}/`);
    const keys = async () => (await store.list("", { signal })).map(({ key }) => key).filter((key) => !isMerged(key));
    const before = await keys();
    const second = b.start({ times: HASTY });
    expect(await second.ended).toBe(76);
    expect(second.output()).toMatch(
      /E_FENCED: Cannot start: machine "a", since \S+, epoch 1, writes to .*, and did not end/,
    );
    expect(readdirSync(b.volume)).toEqual([]);
    expect(await keys()).toEqual(before);
    expect(await leaseOf(store)).toMatchObject({ epoch: 1, machine: "a", state: "held" });

    await a.write();
    await acknowledged(a, "a2");
    await a.endApp();
    expect(await first.finish()).toBe(0);
    expect(await expectOneHistory()).toEqual(["a1", "a2"]);
  });

  it("lets a stop end the wait at once", { timeout: TIMEOUT_MS }, async () => {
    const { machine } = await world(kind);
    const [a, b] = [machine("a"), machine("b")];
    const first = a.start({ times: PATIENT });
    await first.ready();
    const second = b.start({ times: PATIENT });
    await second.line(/waiting for it/);
    second.signal("SIGTERM");
    expect(await second.ended).toBe(143);
    expect(readdirSync(b.volume)).toEqual([]);
  });

  it("survive a halt of the first for longer than its lease holds: it writes no more, and ends with E_FENCED", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { machine, store, acknowledged, expectOneHistory } = await world(kind);
    const [a, b] = [machine("a"), machine("b")];
    const first = a.start({ times: SHORT });
    await first.ready();
    await a.write();
    await acknowledged(a, "a1");
    first.signal("SIGSTOP");
    const lost = await a.write(); // its app runs on

    const second = b.start({ times: SHORT });
    await second.ready();
    expect(second.output()).toMatch(/taken over from machine "a", since \S+, epoch 1: it was not renewed for 3.0 s/);
    expect(await leaseOf(store)).toMatchObject({ epoch: 2, machine: "b" });
    await b.write();
    await acknowledged(b, "b1");
    first.signal("SIGCONT");
    await a.write();
    expect(await first.ended).toBe(76);
    expect(first.output()).toMatch(
      /E_FENCED: Cannot write to .* any more: machine "b", since \S+, epoch 2, took its lease/,
    );
    expect(entriesOf(a.database)).toEqual(["a1", lost, "a3"]); // the volume keeps what it has

    await b.write();
    await acknowledged(b, "b2");
    await b.endApp();
    expect(await second.finish()).toBe(0);
    expect(await expectOneHistory()).toEqual(["a1", "b1", "b2"]);

    // Its volume has what the replica lacks, and the other way round: somebody has to say which one is right.
    await a.endApp();
    const again = a.start({ times: SHORT });
    expect(await again.ended).toBe(65);
    expect(again.output()).toMatch(
      /E_DIVERGED: .*knows of its replica up to .* goes on to .*which machine "b" \(epoch 2\) wrote to since/,
    );
    expect(again.output()).toContain("--on-stale-volume=restore");
    const told = a.start({ times: SHORT, onStaleVolume: "restore" });
    await told.ready();
    expect(entriesOf(a.database)).toEqual(["a1", "b1", "b2"]);
    const aside = readdirSync(a.volume).find((name) => /^app\.db\.stale-\d{8}T\d{6}Z$/.test(name));
    expect(told.output()).toMatch(
      /the volume's database, with whatever it has and the replica lacks, is kept as .*stale-/,
    );
    expect(entriesOf(`${a.volume}/${aside}`)).toEqual(["a1", lost, "a3"]);
  });

  it("never acknowledge one transaction twice where a halt comes between the guard and the upload, which arrives late", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { machine, acknowledged, expectOneHistory } = await world(kind);
    const [a, b] = [machine("a"), machine("b")];
    const first = a.start({ times: SHORT });
    await first.ready();
    await a.write();
    await acknowledged(a, "a1");
    const next = Math.max(...a.acknowledged) + 1;
    await first.haltBeforeUpload();
    await a.write();
    await first.halted();

    const second = b.start({ times: SHORT });
    await second.ready();
    await b.write();
    await acknowledged(b, "b1");
    first.signal("SIGCONT");
    expect(await first.ended).toBe(76);
    expect([...a.acknowledged]).not.toContain(next);
    await b.write();
    await acknowledged(b, "b2");
    expect(await expectOneHistory()).toEqual(["a1", "b1", "b2"]);
  });

  it("never build on each other's transaction where a late upload is there first", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { machine, acknowledged, expectOneHistory, entries } = await world(kind);
    const [a, b] = [machine("a"), machine("b")];
    const first = a.start({ times: SHORT });
    await first.ready();
    await a.write();
    await acknowledged(a, "a1");
    const next = Math.max(...a.acknowledged) + 1;
    await first.haltBeforeUpload();
    await a.write();
    await first.halted();

    const second = b.start({ times: SHORT });
    await second.ready();
    first.signal("SIGCONT"); // before the other one has written anything
    expect(await first.ended).toBe(76);
    expect([...a.acknowledged]).not.toContain(next); // it arrived, and does not count: its lease was another's
    // On a busy machine the halted one may find its lease gone before its upload is out: then nothing is there first.
    if ((await entries()).length === 1) {
      await b.write();
      await acknowledged(b, "b1");
      expect(await expectOneHistory()).toEqual(["a1", "b1"]);
      return;
    }
    expect(await entries()).toEqual(["a1", "a2"]);
    await b.write();
    await second.line(/was written by someone else/);
    expect([...b.acknowledged]).toEqual([]);
    expect(await expectOneHistory()).toEqual(["a1", "a2"]);
    await b.endApp();
    expect(await second.finish()).toBe(75);

    // What it was about to write is not what is there, though its number is the same.
    const again = b.start({ times: SHORT });
    expect(await again.ended).toBe(65);
    expect(again.output()).toMatch(
      /E_DIVERGED: .*was about to write transaction \w+, and .* which another machine wrote/,
    );
  });

  it("take over at once where a machine comes back to its own volume after a crash, and another one waits", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { machine, store, acknowledged, expectOneHistory } = await world(kind);
    const [a, b] = [machine("a"), machine("b")];
    const first = a.start({ times: PATIENT });
    await first.ready();
    await a.write();
    await acknowledged(a, "a1");
    first.kill();
    await first.ended;
    const second = b.start({ times: PATIENT });
    await second.line(/waiting for it/);
    await a.write();

    const again = a.start({ times: PATIENT, again: true });
    await again.ready(); // its lease would hold for a minute
    expect(await leaseOf(store)).toMatchObject({ epoch: 2, machine: "a" });
    await acknowledged(a, "a2");
    await a.endApp();
    expect(await again.finish()).toBe(0);
    await second.ready();
    expect(await leaseOf(store)).toMatchObject({ epoch: 3, machine: "b" });
    expect(await expectOneHistory()).toEqual(["a1", "a2"]);
    expect(entriesOf(b.database)).toEqual(["a1", "a2"]);
  });
});
