import { describe, expect, it } from "vitest";
import { withTimeLimit } from "../../../src/base/time-limit.ts";
import { createManualClock } from "../../support/manual-clock.ts";

const never = new AbortController().signal;
const late = () => new Error("too late");

/** Ends with the signal's reason, when that is aborted. */
const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));

describe("work with a time limit", () => {
  it("gives its value, and leaves no wait behind", async () => {
    const clock = createManualClock();
    expect(await withTimeLimit(async () => 7, { ms: 1000, clock, signal: never, late })).toBe(7);
    expect(clock.sleepers()).toEqual([]);
  });

  it("fails as it fails by itself", async () => {
    const failure = new Error("its own");
    const clock = createManualClock();
    const work = () => Promise.reject(failure);
    await expect(withTimeLimit(work, { ms: 1000, clock, signal: never, late })).rejects.toBe(failure);
    expect(clock.sleepers()).toEqual([]);
  });

  it("is broken off when the time is over", async () => {
    const clock = createManualClock();
    const result = withTimeLimit(untilAborted, { ms: 1000, clock, signal: never, late });
    clock.advance(1000);
    await expect(result).rejects.toThrow("too late");
  });

  it("is broken off with the reason of who waits for it", async () => {
    const clock = createManualClock();
    const stop = new AbortController();
    const reason = new Error("stopped");
    const result = withTimeLimit(untilAborted, { ms: 1000, clock, signal: stop.signal, late });
    stop.abort(reason);
    await expect(result).rejects.toBe(reason);
    expect(clock.sleepers()).toEqual([]);
  });
});
