import { describe, expect, it } from "vitest";
import type { LeaseContent } from "../../../../src/replica/lease/content.ts";
import {
  describeHolder,
  isSurelyHeld,
  LEASE_TIMES,
  type LeaseMemory,
  nextEpoch,
  standingOf,
} from "../../../../src/replica/lease/rules.ts";
import { content, TTL_MS } from "./support.ts";

const OTHER = "00000000-0000-4000-8000-0000000000b2";
const seen = (changed: Partial<LeaseContent> = {}) => ({ content: content(changed), version: "v" });
const remembered = (changed: Partial<LeaseMemory> = {}): LeaseMemory => ({ ...content(), ...changed });

describe("whose a lease is", () => {
  it("is nobody's where there is none, whatever a volume remembers", () => {
    expect(standingOf({ seen: undefined, memory: undefined }).kind).toBe("absent");
    expect(standingOf({ seen: undefined, memory: remembered() }).kind).toBe("absent");
  });

  it("is free once it was released, by whomever", () => {
    for (const memory of [undefined, remembered(), remembered({ taking: OTHER })])
      expect(standingOf({ seen: seen({ state: "released" }), memory }).kind).toBe("released");
  });

  it.each([
    ["at the renewal that it remembers", 7, 7],
    ["one renewal further, whose answer it never got", 8, 7],
  ])("is a volume's own %s", (_, renewal, known) => {
    expect(standingOf({ seen: seen({ renewal }), memory: remembered({ renewal: known }) }).kind).toBe("own");
  });

  it.each([
    ["that remembers none", seen(), undefined],
    ["that remembers another taking", seen(), remembered({ taking: OTHER })],
    // A copy of the volume has its owner's id, and what it remembers is of when it was copied.
    ["that is a copy of its owner's, from two renewals ago", seen({ renewal: 9 }), remembered({ renewal: 7 })],
    ["that is ahead of it, as no volume of its owner can be", seen({ renewal: 6 }), remembered({ renewal: 7 })],
  ])("is another's for a volume %s", (_, found, memory) => {
    expect(standingOf({ seen: found, memory }).kind).toBe("held");
  });
});

describe("the epoch of a taking", () => {
  it.each([
    [1, undefined, undefined],
    [4, seen({ epoch: 3 }), undefined],
    [4, seen({ epoch: 3, state: "released" }), remembered({ epoch: 2 })],
    [6, seen({ epoch: 3 }), remembered({ epoch: 5 })],
    [6, undefined, remembered({ epoch: 5 })],
  ])("is %d, above all that were seen, also where the lease was deleted", (epoch, found, memory) => {
    expect(nextEpoch({ seen: found, memory })).toBe(epoch);
  });
});

describe("how long a lease is surely ours", () => {
  const renewed = { monotonicMs: 1000, wallMs: 500_000 };
  const after = (ms: number, wallMs = ms) => ({ monotonicMs: 1000 + ms, wallMs: 500_000 + wallMs });
  const held = (ms: number, wallMs?: number) => isSurelyHeld(renewed, after(ms, wallMs), TTL_MS);

  it("is until somewhat before others may take it", () => {
    expect([held(0), held(39_999), held(40_000), held(45_000)]).toEqual([true, true, false, false]);
  });

  it("leaves two thirds of the time for a renewal that fails to be tried again", () => {
    expect(held((TTL_MS / 3) * 2)).toBe(true);
  });

  it("ends where a suspended machine's clock stood still while the day's time went on", () => {
    expect(held(10, 39_999)).toBe(false);
    expect(held(10, 3_600_000)).toBe(false);
  });

  it("ends where the day's time stood still, or was set back, while ours went on", () => {
    expect(held(40_000, 10)).toBe(false);
    expect(held(10, -22_490)).toBe(true);
    expect(held(10, -22_491)).toBe(false);
  });

  it("counts what the faster of both clocks says", () => {
    expect(held(25_000, 41_000)).toBe(false);
    expect(held(41_000, 25_000)).toBe(false);
    expect(held(25_000, 39_000)).toBe(true);
  });
});

describe("the usual times", () => {
  it("let a start outlast a machine that died", () => {
    expect(LEASE_TIMES.waitMs).toBeGreaterThan(LEASE_TIMES.ttlMs);
  });

  it("cost some thousand requests a day", () => {
    expect(86_400_000 / (LEASE_TIMES.ttlMs / 3)).toBe(5760);
  });
});

describe("a holder, for people", () => {
  it("is a machine, its time and its epoch", () => {
    expect(describeHolder(content())).toBe('machine "m1", since 2026-11-24T09:30:00Z, epoch 3');
  });
});
