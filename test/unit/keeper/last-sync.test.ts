import { renameSync, writeFileSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import { FlysqliteError } from "../../../src/base/errors.ts";
import type { Event } from "../../../src/base/events.ts";
import { systemClock } from "../../../src/base/system.ts";
import { createStopBudget, lastSync } from "../../../src/keeper/last-sync.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { installedDriver } from "../../support/driver.ts";
import { createManualClock } from "../../support/manual-clock.ts";
import { never, type Replicated, replicated } from "../replica/support.ts";

const driver = await installedDriver();

const ADDRESS = "s3://bucket/app";

/** Whose uploads of transactions fail while `failures` says with what, or never end while it says "hang". */
function unreliable(failures: { next: (() => Error) | "hang" | undefined }) {
  return (store: ObjectStore): ObjectStore => ({
    ...store,
    async put(key, body, options) {
      if (!key.startsWith("ltx/0/") || failures.next === undefined) return store.put(key, body, options);
      if (failures.next !== "hang") throw failures.next();
      return new Promise((_, reject) => options.signal.addEventListener("abort", () => reject(options.signal.reason)));
    },
  });
}

const refused = () => new FlysqliteError("E_REPLICA_UNREACHABLE", "connection refused");

function finish(replica: Replicated, signal: AbortSignal, clock: Pick<typeof systemClock, "sleep"> = systemClock) {
  const events: Event[] = [];
  const { path, replicator, attached } = replica;
  const ended = lastSync(
    { path, replicator, isStillThere: attached.isStillThere },
    { address: ADDRESS, clock, log: (event) => void events.push(event), signal },
  );
  return { ended, events };
}

describe("the last sync", () => {
  it("ships what there is, and says so", async () => {
    await using replica = await replicated(driver);
    await replica.app.commit(2);
    const first = finish(replica, never);
    await first.ended;
    expect(first.events.map(({ text }) => text)).toEqual(["everything is in the replica, after 1 more files"]);
    const second = finish(replica, never);
    await second.ended;
    expect(second.events.map(({ text }) => text)).toEqual(["everything is in the replica"]);
    expect(await replica.judge()).toEqual({ n: 2 });
  });

  it("tries again while there is time", async () => {
    const failures: Parameters<typeof unreliable>[0] = { next: undefined };
    await using replica = await replicated(driver, { wrap: unreliable(failures) });
    await replica.sync();
    await replica.app.commit(3);
    failures.next = refused;
    const clock = createManualClock();
    const { ended, events } = finish(replica, never, clock);
    for (let tries = 0; tries < 3; tries += 1) {
      await vi.waitFor(() => expect(clock.sleepers()).toHaveLength(1));
      if (tries === 2) failures.next = undefined;
      clock.advance(500);
    }
    await ended;
    expect(events.at(-1)?.text).toMatch(/^everything is in the replica/);
    expect(await replica.judge()).toEqual({ n: 3 });
  });

  it("says how much is missing when the time is over, and why", async () => {
    const failures: Parameters<typeof unreliable>[0] = { next: undefined };
    await using replica = await replicated(driver, { wrap: unreliable(failures) });
    await replica.sync();
    failures.next = refused;
    await replica.app.commit();
    await replica.capture();
    await replica.app.commit();
    const time = new AbortController();
    const clock = createManualClock();
    const { ended } = finish(replica, time.signal, clock);
    await vi.waitFor(() => expect(clock.sleepers()).toHaveLength(1));
    time.abort(new Error("the time for the stop was over"));
    await expect(ended).rejects.toMatchObject({
      code: "E_FINAL_SYNC",
      exitStatus: 75,
      message: expect.stringMatching(
        /^Cannot replicate the last commits: "s3:\/\/bucket\/app" lacks 2 transactions \(\d+ k?B\), the oldest commit [\d.]+ m?s old: connection refused$/,
      ) as string,
    });
  });

  it("breaks off an upload that hangs", async () => {
    const failures: Parameters<typeof unreliable>[0] = { next: undefined };
    await using replica = await replicated(driver, { wrap: unreliable(failures) });
    await replica.sync();
    failures.next = "hang";
    await replica.app.commit();
    const time = new AbortController();
    const { ended } = finish(replica, time.signal);
    await vi.waitFor(() => expect(replica.replicator.isBehind).toBe(true));
    time.abort(new Error("the time for the stop was over"));
    await expect(ended).rejects.toThrow(/lacks 1 transaction \(.*: the time for the stop was over$/);
  });

  it("tells of the log where not even that could be captured", async () => {
    await using replica = await replicated(driver);
    await replica.sync();
    await replica.app.commit();
    const over = AbortSignal.abort(new Error("the time for the stop was over"));
    await expect(finish(replica, over).ended).rejects.toThrow(
      /lacks \d+ kB of the log, the oldest commit .* old: the time/,
    );
  });

  it.each([
    ["where the replica refuses access", () => new FlysqliteError("E_REPLICA_DENIED", "access denied")],
    ["where another one writes there", () => new FlysqliteError("E_DIVERGED", "was written by someone else")],
  ])("does not try again %s", async (_, error) => {
    const failures: Parameters<typeof unreliable>[0] = { next: undefined };
    await using replica = await replicated(driver, { wrap: unreliable(failures) });
    await replica.sync();
    failures.next = error;
    await replica.app.commit();
    const clock = createManualClock();
    await expect(finish(replica, never, clock).ended).rejects.toMatchObject({
      code: "E_FINAL_SYNC",
      message: expect.stringContaining(error().message) as string,
    });
    expect(clock.sleepers()).toEqual([]);
  });

  it("says nothing is well where another file is in the database's place", async () => {
    await using replica = await replicated(driver);
    await replica.sync();
    renameSync(replica.path, `${replica.path}.aside`);
    writeFileSync(replica.path, "another");
    const { ended, events } = finish(replica, never);
    await expect(ended).rejects.toMatchObject({
      code: "E_FINAL_SYNC",
      message: expect.stringContaining("was replaced by another file") as string,
    });
    expect(events).toEqual([]);
  });
});

describe("the time of a stop", () => {
  it("runs from the first word of it, and leaves some to tell what is missing", async () => {
    const clock = createManualClock();
    const budget = createStopBudget(4500, clock);
    clock.advance(60_000);
    expect(budget.over.aborted).toBe(false);
    budget.begin();
    clock.advance(3000);
    budget.begin();
    expect(clock.sleepers()).toEqual([1000]);
    clock.advance(1000);
    await vi.waitFor(() => expect(budget.over.aborted).toBe(true));
    expect(String(budget.over.reason)).toContain("the time for the stop was over");
  });

  it("leaves a fifth of a short one", () => {
    const clock = createManualClock();
    createStopBudget(1000, clock).begin();
    expect(clock.sleepers()).toEqual([800]);
  });
});
