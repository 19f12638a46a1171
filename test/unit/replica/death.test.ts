import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { systemRandom } from "../../../src/base/system.ts";
import { openFileStore } from "../../../src/storage/file.ts";
import { startApp } from "../../support/app.ts";
import { installedDriver } from "../../support/driver.ts";
import { judgeReplica } from "../../support/replica.ts";
import { startReplicator } from "../../support/replicator.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { makeDatabase } from "../../support/workload.ts";
import { chain, rangesAt } from "./support.ts";

const driver = await installedDriver();

/** Rounds after which the process must have come by the step where it dies. */
const MOST_ROUNDS = 6;

describe("the death of the replicator's process", () => {
  it.each([
    // A step, how often it is passed by before, and whether the next start has to copy the whole database.
    ["snapshot begun:0", "a copy"],
    ["staged:0", "a copy"],
    ["recorded:0", "no copy"],
    ["uploaded:0", "no copy"],
    ["snapshot uploaded:0", "no copy"],
    ["prepared:0", "no copy"],
    ["prepared:1", "no copy"],
    ["staged:1", "no copy"],
    ["recorded:1", "no copy"],
    ["uploaded:1", "no copy"],
    ["capture:0", "no copy"],
    ["capture:3", "no copy"],
    ["reader begun:0", "a copy"],
    ["reader begun:1", "no copy"],
    ["reader ended:0", "no copy"],
    ["reader ended:2", "no copy"],
    ["checkpoint:0", "no copy"],
    ["checkpoint:1", "no copy"],
    ["sealing:0", "no copy"],
    ["write lock released:0", "no copy"],
    ["uploaded:4", "no copy"],
    ["recorded:5", "no copy"],
  ])("at %s loses nothing and forks nothing, and calls for %s of the database", async (dieAt, needed) => {
    using directory = temporaryDirectory();
    const places = {
      database: join(directory.path, "app.db"),
      replica: join(directory.path, "replica"),
      state: join(directory.path, "state"),
    };
    makeDatabase(places.database, { pageSize: 512 });
    await using app = await startApp(places.database);
    await using slow = await startApp(places.database);
    await app.commit(3);
    {
      await using doomed = await startReplicator(places, { dieAt });
      for (let round = 0; (await doomed.ask("sync")) !== undefined; round += 1) {
        expect(round, "it should have died by now").toBeLessThan(MOST_ROUNDS);
        if (round === 1) {
          // From here on a reader of the app's keeps the log from being emptied, so that it must be sealed.
          await slow.exec("BEGIN");
          await slow.all("SELECT count(*) FROM chain");
          await app.commit(110, { payloadBytes: 40_000, keep: 5 });
        }
        await app.commit(2);
        if ((await doomed.ask("capture")) === undefined) break;
        await app.commit(2);
      }
    }
    await slow.close();
    const last = await app.commit();

    await using next = await startReplicator(places);
    const answer = await next.ask("sync");
    expect(answer?.error).toBeUndefined();
    expect(answer?.fullCopies).toHaveLength(needed === "a copy" ? 1 : 0);
    const store = openFileStore(places.replica, { random: systemRandom });
    expect(await judgeReplica({ store, driver, target: join(directory.path, "restored.db") })).toEqual({ n: last });
    const found = await rangesAt(store, 0);
    expect(found).toEqual(chain(found.length));
  });
});
