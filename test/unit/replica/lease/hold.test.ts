import { rmSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { LEASE_KEY } from "../../../../src/replica/lease/content.ts";
import { type Lease, unguarded } from "../../../../src/replica/lease/hold.ts";
import { createManualClock } from "../../../support/manual-clock.ts";
import { createVolume, eventually, newStore, signal, TTL_MS, unreliable } from "./support.ts";

const fenced = expect.objectContaining({ code: "E_FENCED", exitStatus: 76 });
const guard = (lease: Lease) => lease.guard({ signal });

/** One volume with the lease, on a store that fails on demand. */
async function held({ renewing = false } = {}) {
  const { store, stored } = newStore();
  const faulty = unreliable(store);
  const volume = createVolume({ store: faulty.store });
  const lease = renewing ? await volume.hold() : await volume.take();
  if (lease === undefined) throw new Error("it was not taken");
  const other = createVolume({ store, clock: volume.clock, machine: "m2" });
  return { ...volume, lease, faulty, stored, other, objects: store.objects };
}

describe("taking the lease", () => {
  it("begins with epoch 1, and remembers it on the volume", async () => {
    const { stored, memory, lease } = await held();
    const { epoch, owner, taking, renewal } = stored();
    expect(stored()).toMatchObject({ epoch: 1, state: "held", ttlMs: TTL_MS, machine: "m1", sinceMs: 1_000_000 });
    expect(await memory()).toEqual({ replica: "memory:", epoch, owner, taking, renewal });
    expect(lease.epoch).toBe(1);
  });

  it("adds an epoch each time, of the same owner, never of the same taking", async () => {
    const { stored, take } = await held();
    const first = stored();
    await take();
    expect(stored()).toMatchObject({ epoch: 2, owner: first.owner });
    expect(stored().taking).not.toBe(first.taking);
  });

  it("goes on with the epochs that the volume knows where somebody deleted it", async () => {
    const { stored, take, objects } = await held();
    objects.delete(LEASE_KEY);
    await take();
    expect(stored().epoch).toBe(2);
  });

  it("fails where anything happened to it since it was looked at", async () => {
    const { other, look, take, lease, stored } = await held();
    const found = await other.look();
    const own = await look();
    await lease.release({ signal });
    expect(await other.take(found)).toBeUndefined();
    expect(stored().epoch).toBe(1);
    expect(await other.take()).toBeDefined();
    expect(await take(own)).toBeUndefined();
    expect(stored()).toMatchObject({ epoch: 2, machine: "m2" });
  });

  it("succeeds where its answer got lost and a second try of the same request found it done", async () => {
    const { store, stored } = newStore();
    // As a client does that tries again by itself.
    const volume = createVolume({
      store: {
        ...store,
        async replace(key, bytes, options) {
          await store.replace(key, bytes, options);
          return store.replace(key, bytes, options);
        },
      },
    });
    expect(await volume.take()).toMatchObject({ epoch: 1 });
    expect(stored().epoch).toBe(1);
  });

  it("is won by one of two copies of a volume that are one owner", async () => {
    const { look, lease, take, stored } = await held();
    await lease.release({ signal });
    const found = await look();
    const won = (await Promise.all([take(found), take(found)])).filter((lease) => lease !== undefined);
    expect(won).toHaveLength(1);
    expect(stored().epoch).toBe(2);
  });
});

describe("the guard", () => {
  it("asks nobody while the lease is surely ours", async () => {
    const { lease, clock, faulty } = await held();
    clock.advance(39_000);
    const asked = faulty.writes;
    await guard(lease);
    expect(faulty.writes).toBe(asked);
  });

  it("renews it first once time has passed, and then holds on for as long again", async () => {
    const { lease, clock, faulty, stored } = await held();
    clock.advance(40_000);
    await guard(lease);
    expect(stored().renewal).toBe(1);
    clock.advance(39_000);
    await guard(lease);
    expect(faulty.writes).toBe(2);
  });

  it("renews once for many who wait", async () => {
    const { lease, clock, faulty } = await held();
    clock.advance(40_000);
    await Promise.all([guard(lease), guard(lease), guard(lease)]);
    expect(faulty.writes).toBe(2);
  });

  it("throws E_FENCED once another machine has it, says which one, and asks no more", async () => {
    const { lease, clock, other, faulty } = await held();
    clock.advance(TTL_MS);
    await other.take();
    await expect(guard(lease)).rejects.toEqual(fenced);
    await expect(guard(lease)).rejects.toThrow('machine "m2", since 1970-01-01T00:17:25Z, epoch 2');
    expect(lease.lost.aborted).toBe(true);
    expect(lease.lost.reason).toEqual(fenced);
    const asked = faulty.writes;
    await expect(guard(lease)).rejects.toEqual(fenced);
    expect(faulty.writes).toBe(asked);
  });

  it("throws it also where that machine has released it since", async () => {
    const { lease, clock, other } = await held();
    clock.advance(TTL_MS);
    await (await other.take())?.release({ signal });
    await expect(guard(lease)).rejects.toEqual(fenced);
  });

  it("throws it also where it is this volume itself, or a copy of it, that took it anew", async () => {
    const { lease, clock, take } = await held();
    clock.advance(TTL_MS);
    await take();
    await expect(guard(lease)).rejects.toEqual(fenced);
  });

  it("does not take a store that is away for a loss", async () => {
    const { lease, clock, faulty } = await held();
    clock.advance(TTL_MS * 10);
    faulty.fail("before", "before");
    await expect(guard(lease)).rejects.toThrow("connection refused");
    await expect(guard(lease)).rejects.toThrow("connection refused");
    expect(lease.lost.aborted).toBe(false);
    await guard(lease);
  });

  it("knows its own renewal whose answer got lost, and renews on", async () => {
    const { lease, clock, faulty, stored } = await held();
    clock.advance(40_000);
    faulty.fail("after");
    await expect(guard(lease)).rejects.toThrow("connection reset");
    expect(stored().renewal).toBe(1);
    await guard(lease);
    expect(stored().renewal).toBe(2);
  });

  it("takes what can't be read for no proof of anything", async () => {
    const { lease, clock, objects } = await held();
    clock.advance(40_000);
    objects.set(LEASE_KEY, { bytes: new TextEncoder().encode("<html>"), modifiedMs: 0 });
    await expect(guard(lease)).rejects.toMatchObject({ code: "E_REPLICA_CORRUPT" });
    expect(lease.lost.aborted).toBe(false);
  });

  it("puts the lease back where somebody emptied the replica, with the same epoch", async () => {
    const { lease, clock, objects, stored } = await held();
    clock.advance(40_000);
    objects.clear();
    await guard(lease);
    expect(stored()).toMatchObject({ epoch: 1, renewal: 1, state: "held" });
  });

  it("renews again after a renewal whose answer came when it had run out", async () => {
    const { store, stored } = newStore();
    const clock = createManualClock();
    const late = { ms: 0 };
    const volume = createVolume({
      store: {
        ...store,
        async replace(key, bytes, options) {
          const version = await store.replace(key, bytes, options);
          clock.advance(late.ms); // the machine was halted while the answer was on its way
          late.ms = 0;
          return version;
        },
      },
      clock: { ...clock, sleep: () => new Promise(() => {}) },
    });
    const lease = await volume.take();
    clock.advance(40_000);
    late.ms = TTL_MS;
    await lease?.guard({ signal });
    expect(stored().renewal).toBe(2);
  });

  it("renews after a gap in either clock, though the other one shows none", async () => {
    const { store, stored } = newStore();
    const clock = createManualClock();
    let wallMs = 0;
    const volume = createVolume({ store, clock: { ...clock, now: () => wallMs } });
    const lease = await volume.take();
    if (lease === undefined) throw new Error("it was not taken");
    wallMs += 3_600_000; // suspended for an hour: the monotonic clock stood still
    await guard(lease);
    expect(stored().renewal).toBe(1);
    clock.advance(10_000);
    wallMs += 10_000;
    await guard(lease);
    expect(stored().renewal).toBe(1);
    wallMs -= 60_000; // set back
    await guard(lease);
    expect(stored().renewal).toBe(2);
  });

  it("gives up a renewal that is not answered in a third of the time", async () => {
    const { lease, clock, faulty, stored } = await held();
    clock.advance(40_000);
    faulty.fail("hang");
    const waiting = guard(lease).catch((error: unknown) => error);
    await eventually(() => expect(faulty.writes).toBe(2));
    clock.advance(15_000);
    expect(await waiting).toMatchObject({ code: "E_REPLICA_UNREACHABLE", message: expect.stringContaining("15.0 s") });
    await guard(lease);
    expect(stored().renewal).toBe(1);
  });

  it("ends at once for who is told to stop, and not for others who wait", async () => {
    const { lease, clock, faulty } = await held();
    clock.advance(40_000);
    faulty.fail("hang");
    const stop = new AbortController();
    const stopped = lease.guard({ signal: stop.signal }).catch((error: unknown) => error);
    const other = guard(lease).catch((error: unknown) => error);
    await eventually(() => expect(faulty.writes).toBe(2));
    const reason = new Error("stopped");
    stop.abort(reason);
    expect(await stopped).toBe(reason);
    clock.advance(15_000);
    expect(await other).toMatchObject({ code: "E_REPLICA_UNREACHABLE" });
    await expect(lease.guard({ signal: stop.signal })).rejects.toBe(reason);
  });

  it("says how the lease stands without asking anybody", async () => {
    const { lease, clock, other, faulty } = await held();
    const states = [lease.state];
    clock.advance(40_000);
    states.push(lease.state);
    await guard(lease);
    states.push(lease.state);
    clock.advance(TTL_MS);
    await other.take();
    const asked = faulty.writes;
    states.push(lease.state);
    expect(faulty.writes).toBe(asked);
    await guard(lease).catch(() => {});
    states.push(lease.state);
    expect(states).toEqual(["held", "not renewed", "held", "not renewed", "lost"]);
  });

  it("lets everything pass where there is no lease, but for who is told to stop", async () => {
    await unguarded({ signal });
    const reason = new Error("stopped");
    await expect(unguarded({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe("renewing", () => {
  it("happens each third of the time, and keeps the guard from ever having to wait", async () => {
    const { clock, memory, lease, faulty } = await held({ renewing: true });
    for (let renewal = 1; renewal <= 10; renewal += 1) {
      clock.advance(TTL_MS / 3);
      await eventually(async () => expect(await memory()).toMatchObject({ renewal }));
    }
    await guard(lease);
    expect(faulty.writes).toBe(11);
  });

  it("is noted on the volume each time, so that a restart knows its own", async () => {
    const { clock, look, memory } = await held({ renewing: true });
    clock.advance(TTL_MS / 3);
    await eventually(async () => expect(await memory()).toMatchObject({ renewal: 1 }));
    expect((await look()).seen?.content.renewal).toBe(1);
  });

  it("goes on where that can't be noted", async () => {
    const { clock, stored, stateDirectory, events, lease } = await held({ renewing: true });
    rmSync(stateDirectory, { recursive: true });
    for (const renewal of [1, 2, 3]) {
      clock.advance(TTL_MS / 3);
      await eventually(() => expect(stored().renewal).toBe(renewal));
    }
    expect(events.map(({ level }) => level)).toEqual(["debug"]);
    await guard(lease);
  });

  it("is tried more often while it fails, told once, and told again when it works", async () => {
    const { clock, stored, faulty, events, lease } = await held({ renewing: true });
    faulty.fail("before", "before", "before");
    clock.advance(15_000);
    for (const failures of [1, 2, 3]) {
      await eventually(() => expect(events).toHaveLength(failures));
      await eventually(() => expect(clock.sleepers()).toEqual([5_000]));
      clock.advance(5_000);
    }
    await eventually(() => expect(stored().renewal).toBe(1));
    await eventually(() => expect(events).toHaveLength(4));
    expect(events.map(({ level, text }) => `${level}: ${text}`)).toEqual([
      "warn: not renewed; until it is, nothing counts as replicated: connection refused",
      expect.stringMatching(/^debug: /),
      expect.stringMatching(/^debug: /),
      "info: renewed again, after 3 failed tries",
    ]);
    await guard(lease);
    expect(faulty.writes).toBe(5);
  });

  it("never ends for a store that is away, and goes on when it is back", async () => {
    const { clock, stored, faulty, lease, events } = await held({ renewing: true });
    faulty.fail(...Array.from({ length: 500 }, () => "before" as const));
    clock.advance(15_000);
    for (let failures = 1; failures <= 400; failures += 1) {
      await eventually(() => expect(events).toHaveLength(failures));
      await eventually(() => expect(clock.sleepers()).toEqual([5_000]));
      if (failures === 400) faulty.heal();
      clock.advance(5_000);
    }
    await eventually(() => expect(stored().renewal).toBe(1));
    expect(lease.lost.aborted).toBe(false);
  });

  it("ends with a loss, which everybody who looks at it is told", async () => {
    const { clock, lease, other, faulty } = await held({ renewing: true });
    const told = new Promise((resolve) => lease.lost.addEventListener("abort", () => resolve(lease.lost.reason)));
    await other.take();
    clock.advance(15_000);
    expect(await told).toEqual(fenced);
    const writes = faulty.writes;
    clock.advance(TTL_MS * 10);
    await eventually(() => expect(clock.sleepers()).toEqual([]));
    expect(faulty.writes).toBe(writes);
  });
});

describe("releasing", () => {
  it("keeps the epoch, lets the next one begin at once, and ends the renewals", async () => {
    const { clock, lease, stored, other, faulty } = await held({ renewing: true });
    await lease.release({ signal });
    expect(stored()).toMatchObject({ epoch: 1, state: "released" });
    await eventually(() => expect(clock.sleepers()).toEqual([]));
    clock.advance(TTL_MS * 10);
    expect(faulty.writes).toBe(2);
    await other.take();
    expect(stored()).toMatchObject({ epoch: 2, state: "held", machine: "m2" });
  });

  it("lets nothing be written from then on", async () => {
    const { lease, faulty } = await held();
    faulty.fail("after");
    await lease.release({ signal });
    expect(lease.state).toBe("not renewed");
    await expect(guard(lease)).rejects.toThrow("the lease is released");
  });

  it("leaves another's lease alone", async () => {
    const { clock, lease, stored, other } = await held();
    clock.advance(TTL_MS);
    await other.take();
    await lease.release({ signal });
    expect(stored()).toMatchObject({ epoch: 2, state: "held" });
  });

  it("breaks off a renewal that hangs, and releases also what that had written", async () => {
    const { clock, lease, stored, faulty } = await held();
    clock.advance(40_000);
    faulty.fail("after");
    await guard(lease).catch(() => {});
    expect(stored().renewal).toBe(1); // which the holder doesn't know
    faulty.fail("hang");
    const waiting = guard(lease).catch((error: unknown) => error);
    await eventually(() => expect(faulty.writes).toBe(3));
    await lease.release({ signal });
    expect(await waiting).toMatchObject({ message: "the lease is released" });
    expect(stored()).toMatchObject({ epoch: 1, state: "released" });
  });

  it("tells what others have to wait for where it fails", async () => {
    const { lease, faulty, events } = await held();
    faulty.fail("before");
    await lease.release({ signal });
    expect(events.at(-1)).toMatchObject({ level: "warn", text: expect.stringContaining("up to 45.0 s") });
  });

  it("ends when its time is over", async () => {
    const { lease, faulty, events } = await held();
    faulty.fail("hang");
    const limit = new AbortController();
    const released = lease.release({ signal: limit.signal });
    await eventually(() => expect(faulty.writes).toBe(2));
    limit.abort(new Error("too late"));
    await released;
    expect(events.at(-1)?.text).toContain("too late");
  });
});
