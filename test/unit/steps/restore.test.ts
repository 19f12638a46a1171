import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { systemClock, systemRandom } from "../../../src/base/system.ts";
import { type CopyFacts, decideCopy } from "../../../src/plan/copy.ts";
import type { Facts } from "../../../src/plan/facts.ts";
import { inspectReplica } from "../../../src/replica/inspect.ts";
import { readState } from "../../../src/replica/state.ts";
import { loadDriver } from "../../../src/sqlite/load-driver.ts";
import type { StepContext } from "../../../src/steps/context.ts";
import { lockDatabase } from "../../../src/steps/lock.ts";
import { stateDirectory, unbornMark } from "../../../src/steps/places.ts";
import { restore } from "../../../src/steps/restore.ts";
import { openFileStore } from "../../../src/storage/file.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { firstStart, settings } from "../plan/facts.ts";

const FIXTURE = join(import.meta.dirname, "../../fixtures/litestream/generated/v0.5.15/replica");
const assets = { read: () => undefined };
const driver = loadDriver({ assets, temporaryDirectories: [], log: () => {} });
const signal = new AbortController().signal;

/** A volume, and a replica that Litestream wrote. `start` decides and restores as a start does. */
function world() {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const database = join(directory.path, "volume/app.db");
  const replica = join(directory.path, "replica");
  mkdirSync(dirname(database));
  cpSync(FIXTURE, replica, { recursive: true });
  const store = openFileStore(replica, { random: systemRandom });
  const context: StepContext = {
    settings,
    environment: {},
    assets,
    clock: systemClock,
    random: systemRandom,
    log: () => {},
    at: () => {},
    signal,
    program: ["false"],
    replica: async () => ({ store, source: "--replica" }),
    sqlite: () => driver,
  };
  const look = async (withReplica: boolean): Promise<Facts> => {
    const content = existsSync(database) ? readFileSync(database) : undefined;
    const state = content === undefined ? "absent" : content.byteLength === 0 ? "empty" : "present";
    const orphans =
      state === "present"
        ? []
        : ["-wal", "-journal"].map((suffix) => `${database}${suffix}`).filter((path) => existsSync(path));
    return {
      ...firstStart,
      database: { path: database, state, sizeBytes: content?.byteLength ?? 0, orphans },
      replica: withReplica
        ? { address: store.address, source: "--replica", ...(await inspectReplica(store, { signal })) }
        : undefined,
      state: await readState(stateDirectory(database)),
      unborn: existsSync(unbornMark(database)),
    };
  };
  const start = async ({ withReplica = true } = {}) => {
    const facts = await look(withReplica);
    const copy = decideCopy(facts satisfies CopyFacts);
    const restored = await restore({ facts, copy, placement: { kind: "direct" }, seed: undefined, lines: [] }, context);
    return { copy, restored };
  };
  return { database, start };
}

describe("restore", () => {
  it("brings back what the replica holds, and the next start continues from there", async () => {
    const { database, start } = world();
    const { copy, restored } = await start();
    expect(copy.kind).toBe("restore");
    expect(restored?.acked).toBeDefined();
    const again = await start();
    expect(again.copy).toMatchObject({ kind: "keep", position: restored?.acked });
    expect(readFileSync(database).subarray(0, 15).toString()).toBe("SQLite format 3");
  });

  it("lets a restored database not count as one that was never finished", async () => {
    const { database, start } = world();
    expect((await start({ withReplica: false })).copy.kind).toBe("create");
    expect(existsSync(unbornMark(database))).toBe(true);
    expect((await start()).copy.kind).toBe("restore");
    expect(existsSync(unbornMark(database))).toBe(false);
    expect((await start()).copy.kind).toBe("keep");
  });

  it("moves aside what a lost database left behind, and an empty file too", async () => {
    const { database, start } = world();
    writeFileSync(database, "");
    writeFileSync(`${database}-wal`, "stale log");
    await start();
    const names = readdirSync(dirname(database));
    expect(names).toContainEqual(expect.stringMatching(/^app\.db\.orphan-\d{8}T\d{6}Z$/));
    expect(names).toContainEqual(expect.stringMatching(/^app\.db-wal\.orphan-\d{8}T\d{6}Z$/));
    expect(names).not.toContain("app.db-wal");
  });

  it("removes what an earlier start began to make, and no app has seen", async () => {
    const { database, start } = world();
    await start({ withReplica: false });
    writeFileSync(database, "half made");
    writeFileSync(`${database}-journal`, "half made");
    expect((await start({ withReplica: false })).copy.kind).toBe("create");
    expect(readdirSync(dirname(database))).toEqual([".app.db-flysqlite"]);
    expect(existsSync(unbornMark(database))).toBe(true);
  });
});

describe("lockDatabase", () => {
  it("makes the directory that the url names", async () => {
    const { database } = world();
    const deeper = join(dirname(database), "not/there/app.db");
    using _lock = await lockDatabase(deeper, await driver);
    expect(readdirSync(dirname(deeper))).toEqual([".app.db-flysqlite"]);
  });
});
