import { describe, expect, it } from "vitest";
import type { Event } from "../../../../src/base/events.ts";
import { LEASE_KEY, type SeenLease } from "../../../../src/replica/lease/content.ts";
import { createPatience } from "../../../../src/replica/lease/patience.ts";
import { LEASE_TIMES } from "../../../../src/replica/lease/rules.ts";
import { createVolume, eventually, newStore, signal, TTL_MS, unreliable } from "./support.ts";

/** A look at another's lease each 1.5 s. */
const LOOK_MS = TTL_MS / 30;

/** A machine that waits for the lease of another one. */
async function waiting({ stop = signal } = {}) {
  const { store } = newStore();
  const faulty = unreliable(store);
  const holder = createVolume({ store, machine: "m2" });
  const lease = await holder.take();
  if (lease === undefined) throw new Error("it was not taken");
  const { clock } = holder;
  const events: Event[] = [];
  const log = (event: Event) => void events.push(event);
  const patience = createPatience({ times: LEASE_TIMES, clock, log, signal: stop });
  const seen = async (): Promise<SeenLease> => {
    const found = (await holder.look()).seen;
    if (found === undefined) throw new Error("there is no lease");
    return found;
  };
  const wait = async () => patience.waitFor(await seen(), faulty.store);
  return {
    ...{ clock, lease, holder, faulty, events, patience, seen, objects: store.objects },

    /** Waits, with the clock moving on at each look; `atLook` is told the time that passed. Gives that time. */
    async elapse(atLook: (passedMs: number) => Promise<unknown> = async () => {}): Promise<number> {
      const startedMs = clock.monotonic();
      const over = wait().then(
        () => "over" as const,
        (error: unknown) => ({ error }),
      );
      for (;;) {
        const state = await Promise.race([over, asleep(clock).then(() => "asleep" as const)]);
        if (state === "over") return clock.monotonic() - startedMs;
        if (state !== "asleep") throw state.error;
        await atLook(clock.monotonic() - startedMs);
        clock.advance(LOOK_MS);
      }
    },
  };
}

const asleep = (clock: { sleepers(): readonly number[] }) =>
  eventually(() => expect(clock.sleepers()).toEqual([LOOK_MS]));

describe("waiting for another machine's lease", () => {
  it("ends when it did not change for as long as it holds, by the waiter's own clock", async () => {
    const { elapse, patience, seen, events, faulty } = await waiting();
    expect(await elapse()).toBe(TTL_MS);
    expect(patience.hasRunOut(await seen())).toBe(true);
    expect(faulty.reads).toBe(30);
    expect(events.map(({ level, text }) => `${level}: ${text}`)).toEqual([
      'info: machine "m2", since 1970-01-01T00:16:40Z, epoch 1, writes to memory:: waiting for it, up to 1 min 0 s',
    ]);
  });

  it("begins to count anew with each change", async () => {
    const { elapse, holder } = await waiting();
    const passed = await elapse(async (passedMs) => {
      if (passedMs === 8 * LOOK_MS) await holder.take();
    });
    expect(passed).toBe(9 * LOOK_MS + TTL_MS); // from the look on that showed it
  });

  it("ends as soon as it is released", async () => {
    const { elapse, lease, patience, seen } = await waiting();
    const passed = await elapse(async (passedMs) => {
      if (passedMs === 4 * LOOK_MS) await lease.release({ signal });
    });
    expect(passed).toBe(5 * LOOK_MS);
    expect(patience.hasRunOut(await seen())).toBe(false);
  });

  it("ends where somebody deleted it", async () => {
    const { elapse, objects } = await waiting();
    expect(await elapse(async () => objects.delete(LEASE_KEY))).toBe(LOOK_MS);
  });

  it("gives up in time where the other goes on, and says who that is", async () => {
    const { elapse, holder, events, clock } = await waiting();
    const startedMs = clock.monotonic();
    const failed = elapse(async (passedMs) => {
      if (passedMs % (TTL_MS / 3) === 0) await holder.take(); // any change will do
    });
    await expect(failed).rejects.toMatchObject({
      code: "E_FENCED",
      message: expect.stringMatching(
        /^Cannot start: machine "m2", since \S+, epoch \d+, writes to "memory:", and did not end in 1 min 0 s$/,
      ),
    });
    expect(clock.monotonic() - startedMs).toBeLessThanOrEqual(LEASE_TIMES.waitMs);
    expect(events).toHaveLength(1);
  });

  it("counts all waits of a start together", async () => {
    const { elapse, patience, clock, faulty, seen } = await waiting();
    await elapse();
    clock.advance(LEASE_TIMES.waitMs);
    await expect(patience.pause(faulty.store, (await seen()).content)).rejects.toMatchObject({ code: "E_FENCED" });
    await expect(patience.pause(faulty.store, undefined)).rejects.toThrow("Cannot start: another machine, writes");
  });

  it("ends at once when the start is told to stop", async () => {
    const stop = new AbortController();
    const { elapse } = await waiting({ stop: stop.signal });
    const reason = new Error("stopped by SIGTERM");
    await expect(elapse(async () => stop.abort(reason))).rejects.toBe(reason);
  });

  it("fails where the store is away: that is for the start to tell", async () => {
    const { elapse, faulty } = await waiting();
    await expect(elapse(async () => faulty.fail("before"))).rejects.toThrow("connection refused");
  });
});
