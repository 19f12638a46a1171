import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { FlysqliteError } from "../../../../src/base/errors.ts";
import type { V03Files } from "../../../../src/replica/v03/names.ts";
import { listGenerations, planV03, type V03Target } from "../../../../src/replica/v03/plan.ts";
import { temporaryDirectory } from "../../../support/temporary.ts";
import { commitNext, makeDatabase } from "../../../support/workload.ts";
import {
  filesBelow,
  HAS_LITESTREAM,
  listReplica,
  openStore,
  replicate,
  restoreOurs,
  restoreTheirs,
} from "./support.ts";

describe.skipIf(!HAS_LITESTREAM)("what Litestream 0.3.13 replicates", () => {
  it.each([512, 4096, 65536])(
    "restores as Litestream does, byte for byte: pages of %i bytes",
    async (pageSize) => {
      using directory = temporaryDirectory();
      const database = join(directory.path, "app.db");
      const replica = join(directory.path, "replica");
      makeDatabase(database, { pageSize });
      await runWorkload({ directory: directory.path, database, replica, vacuum: true });
      // A log that was restarted while nobody looked: Litestream begins another generation.
      using offline = new DatabaseSync(database);
      commitNext(offline, { payloadBytes: 5000, keep: 20 });
      offline.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      await runWorkload({ directory: directory.path, database, replica, vacuum: false });

      const store = openStore(replica);
      const generations = listGenerations(await listReplica(store));
      expect(generations.length).toBe(2);
      const latest = await restoreOurs(store, { kind: "latest" }, directory.path, { integrity: "full" });
      expect(latest.bytes.length).toBeGreaterThan(5_000_000); // so that its snapshot has several blocks
      expect(latest.bytes.equals((await restoreTheirs(replica, [], directory.path)) ?? Buffer.of())).toBe(true);

      for (const [target, arguments_] of positions(generations)) {
        const theirs = await restoreTheirs(replica, arguments_, directory.path);
        const ours = await restoreOurs(store, target, directory.path, { integrity: "full" }).catch(refusal);
        // Litestream also gives a snapshot of which nothing proves that it is whole without its log.
        if (ours === "refused")
          expect(isBeforeItsLog(await listReplica(store), target), arguments_.join(" ")).toBe(true);
        else expect(theirs?.equals(ours.bytes), arguments_.join(" ")).toBe(true);
      }
    },
    60_000,
  );
});

function refusal(error: unknown): "refused" {
  if (error instanceof FlysqliteError && error.code === "E_REPLICA_GAP") return "refused";
  throw error;
}

/** True for a time by which a snapshot was there, and no segment after it. */
function isBeforeItsLog(files: V03Files, target: V03Target): boolean {
  return planV03(files, target).segments.length === 0;
}

/** Ends of generations and logs, and some times in between. */
function positions(
  generations: ReturnType<typeof listGenerations>,
): readonly (readonly [V03Target, readonly string[]])[] {
  return generations.flatMap(({ generation, snapshots, segments, updatedMs }) => {
    const of = ["-generation", generation];
    const logs = [...new Set(segments.map(({ index }) => index))];
    const times = [...snapshots, ...segments].map(({ createdMs }) => createdMs).filter((ms) => ms < updatedMs);
    return [
      [{ kind: "latest", generation }, of] as const,
      ...everyNth(logs, 3).map(
        (index) => [{ kind: "index", generation, index }, [...of, "-index", index.toString(16)]] as const,
      ),
      ...everyNth(times, 8).map((ms) => {
        const text = new Date(ms).toISOString().replace("Z", "499999Z"); // where ours are rounded
        return [{ kind: "timestamp", ms, generation }, [...of, "-timestamp", text]] as const;
      }),
    ];
  });
}

function everyNth<Item>(items: readonly Item[], count: number): readonly Item[] {
  const step = Math.max(1, Math.ceil(items.length / count));
  return items.filter((_, i) => i % step === 0);
}

/** Commits while Litestream replicates, each time until it has uploaded something. */
async function runWorkload({
  directory,
  database,
  replica,
  vacuum,
}: {
  readonly directory: string;
  readonly database: string;
  readonly replica: string;
  readonly vacuum: boolean;
}): Promise<void> {
  await using litestream = replicate(directory, { database, replica });
  using connection = new DatabaseSync(database, { timeout: 5000 });
  const uploads = () => (existsSync(replica) ? filesBelow(replica).filter((path) => !path.endsWith(".tmp")).length : 0);
  for (let round = 0; round < 18; round += 1) {
    const before = uploads();
    if (vacuum && round === 12) connection.exec("VACUUM");
    // Random content of more than 4 MiB, so that a snapshot has more than one block.
    if (round === 5)
      connection.exec(
        "CREATE TABLE IF NOT EXISTS large (content BLOB); INSERT INTO large VALUES (randomblob(5500000))",
      );
    commitNext(connection, { payloadBytes: 100 + round * 300, keep: 10 });
    const giveUpAt = performance.now() + 10_000;
    while (uploads() === before) {
      if (performance.now() > giveUpAt) throw new Error(`Litestream uploads nothing: ${litestream.output()}`);
      await sleep(5);
    }
  }
}
