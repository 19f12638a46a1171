// Uploads that were given up, as their place in the history was taken by something else, and that arrive after all.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readState, writeState } from "../../../src/replica/state.ts";
import { installedDriver } from "../../support/driver.ts";
import { captureInVain, chain, full, holding, losePower, type Replicated, rangesAt, replicated } from "./support.ts";

const driver = await installedDriver();

/** A bucket that gives no answer at times, and a volume that is full at times. */
const troubled = () => ({ bucket: holding(), volume: full() });

type Trouble = ReturnType<typeof troubled>;

/** Transaction 2 is under way, and its outcome unknown, when the volume gets full and it is given up. */
async function giveUpTransaction2(replica: Replicated, { bucket, volume }: Trouble): Promise<void> {
  await replica.sync();
  await replica.app.commit();
  bucket.state.holds = true;
  await replica.capture();
  await expect(replica.upload()).rejects.toThrow("no answer");
  await captureInVain(replica, volume);
}

describe("an upload that was given up, and arrives while another takes its place", () => {
  it("is gone on from, with a copy of the whole database", async () => {
    const { bucket, volume } = troubled();
    await using replica = await replicated(driver, { ...bucket, ...volume });
    await giveUpTransaction2(replica, { bucket, volume });
    await expect(replica.upload()).rejects.toThrow("no answer"); // transaction 2 is the copy now
    bucket.state.holds = false;
    await bucket.state.held[0]?.();
    await expect(replica.upload()).rejects.toThrow("came late");
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 2 });
    expect(await rangesAt(replica.store, 0)).toEqual(chain(3));
    await replica.app.commit();
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 3 });
  });

  it("is not taken for the one that took its place by the next start", async () => {
    const { bucket, volume } = troubled();
    await using replica = await replicated(driver, { ...bucket, ...volume });
    await giveUpTransaction2(replica, { bucket, volume });
    await expect(replica.upload()).rejects.toThrow("no answer");
    await replica.app.commit(); // transaction 3 leads on from the copy
    await replica.capture();
    await replica.restart(async () => bucket.state.held[0]?.());
    bucket.state.holds = false;
    await replica.app.commit();
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 4 });
    expect(replica.fullCopies.at(-1)).toContain("came late");
  });

  it("is known for what it is also after the next start, where that could upload nothing", async () => {
    const { bucket, volume } = troubled();
    await using replica = await replicated(driver, { ...bucket, ...volume });
    await giveUpTransaction2(replica, { bucket, volume });
    await expect(replica.upload()).rejects.toThrow("no answer");
    await replica.restart(async () => bucket.state.held[0]?.());
    await replica.app.commit();
    await expect(replica.sync()).rejects.toThrow("no answer");
    await replica.restart();
    bucket.state.holds = false;
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 3 });
  });

  it("can be gone on from where a power cut took what was to replace it", async () => {
    const { bucket, volume } = troubled();
    await using replica = await replicated(driver, { ...bucket, ...volume });
    await giveUpTransaction2(replica, { bucket, volume });
    await expect(replica.upload()).rejects.toThrow("no answer");
    await replica.restart(async () => {
      await bucket.state.held[0]?.();
      losePower(replica.stateDirectory);
    });
    bucket.state.holds = false;
    await replica.app.commit();
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 3 });
  });
});

describe("an upload of an earlier start that the replica ends with", () => {
  it("stays known as this volume's while the next one has not arrived", async () => {
    const { bucket, volume } = troubled();
    await using replica = await replicated(driver, { ...bucket, ...volume });
    await replica.sync();
    await replica.app.commit();
    await replica.sync();
    await replica.restart(async () => {
      // Which place in the log that was, is forgotten.
      const remembered = readState(replica.stateDirectory);
      if (remembered === undefined) throw new Error("there is no state");
      await writeState(replica.stateDirectory, { ...remembered, acked: undefined, pending: undefined });
      rmSync(join(replica.stateDirectory, "captured.json"));
    });
    bucket.state.holds = true;
    await expect(replica.sync()).rejects.toThrow("no answer");
    await replica.restart();
    bucket.state.holds = false;
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 1 });
  });
});
