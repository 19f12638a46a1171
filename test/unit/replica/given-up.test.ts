// Uploads that were given up, as their place in the history was taken by something else, and that arrive after all.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readState, writeState } from "../../../src/replica/state.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { installedDriver } from "../../support/driver.ts";
import { chain, type Replicated, rangesAt, replicated } from "./support.ts";

const driver = await installedDriver();

/** A bucket that keeps back what is put, and gives no answer; and a volume that is full at times. */
function troubled() {
  const state = { keepsBack: false, isFull: false, held: [] as (() => Promise<unknown>)[] };
  const wrap = (store: ObjectStore): ObjectStore => ({
    ...store,
    async put(key, body, options) {
      if (!state.keepsBack || !key.startsWith("ltx/")) return store.put(key, body, options);
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(Uint8Array.from(chunk));
      state.held.push(() => store.put(key, chunks, options));
      throw new Error("no answer");
    },
  });
  const wrapLocal = (store: ObjectStore): ObjectStore => ({
    ...store,
    async put(key, body, options) {
      if (!state.isFull) return store.put(key, body, options);
      throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    },
  });
  return { state, wrap, wrapLocal };
}

type Trouble = ReturnType<typeof troubled>["state"];

/** Transaction 2 is under way, and its outcome unknown, when the volume gets full and it is given up. */
async function giveUpTransaction2(replica: Replicated, trouble: Trouble): Promise<void> {
  await replica.sync();
  await replica.app.commit();
  trouble.keepsBack = true;
  await replica.capture();
  await expect(replica.upload()).rejects.toThrow("no answer");
  trouble.isFull = true;
  await replica.app.commit();
  await replica.capture();
  trouble.isFull = false;
}

describe("an upload that was given up, and arrives while another takes its place", () => {
  it("is gone on from, with a copy of the whole database", async () => {
    const { state, wrap, wrapLocal } = troubled();
    await using replica = await replicated(driver, { wrap, wrapLocal });
    await giveUpTransaction2(replica, state);
    await expect(replica.upload()).rejects.toThrow("no answer"); // transaction 2 is the copy now
    state.keepsBack = false;
    await state.held[0]?.();
    await expect(replica.upload()).rejects.toThrow("came late");
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 2 });
    expect(await rangesAt(replica.store, 0)).toEqual(chain(3));
    await replica.app.commit();
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 3 });
  });

  it("is not taken for the one that took its place by the next start", async () => {
    const { state, wrap, wrapLocal } = troubled();
    await using replica = await replicated(driver, { wrap, wrapLocal });
    await giveUpTransaction2(replica, state);
    await expect(replica.upload()).rejects.toThrow("no answer");
    await replica.app.commit(); // transaction 3 leads on from the copy
    await replica.capture();
    await replica.restart(async () => state.held[0]?.());
    state.keepsBack = false;
    await replica.app.commit();
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 4 });
    expect(replica.fullCopies.at(-1)).toContain("came late");
  });

  it("is known for what it is also after the next start, where that could upload nothing", async () => {
    const { state, wrap, wrapLocal } = troubled();
    await using replica = await replicated(driver, { wrap, wrapLocal });
    await giveUpTransaction2(replica, state);
    await expect(replica.upload()).rejects.toThrow("no answer");
    await replica.restart(async () => state.held[0]?.());
    await replica.app.commit();
    await expect(replica.sync()).rejects.toThrow("no answer");
    await replica.restart();
    state.keepsBack = false;
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 3 });
  });

  it("can be gone on from where a power cut took what was to replace it", async () => {
    const { state, wrap, wrapLocal } = troubled();
    await using replica = await replicated(driver, { wrap, wrapLocal });
    await giveUpTransaction2(replica, state);
    await expect(replica.upload()).rejects.toThrow("no answer");
    await replica.restart(async () => {
      await state.held[0]?.();
      rmSync(join(replica.stateDirectory, "ltx"), { recursive: true });
      rmSync(join(replica.stateDirectory, "captured.json"), { force: true });
    });
    state.keepsBack = false;
    await replica.app.commit();
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 3 });
  });
});

describe("an upload of an earlier start that the replica ends with", () => {
  it("stays known as this volume's while the next one has not arrived", async () => {
    const { state, wrap, wrapLocal } = troubled();
    await using replica = await replicated(driver, { wrap, wrapLocal });
    await replica.sync();
    await replica.app.commit();
    await replica.sync();
    await replica.restart(async () => {
      // Which place in the log that was, is forgotten.
      const remembered = await readState(replica.stateDirectory);
      if (remembered === undefined) throw new Error("there is no state");
      await writeState(replica.stateDirectory, { ...remembered, acked: undefined, pending: undefined });
      rmSync(join(replica.stateDirectory, "captured.json"));
    });
    state.keepsBack = true;
    await expect(replica.sync()).rejects.toThrow("no answer");
    await replica.restart();
    state.keepsBack = false;
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 1 });
  });
});
