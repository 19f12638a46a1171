import { describe, expect, it, vi } from "vitest";
import { AssertionError } from "../../../src/base/assert.ts";
import { FlysqliteError } from "../../../src/base/errors.ts";
import { createBarrier } from "../../../src/replica/barrier.ts";
import { type Txid, toTxid } from "../../../src/replica/ltx/txid.ts";
import { createManualClock } from "../../support/manual-clock.ts";

const never = new AbortController().signal;

/** A barrier whose rounds end when the test says so. */
function world() {
  const clock = createManualClock();
  const rounds: PromiseWithResolvers<Txid>[] = [];
  const barrier = createBarrier({
    clock,
    ship: () => {
      const round = Promise.withResolvers<Txid>();
      rounds.push(round);
      return round.promise;
    },
  });
  const round = async (number: number): Promise<PromiseWithResolvers<Txid>> =>
    vi.waitFor(() => {
      const found = rounds[number - 1];
      if (found === undefined) throw new Error(`round ${number} has not begun`);
      return found;
    });
  return { clock, rounds, barrier, round };
}

const unreachable = () => new FlysqliteError("E_REPLICA_UNREACHABLE", "connection refused");

describe("a barrier", () => {
  it("lets all who come before a round share it", async () => {
    const { barrier, rounds, round } = world();
    const waiting = Array.from({ length: 50 }, () => barrier.sync({ signal: never }));
    (await round(1)).resolve(toTxid(7n));
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([7n]));
    expect(rounds).toHaveLength(1);
  });

  it("lets who comes during a round wait for the next: it may have looked before their commit", async () => {
    const { barrier, rounds, round } = world();
    const early = barrier.sync({ signal: never });
    const first = await round(1);
    const late = [barrier.sync({ signal: never }), barrier.sync({ signal: never })];
    first.resolve(toTxid(7n));
    expect(await early).toBe(7n);
    const second = await round(2);
    second.resolve(toTxid(9n));
    expect(await Promise.all(late)).toEqual([9n, 9n]);
    expect(rounds).toHaveLength(2);
  });

  it("begins the next round also where one fails, and tries again after a pause", async () => {
    const { barrier, clock, rounds, round } = world();
    const early = barrier.sync({ signal: never });
    const first = await round(1);
    const late = barrier.sync({ signal: never });
    first.reject(unreachable());
    (await round(2)).resolve(toTxid(8n));
    expect(await late).toBe(8n);
    await vi.waitFor(() => expect(clock.sleepers()).toEqual([500]));
    expect(rounds).toHaveLength(2);
    clock.advance(500);
    (await round(3)).resolve(toTxid(8n));
    expect(await early).toBe(8n);
  });

  it("gives up when it is aborted, with what the last try failed with", async () => {
    const { barrier, clock, round } = world();
    const limit = new AbortController();
    const waiting = barrier.sync({ signal: limit.signal });
    (await round(1)).reject(unreachable());
    await vi.waitFor(() => expect(clock.sleepers()).toEqual([500]));
    limit.abort(new Error("too late"));
    await expect(waiting).rejects.toThrow("connection refused");
  });

  it("gives up in the middle of a round, which goes on for the others", async () => {
    const { barrier, round } = world();
    const limit = new AbortController();
    const impatient = barrier.sync({ signal: limit.signal });
    const patient = barrier.sync({ signal: never });
    const first = await round(1);
    limit.abort(new Error("too late"));
    await expect(impatient).rejects.toThrow("too late");
    first.resolve(toTxid(3n));
    expect(await patient).toBe(3n);
  });

  it.each([
    ["another writer", new FlysqliteError("E_DIVERGED", "was written by someone else")],
    ["no permission", new FlysqliteError("E_REPLICA_DENIED", "access denied")],
    ["a defect", new AssertionError("broken")],
  ])("does not try again after %s", async (_, error) => {
    const { barrier, clock, round } = world();
    const waiting = barrier.sync({ signal: never });
    (await round(1)).reject(error);
    await expect(waiting).rejects.toThrow(error.message);
    expect(clock.sleepers()).toEqual([]);
  });

  it("does nothing for who is aborted already", async () => {
    const { barrier, rounds } = world();
    await expect(barrier.sync({ signal: AbortSignal.abort(new Error("gone")) })).rejects.toThrow("gone");
    expect(rounds).toHaveLength(0);
  });
});
