import { describe, expect, it } from "vitest";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import { type Backlog, createProgress, describeBacklog, isBehind } from "../../../src/replica/progress.ts";
import type { StagedFile } from "../../../src/replica/staging.ts";
import { createManualClock } from "../../support/manual-clock.ts";

const file = (txid: bigint, timestampMs = 0, sizeBytes = 1000): StagedFile => ({
  txid: toTxid(txid),
  key: `ltx/0/${txid}`,
  sizeBytes,
  timestampMs,
});

/** What the replica lacks that holds all up to `replicated`, where all up to `captured` is on the volume. */
function lacks(
  progress: ReturnType<typeof createProgress>,
  replicated: bigint,
  captured: bigint,
  rest: {
    readonly waiting?: readonly StagedFile[];
    readonly uncapturedBytes?: number;
    readonly wholeDatabase?: boolean;
  } = {},
): Backlog {
  return progress.backlog({
    replicated: toTxid(replicated),
    captured: toTxid(captured),
    waiting: rest.waiting ?? [],
    uncapturedBytes: rest.uncapturedBytes ?? 0,
    wholeDatabase: rest.wholeDatabase ?? false,
  });
}

describe("progress", () => {
  it("is complete up to when the last look began whose transactions have all arrived", () => {
    const clock = createManualClock();
    const progress = createProgress(clock);
    const beganMs = clock.now();
    progress.looked(toTxid(1n), clock.monotonic());
    clock.advance(1000);
    progress.looked(toTxid(2n), clock.monotonic());
    clock.advance(500);
    expect(lacks(progress, 0n, 2n).completeUntilMs).toBeUndefined();
    expect(lacks(progress, 1n, 2n).completeUntilMs).toBe(beganMs);
    expect(lacks(progress, 2n, 2n).completeUntilMs).toBe(beganMs + 1000);
  });

  it("goes on with each look that finds nothing new", () => {
    const clock = createManualClock();
    const progress = createProgress(clock);
    for (let looks = 0; looks < 5; looks += 1) {
      clock.advance(1000);
      progress.looked(toTxid(7n), clock.monotonic());
    }
    expect(lacks(progress, 7n, 7n)).toMatchObject({ completeUntilMs: clock.now(), ageMs: 0 });
    clock.advance(300);
    expect(lacks(progress, 7n, 7n, { uncapturedBytes: 4096 })).toMatchObject({ ageMs: 300, uncapturedBytes: 4096 });
  });

  it("counts what waits, and how old its oldest commit can be at most", () => {
    const clock = createManualClock();
    const progress = createProgress(clock);
    progress.looked(toTxid(4n), clock.monotonic());
    for (const txid of [5n, 6n, 7n]) {
      clock.advance(1000);
      progress.looked(toTxid(txid), clock.monotonic());
    }
    clock.advance(100);
    const waiting = [file(5n), file(6n), file(7n)];
    const found = lacks(progress, 4n, 7n, { waiting });
    expect(found).toMatchObject({ transactions: 3, bytes: 3000, ageMs: 3100 });
    expect(lacks(progress, 6n, 7n, { waiting: [file(7n)] })).toMatchObject({ transactions: 1, ageMs: 1100 });
    expect(lacks(progress, 7n, 7n)).toMatchObject({ transactions: 0, bytes: 0, ageMs: 0 });
  });

  it("takes what an earlier process left for as old as its files are", () => {
    const clock = createManualClock();
    const progress = createProgress(clock);
    clock.advance(50);
    progress.looked(toTxid(9n), clock.monotonic());
    const waiting = [file(8n, clock.now() - 90_000), file(9n, clock.now() - 60_000)];
    const found = lacks(progress, 7n, 9n, { waiting });
    expect(found).toMatchObject({ ageMs: 90_000, completeUntilMs: undefined });
    expect(describeBacklog(found)).toBe("2 transactions (2 kB), the oldest commit at least 1 min 30 s old");
  });

  it("begins anew where the history does, behind an earlier transaction", () => {
    const clock = createManualClock();
    const progress = createProgress(clock);
    for (const txid of [3n, 4n, 5n]) {
      clock.advance(1000);
      progress.looked(toTxid(txid), clock.monotonic());
    }
    // The volume had no room: 4 and 5 were given up, and 4 is now a copy of the whole database.
    clock.advance(1000);
    const againMs = clock.now();
    progress.looked(toTxid(4n), clock.monotonic());
    clock.advance(1000);
    expect(lacks(progress, 3n, 4n, { waiting: [file(4n)] }).ageMs).toBe(4000);
    expect(lacks(progress, 4n, 4n).completeUntilMs).toBe(againMs);
  });
});

describe("what the replica lacks", () => {
  const nothing: Backlog = {
    transactions: 0,
    bytes: 0,
    uncapturedBytes: 0,
    wholeDatabase: false,
    ageMs: 0,
    completeUntilMs: 5,
  };

  it.each<[Partial<Backlog>, string]>([
    [{}, "nothing"],
    [{ transactions: 1, bytes: 512, ageMs: 400 }, "1 transaction (512 B), the oldest commit 400 ms old"],
    [
      { transactions: 31, bytes: 1_234_567, uncapturedBytes: 8192, ageMs: 125_000 },
      "31 transactions (1.2 MB) and 8 kB of the log, the oldest commit 2 min 5 s old",
    ],
    [{ uncapturedBytes: 4096, ageMs: 20 }, "4 kB of the log, the oldest commit 20 ms old"],
    [
      { wholeDatabase: true, uncapturedBytes: 4096, ageMs: 3000, completeUntilMs: undefined },
      "the whole database, which is yet to be copied, the oldest commit at least 3.0 s old",
    ],
  ])("is told: %j", (part, text) => {
    const backlog = { ...nothing, ...part };
    expect(describeBacklog(backlog)).toBe(text);
    expect(isBehind(backlog)).toBe(text !== "nothing");
  });
});
