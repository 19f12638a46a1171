// Which copy of the database is right, and who may write to the replica, on the real executable: what a user sees.

import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { systemClock, systemRandom } from "../../src/base/system.ts";
import { readLease, takeLease } from "../../src/replica/lease/take.ts";
import { openFileStore } from "../../src/storage/file.ts";
import { type Box, createBox, type Running, type Start } from "../support/box.ts";
import { BUCKET, KEY, startS3Server } from "../support/s3-server.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { treeOf } from "../support/tree.ts";

const signal = new AbortController().signal;

async function started(box: Box, start: Start = {}): Promise<Running> {
  const running = await box.start(start);
  await running.listening();
  return running;
}

const add = (running: Running, text: string) => running.request("POST", "/entries", { author: "ann", text });

/** The entries that a test made, oldest first. */
async function rows(running: Running): Promise<readonly string[]> {
  const entries = (await running.request("GET", "/entries")) as readonly { readonly text: string }[];
  return entries.map(({ text }) => text).filter((text) => text.startsWith("row "));
}

/** Starts, adds these rows, and stops. Gives what was told. */
async function addRows(box: Box, texts: readonly string[], start: Start = {}): Promise<string> {
  const running = await started(box, start);
  for (const text of texts) await add(running, text);
  expect(await running.stop(), running.output()).toBe(0);
  return running.output();
}

/** All files of volume and replica, but for the index of the log: SQLite makes it anew for whoever looks at a database. */
function filesOf(box: Box) {
  const { "dev.db-shm": _, ...volume } = treeOf(box.volume);
  return { volume, replica: treeOf(box.replica) };
}

const databaseOf = (box: Box) => join(box.volume, "dev.db");
const staleOf = (box: Box) => readdirSync(box.volume).filter((name) => /^dev\.db\.stale-\w+$/.test(name));

