// `flysqlite restore` on the app's own volume, and the start after it: the app has the state that was asked for, and its
// replica goes on from there.

import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Box, createBox, type Running, until } from "../support/box.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const add = (running: Running, text: string) => running.request("POST", "/entries", { author: "ann", text });

async function texts(running: Running): Promise<readonly string[]> {
  const entries = (await running.request("GET", "/entries")) as readonly { readonly text: string }[];
  return entries.map(({ text }) => text).filter((text) => text.startsWith("row "));
}

async function started(box: Box): Promise<Running> {
  const running = await box.start({ environment: { FLYSQLITE_LOG: "debug" } });
  await running.listening();
  return running;
}

/** Adds a row, and gives the transaction in which it is in the replica. */
async function replicatedRow(running: Running, text: string): Promise<string> {
  const shipped = () => [...running.output().matchAll(/transaction ([0-9a-f]{16}) is in the replica/g)].length;
  const before = shipped();
  await add(running, text);
  await until(() => shipped() > before, { what: running.output });
  return [...running.output().matchAll(/transaction ([0-9a-f]{16}) is in the replica/g)].at(-1)?.[1] ?? "";
}

describe("a restore by hand", () => {
  it("onto an empty volume is one that the next start goes on from", async () => {
    using box = createBox();
    const first = await started(box);
    await add(first, "row 1");
    expect(await first.stop(), first.output()).toBe(0);
    box.loseVolume();
    const restored = await box.run({ words: ["restore"] });
    expect(restored.exitStatus, restored.output).toBe(0);

    const second = await started(box);
    expect(await texts(second)).toEqual(["row 1"]);
    await add(second, "row 2");
    expect(await second.stop(), second.output()).toBe(0);
    expect(second.output()).not.toContain("copied the whole database");
    box.loseVolume();
    const third = await started(box);
    expect(await texts(third)).toEqual(["row 1", "row 2"]);
    await third.stop();
  });

  it("to an earlier transaction may be one onto an empty volume, too", async () => {
    using box = createBox();
    const first = await started(box);
    await first.line(/copied the whole database/);
    const txid = await replicatedRow(first, "row 1");
    await replicatedRow(first, "row 2");
    expect(await first.stop(), first.output()).toBe(0);
    box.loseVolume();
    const restored = await box.run({ words: ["restore", "--txid", txid] });
    expect(restored.exitStatus, restored.output).toBe(0);
    for (const rows of [["row 1"], ["row 1", "row 3"]]) {
      const next = await started(box);
      expect(await texts(next)).toEqual(rows);
      if (rows.length === 1) await add(next, "row 3");
      expect(await next.stop(), next.output()).toBe(0);
    }
  });

  it("gets a volume going again that is older than its replica", async () => {
    using box = createBox();
    using copies = temporaryDirectory();
    const first = await started(box);
    await first.line(/copied the whole database/);
    await add(first, "row 1");
    expect(await first.stop(), first.output()).toBe(0);
    const older = join(copies.path, "volume");
    cpSync(box.volume, older, { recursive: true, preserveTimestamps: true });
    const second = await started(box);
    await add(second, "row 2");
    expect(await second.stop(), second.output()).toBe(0);
    box.loseVolume();
    cpSync(older, box.volume, { recursive: true, preserveTimestamps: true });
    expect((await box.run()).output).toContain("E_DIVERGED");

    const restored = await box.run({ words: ["restore", "--force"] });
    expect(restored.exitStatus, restored.output).toBe(0);
    const third = await started(box);
    expect(await texts(third)).toEqual(["row 1", "row 2"]);
    expect(await third.stop(), third.output()).toBe(0);
    expect(third.output()).not.toContain("copied the whole database");
  });

  it("is refused while the app runs, and changes nothing", async () => {
    using box = createBox();
    const running = await started(box);
    await add(running, "row 1");
    const { exitStatus, output } = await box.run({ words: ["restore", "--force"] });
    expect(output).toMatch(/E_VOLUME: .*another flysqlite on this machine has it/);
    expect(exitStatus).toBe(72);
    await add(running, "row 2");
    expect(await texts(running)).toEqual(["row 1", "row 2"]);
    expect(await running.stop(), running.output()).toBe(0);
  });

  it("to an earlier transaction is what the app has then, and what its replica continues with", async () => {
    using box = createBox();
    const first = await started(box);
    await first.line(/copied the whole database/);
    const txid = await replicatedRow(first, "row 1");
    await replicatedRow(first, "row 2");
    expect(await first.stop(), first.output()).toBe(0);

    const restored = await box.run({ words: ["restore", "--txid", txid, "--force"] });
    expect(restored.exitStatus, restored.output).toBe(0);
    expect(readdirSync(box.volume)).toContainEqual(expect.stringMatching(/^dev\.db\.stale-/));

    const second = await started(box);
    expect(await texts(second)).toEqual(["row 1"]);
    await second.line(/copied the whole database/);
    await add(second, "row 3");
    expect(await second.stop(), second.output()).toBe(0);
    box.loseVolume();
    const third = await started(box);
    expect(await texts(third)).toEqual(["row 1", "row 3"]);
    await third.stop();
  });
});
