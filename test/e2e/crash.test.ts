// The machine dies while the app writes. The volume must have every acknowledged row; the replica alone a prefix.

import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { createBox, ROOT, type Running } from "../support/box.ts";
import { startFlysqlite } from "../support/flysqlite.ts";
import { temporaryDirectory } from "../support/temporary.ts";

/** Posts rows one after the other until the container is gone; gives the texts that were acknowledged. */
async function writeUntilGone(running: Running): Promise<readonly string[]> {
  const acknowledged: string[] = [];
  try {
    for (;;) {
      const text = `row ${acknowledged.length}`;
      await running.request("POST", "/entries", { author: "ann", text });
      acknowledged.push(text);
    }
  } catch {
    return acknowledged;
  }
}

async function rows(running: Running): Promise<readonly string[]> {
  await running.listening();
  const entries = (await running.request("GET", "/entries")) as readonly { readonly text: string }[];
  return entries.map(({ text }) => text).filter((text) => text.startsWith("row "));
}

/** Another moment in each run: a test that fails names it. */
const SOME_TIME_MS = Math.floor(Math.random() * 1500);

describe("a machine that dies in the middle of writes", () => {
  it.each([60, 300, 1100, SOME_TIME_MS])(
    "loses nothing on its volume, and its replica is a prefix (killed after %i ms)",
    async (afterMs) => {
      using box = createBox();
      const running = await box.start();
      await running.listening();
      const writing = writeUntilGone(running);
      await delay(afterMs);
      await running.kill();
      const acknowledged = await writing;

      using elsewhere = createBox();
      cpSync(box.replica, elsewhere.replica, { recursive: true, preserveTimestamps: true });
      const restarted = await box.start();
      const onVolume = await rows(restarted);
      // The last row may have been committed without its answer having got through.
      expect(onVolume.slice(0, acknowledged.length)).toEqual(acknowledged);
      expect(onVolume.length).toBeLessThanOrEqual(acknowledged.length + 1);

      // Not waiting for the lease of the machine that died, as a start elsewhere does: up to 45 s.
      const restored = await elsewhere.start({ environment: { FLYSQLITE_FENCE: "off" } });
      const inReplica = await rows(restored);
      expect(inReplica).toEqual(onVolume.slice(0, inReplica.length));
      await Promise.all([restarted.stop(), restored.stop()]);
    },
  );

  it("replicates on after the crash, so that a second loss loses nothing that was stopped cleanly", async () => {
    using box = createBox();
    const running = await box.start();
    await running.listening();
    const writing = writeUntilGone(running);
    await delay(400);
    await running.kill();
    await writing;
    const second = await box.start();
    const before = await rows(second);
    await second.request("POST", "/entries", { author: "ann", text: "row after" });
    expect(await second.stop()).toBe(0);
    box.loseVolume();
    const third = await box.start();
    expect(await rows(third)).toEqual([...before, "row after"]);
    expect(await third.stop()).toBe(0);
  });
});

// Elsewhere than as PID 1, whose death ends all of a container's processes.
describe("a supervisor that is killed", () => {
  function start(words: readonly string[]) {
    const directory = temporaryDirectory();
    const [volume, replica] = [join(directory.path, "volume"), join(directory.path, "replica")];
    for (const made of [volume, replica]) mkdirSync(made);
    const settings = ["--volume", volume, "--replica", `file://${replica}/db`, "--seed", "true"];
    const environment = { TMPDIR: directory.path }; // it may be killed while an addon of it is there
    const running = startFlysqlite([...settings, ...words], { environment, directory: join(ROOT, "test/app") });
    return { running, directory };
  }

  it("leaves a keeper that ships what there is, and ends", async () => {
    const { running, directory } = start(["/bin/sh", "-c", "echo an app is up; sleep 2"]);
    using _ = directory;
    await running.line(/an app is up/);
    await running.kill(); // comes back when the keeper and the app have ended too
    expect(running.output()).toMatch(/everything is in the replica/);
  });

  it("takes a start along that is under way", async () => {
    const { running, directory } = start([
      "--before-launch",
      "echo a hook is up; sleep 60",
      "/bin/echo",
      "an app is up",
    ]);
    using _ = directory;
    await running.line(/a hook is up/);
    await running.kill();
    expect(running.output()).not.toMatch(/an app is up|failed/);
  });
});