describe("a volume that is older than its replica", () => {
  it("is refused with both positions and the way out; taken, that keeps what the volume had", async () => {
    using box = createBox();
    using copies = temporaryDirectory();
    const older = join(copies.path, "volume");
    await addRows(box, ["row 1"]);
    cpSync(box.volume, older, { recursive: true, preserveTimestamps: true });
    await addRows(box, ["row 2"]);
    box.loseVolume();
    cpSync(older, box.volume, { recursive: true, preserveTimestamps: true });
    const before = filesOf(box);

    const refused = await box.run();
    expect(refused.exitStatus).toBe(65);
    expect(refused.output).toMatch(/E_DIVERGED: .* up to transaction 0{15}[0-9a-f], and .* goes on to 0{15}[0-9a-f]/);
    expect(refused.output).toMatch(/try +To go on with the replica's copy, start with --on-stale-volume=restore/);
    const told = { environment: { FLYSQLITE_ON_STALE_VOLUME: "restore" } };
    const dry = await box.run({ ...told, words: ["run", "--dry"] });
    expect(dry.exitStatus).toBe(0);
    expect(dry.standardOutput).toContain("move /data/dev.db aside, then restore /data/dev.db from file:///replica/db");
    expect(filesOf(box)).toEqual(before);

    const running = await started(box, told);
    expect(await rows(running)).toEqual(["row 1", "row 2"]);
    expect(running.output()).toMatch(
      /with whatever it has and the replica lacks, is kept as \/data\/dev\.db\.stale-\d{8}T/,
    );
    await add(running, "row 3");
    expect(await running.stop()).toBe(0);
    const [stale = ""] = staleOf(box);
    using kept = new DatabaseSync(join(box.volume, stale));
    expect(kept.prepare("SELECT text FROM Entry WHERE text LIKE 'row %'").all()).toMatchObject([{ text: "row 1" }]);

    // From now on it is no older any more, and nothing is moved aside again.
    await addRows(box, ["row 4"], told);
    expect(staleOf(box)).toEqual([stale]);
    box.loseVolume();
    const restored = await started(box);
    expect(await rows(restored)).toEqual(["row 1", "row 2", "row 3", "row 4"]);
    expect(await restored.stop()).toBe(0);
  });
});

describe("a database that was restored by hand", () => {
  it("to an earlier state is gone on from: what came after it stays in the replica's history", async () => {
    using box = createBox();
    await addRows(box, ["row 1"]);
    const level = join(box.replica, "db/ltx/0");
    const [txid] = (readdirSync(level).sort().at(-1) ?? "").split("-");
    await addRows(box, ["row 2", "row 3"]);
    const restored = await box.run({ words: ["restore", "--txid", txid ?? "", "--force"] });
    expect(restored.output).toMatch(/restore +what was there is kept as \/data\/dev\.db\.stale-/);
    expect(restored.exitStatus).toBe(0);

    const running = await started(box);
    expect(await rows(running)).toEqual(["row 1"]);
    expect(running.output()).toMatch(/replicate +.*with a copy of the whole database|copied the whole database/);
    await add(running, "row 4");
    expect(await running.stop()).toBe(0);
    box.loseVolume();
    const after = await started(box);
    expect(await rows(after)).toEqual(["row 1", "row 4"]);
    expect(await after.stop()).toBe(0);
  });

  it("onto an empty volume is gone on from without a copy of the whole database", async () => {
    using box = createBox();
    await addRows(box, ["row 1"]);
    box.loseVolume();
    expect((await box.run({ words: ["restore"] })).exitStatus).toBe(0);
    expect(await addRows(box, ["row 2"])).not.toMatch(/copied the whole database/);
    box.loseVolume();
    const after = await started(box);
    expect(await rows(after)).toEqual(["row 1", "row 2"]);
    expect(await after.stop()).toBe(0);
  });
});

describe("a database that is not what it should be", () => {
  it("another app's is refused, whatever the replica holds, and left as it is", async () => {
    using box = createBox();
    using other = new DatabaseSync(databaseOf(box));
    other.exec(`CREATE TABLE _prisma_migrations (id TEXT PRIMARY KEY, checksum TEXT, finished_at DATETIME,
      migration_name TEXT, logs TEXT, rolled_back_at DATETIME, started_at DATETIME, applied_steps_count INTEGER);
      INSERT INTO _prisma_migrations VALUES ('1', 'x', 1, '20200101_shop', NULL, NULL, 1, 1); CREATE TABLE orders (id)`);
    other.close();
    const before = filesOf(box);
    const { exitStatus, output } = await box.run();
    expect(output).toMatch(/E_VOLUME: Cannot use "\/data\/dev\.db": it is another app's database/);
    expect(output).toMatch(/its 1 migrations, such as "20200101_shop", are none of this app's 4/);
    expect(exitStatus).toBe(72);
    expect(filesOf(box)).toEqual(before);
  });

  it("a damaged one is refused, and the way out that is told brings the replica's back", async () => {
    using box = createBox();
    await addRows(box, ["row 1"]);
    const bytes = readFileSync(databaseOf(box));
    bytes.fill(0xff, 4096, 3 * 4096);
    writeFileSync(databaseOf(box), bytes);
    const before = filesOf(box);
    const refused = await box.run();
    expect(refused.output).toMatch(/E_DB_INVALID: Cannot use "\/data\/dev\.db": SQLite's quick_check finds it damaged/);
    expect(refused.output).toMatch(/try +.*`flysqlite restore --force`/);
    expect(refused.exitStatus).toBe(65);
    expect(filesOf(box)).toEqual(before);

    expect((await box.run({ words: ["restore", "--force"] })).exitStatus).toBe(0);
    const running = await started(box);
    expect(await rows(running)).toEqual(["row 1"]);
    expect(await running.stop()).toBe(0);
    expect(readFileSync(join(box.volume, staleOf(box)[0] ?? ""))).toEqual(bytes);
  });
});

describe("a replica that was emptied", () => {
  it("gets a new history of the volume's database, and that is told", async () => {
    using box = createBox();
    await addRows(box, ["row 1"]);
    rmSync(join(box.replica, "db"), { recursive: true });
    const output = await addRows(box, ["row 2"]);
    expect(output).toMatch(
      /warning: "file:\/\/\/replica\/db" held this database up to transaction \S+ and is empty now/,
    );
    box.loseVolume();
    const restored = await started(box);
    expect(await rows(restored)).toEqual(["row 1", "row 2"]);
    expect(await restored.stop()).toBe(0);
  });
});

describe("two machines on one bucket", () => {
  it("overlap at a deploy: the new one waits, says for whom, and starts with all that the old one wrote", async () => {
    await using server = await startS3Server();
    using old = createBox();
    using fresh = createBox();
    const environment = {
      FLYSQLITE_REPLICA: undefined,
      BUCKET_NAME: BUCKET,
      AWS_ENDPOINT_URL_S3: server.origin,
      AWS_REGION: server.region,
      AWS_ACCESS_KEY_ID: KEY.accessKeyId,
      AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
    };
    const first = await started(old, { environment: { ...environment, FLY_MACHINE_ID: "e2865000" } });
    await add(first, "row 1");
    const second = await fresh.start({ environment: { ...environment, FLY_MACHINE_ID: "d891f000" } });
    await second.line(
      /lease +machine "e2865000", since \S+, epoch 1, writes to s3:\S+ waiting for it, up to 1 min 0 s/,
    );
    await add(first, "row 2");
    expect(readdirSync(fresh.volume)).toEqual([]);
    expect(await first.stop(), first.output()).toBe(0);
    await second.listening();
    expect(await rows(second)).toEqual(["row 1", "row 2"]);
    expect(await second.stop()).toBe(0);
  });
});

describe("a machine whose lease another one took", () => {
  it("ends its app and itself, keeps its volume, and is refused while the other one has it", async () => {
    using box = createBox();
    const running = await started(box, { environment: { FLY_MACHINE_ID: "e2865000" } });
    await add(running, "row 1");
    await running.line(/copied the whole database/);
    const store = openFileStore(join(box.replica, "db"), { random: systemRandom });
    const facts = { seen: await readLease(store, { signal }), memory: undefined, owner: undefined };
    const stranger = { machine: "stranger", ttlMs: 600_000, clock: systemClock, random: systemRandom, signal };
    expect(await takeLease(store, { facts, ...stranger })).toBeDefined();

    // It is noticed at the next renewal, also where the app writes nothing.
    expect(await running.ended, running.output()).toBe(76);
    expect(running.output()).toMatch(
      /E_FENCED: .*machine "stranger", since \S+, epoch 2, took its lease over from epoch 1/,
    );
    expect(running.output()).toMatch(/stop +warning: another machine writes to the replica: the app is ended/);
    using database = new DatabaseSync(databaseOf(box), { readOnly: true });
    expect(database.prepare("SELECT text FROM Entry WHERE text LIKE 'row %'").all()).toMatchObject([{ text: "row 1" }]);

    const again = await box.start();
    await again.line(/lease +machine "stranger", since \S+, epoch 2, writes to /);
    expect(await again.stop()).toBe(143);
    const dry = await box.run({ words: ["run", "--dry"] });
    expect(dry.standardOutput).toMatch(
      /lease +wait for the replica's for up to 1 min 0 s, then take it\n +because: machine "stranger"/,
    );
    expect(dry.exitStatus).toBe(0);
  });
});
