// What goes wrong with a generated entrypoint script, and must not here: one test for each, named by what the user
// sees. The projects are as people have them; the app in them opens what Prisma's client would open.

import { cpSync, lstatSync, mkdirSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BARE, type Box, createBox, type Running } from "../support/box.ts";
import { type Files, INIT, INIT_SQL, prisma6, prisma7, writeFiles } from "../support/project.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { treeOf } from "../support/tree.ts";

/** A container with a project that the executable does not carry. */
const boxOf = (app: Files) => createBox({ executable: BARE, app });

async function startAndCount(box: Box, start: Parameters<Box["start"]>[0] = {}): Promise<[Running, unknown]> {
  const running = await box.start(start);
  await running.listening();
  return [running, await running.request("GET", "/count")];
}

/** Holds for a database on the volume that is replicated: it comes back, with its rows, once the volume is lost. */
async function expectReplicated(box: Box, start: Parameters<Box["start"]>[0] = {}, seeds = 0): Promise<void> {
  const [first, before] = await startAndCount(box, start);
  expect(before).toEqual({ starts: 1, seeds });
  expect(await first.stop()).toBe(0);
  expect(readdirSync(box.volume)).toContain("dev.db");
  box.loseVolume();
  const [second, after] = await startAndCount(box, start);
  expect(after).toEqual({ starts: 2, seeds });
  expect(await second.stop()).toBe(0);
}

/** The links in the app's directory and where they lead; packages aside. */
function linksOf(box: Box): { readonly [path: string]: string } {
  const found = readdirSync(box.app, { recursive: true, encoding: "utf8" })
    .filter((path) => !path.startsWith("node_modules") && lstatSync(join(box.app, path)).isSymbolicLink())
    .map((path) => [path, readlinkSync(join(box.app, path))]);
  return Object.fromEntries(found);
}

describe("where the database is", () => {
  it('env("DATABASE_URL") with its usual value file:./dev.db starts, on the volume and replicated', async () => {
    using box = boxOf(prisma6('env("DATABASE_URL")'));
    await expectReplicated(box, { environment: { DATABASE_URL: "file:./dev.db" } });
    expect(linksOf(box)).toEqual({}); // the app is told
  });

  it("file:dev.db, without ./, is on the volume and replicated", async () => {
    using box = boxOf(prisma6('"file:dev.db"'));
    await expectReplicated(box);
    expect(linksOf(box)).toEqual({ "prisma/dev.db": "/data/dev.db" });
  });

  it("file:./dev.db is linked where Prisma 6 looks for it: in the schema's folder", async () => {
    using box = boxOf(prisma6('"file:./dev.db"'));
    await expectReplicated(box);
    expect(linksOf(box)).toEqual({ "prisma/dev.db": "/data/dev.db" });
  });

  it("Prisma 7's config, its seed and a schema folder are understood", async () => {
    using box = boxOf(prisma7("file:./dev.db"));
    await expectReplicated(box, {}, 1);
    expect(linksOf(box)).toEqual({ "dev.db": "/data/dev.db" });
  });

  it("a url in single quotes is refused with its file and line, before anything is made", async () => {
    using box = boxOf(prisma6("'file:./dev.db'"));
    const { exitStatus, output } = await box.run();
    expect(output).toMatch(/E_SCHEMA: prisma\/schema\.prisma:3: url is in single quotes/);
    expect(exitStatus).toBe(78);
    expect([treeOf(box.volume), treeOf(box.replica), linksOf(box)]).toEqual([{}, {}, {}]);
  });

  it("?connection_limit=1 is no part of the file's name", async () => {
    using box = boxOf(prisma6('"file:./dev.db?connection_limit=1"'));
    await expectReplicated(box);
    expect(linksOf(box)).toEqual({ "prisma/dev.db": "/data/dev.db" });
  });

  it("?connection_limit=1 leads to the same file where a driver adapter takes it for the name", async () => {
    using box = boxOf(prisma7("file:./dev.db?connection_limit=1"));
    await expectReplicated(box, {}, 1);
    expect(linksOf(box)).toEqual({ "dev.db?connection_limit=1": "/data/dev.db" });
  });
});

describe("a start that failed", () => {
  it("because the replica was away succeeds in the same container once it is back", async () => {
    using box = boxOf(prisma6('"file:./dev.db"'));
    const away = { environment: { FLYSQLITE_REPLICA: "file:///replica/away/db" } };
    const { exitStatus, output } = await box.run(away);
    expect(output).toContain("E_REPLICA_UNREACHABLE");
    expect(exitStatus).toBe(69);
    mkdirSync(join(box.replica, "away"));
    await expectReplicated(box, away);
  });

  it("after the link was made succeeds in the same container, and takes that link", async () => {
    const migration = `prisma/migrations/${INIT}/migration.sql`;
    using box = boxOf(prisma6('"file:./dev.db"', { [migration]: 'ALTER TABLE "Nobody" ADD COLUMN "x" INTEGER;\n' }));
    const { exitStatus, output } = await box.run();
    expect(output).toMatch(/link +\/app\/prisma\/dev\.db -> \/data\/dev\.db/);
    expect(output).toContain("E_MIGRATE");
    expect(exitStatus).toBe(70);
    expect(linksOf(box)).toEqual({ "prisma/dev.db": "/data/dev.db" });

    writeFiles(box.app, { [migration]: INIT_SQL });
    const [second, count] = await startAndCount(box);
    expect(count).toEqual({ starts: 1, seeds: 0 });
    expect(second.output()).not.toMatch(/ {2}link /);
    expect(await second.stop()).toBe(0);
  });
});

describe("a volume that was lost, and what would make an empty production database of it", () => {
  /** What Fly sets for a bucket, but for its name. */
  const BUCKET_WITHOUT_NAME = {
    AWS_ENDPOINT_URL_S3: "https://fly.storage.tigris.dev",
    AWS_ACCESS_KEY_ID: "tid_test",
    AWS_SECRET_ACCESS_KEY: "tsec_test",
    AWS_REGION: "auto",
  };
  const app = prisma6('"file:./dev.db"');

  it("an unset BUCKET_NAME beside the bucket's other variables is refused, and nothing is made", async () => {
    using box = boxOf(app);
    const environment = { FLYSQLITE_REPLICA: undefined, ...BUCKET_WITHOUT_NAME };
    const { exitStatus, output } = await box.run({ environment });
    expect(output).toMatch(/E_CONFIG[\s\S]*BUCKET_NAME: not set/);
    expect(output).not.toContain("tsec_test");
    expect(exitStatus).toBe(78);
    expect([treeOf(box.volume), treeOf(box.replica), linksOf(box)]).toEqual([{}, {}, {}]);
  });

  it("a replica's path that changed is refused where the volume remembers another one", async () => {
    using box = boxOf(app);
    const [first] = await startAndCount(box);
    await first.stop();
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(box.volume, `dev.db${suffix}`), { force: true });
    const before = [treeOf(box.volume), treeOf(box.replica)];
    const { exitStatus, output } = await box.run({ environment: { FLYSQLITE_REPLICA: "file:///replica/renamed" } });
    expect(output).toMatch(/E_CONFIG: .*"file:\/\/\/replica\/db".*"file:\/\/\/replica\/renamed" is empty/);
    expect(exitStatus).toBe(78);
    expect([treeOf(box.volume), treeOf(box.replica)]).toEqual(before);
  });

  it("a database's name that changed is refused beside the old one, and nothing is made", async () => {
    using box = boxOf(app);
    const [first] = await startAndCount(box, { environment: { FLYSQLITE_REPLICA: "file:///replica/dev.db" } });
    await first.stop();
    const before = [treeOf(box.volume), treeOf(box.replica)];
    writeFiles(box.app, prisma6('"file:./production.db"'));
    // As with a bucket, where the path follows from the database's name: it is empty.
    const renamed = { environment: { FLYSQLITE_REPLICA: "file:///replica/production.db" } };
    const { exitStatus, output } = await box.run(renamed);
    expect(output).toMatch(/E_CONFIG: Cannot make "\/data\/production\.db": this volume has "\/data\/dev\.db"/);
    expect(exitStatus).toBe(78);
    expect([treeOf(box.volume), treeOf(box.replica)]).toEqual(before);

    // The way out that is told.
    const told = await box.run({ ...renamed, words: ["run", "--dry", "--database", "file:/data/dev.db"] });
    expect(told.output).toMatch(/restore +nothing/);
  });

  it("a fresh database is not replicated over another one's history", async () => {
    using box = boxOf(app);
    const [first] = await startAndCount(box);
    await first.stop();
    box.loseVolume();
    const [fresh] = await startAndCount(box, { environment: { FLYSQLITE_REPLICA: "none" } });
    await fresh.stop();
    const replica = treeOf(box.replica);
    const { exitStatus, output } = await box.run();
    expect(output).toContain("E_DIVERGED");
    expect(exitStatus).toBe(65);
    expect(treeOf(box.replica)).toEqual(replica);
  });

  it("a volume put back from an older copy is not replicated over the newer replica", async () => {
    using box = boxOf(app);
    using copies = temporaryDirectory();
    const older = join(copies.path, "volume");
    const [first] = await startAndCount(box);
    await first.stop();
    cpSync(box.volume, older, { recursive: true, preserveTimestamps: true });
    const [second] = await startAndCount(box);
    await second.stop();

    box.loseVolume();
    cpSync(older, box.volume, { recursive: true, preserveTimestamps: true });
    const replica = treeOf(box.replica);
    const { exitStatus, output } = await box.run();
    expect(output).toMatch(/E_DIVERGED: .* older than its replica/);
    expect(exitStatus).toBe(65);
    expect(treeOf(box.replica)).toEqual(replica);

    // The way out that is told: with the older copy aside, the newer one is restored.
    box.loseVolume();
    const [third, count] = await startAndCount(box);
    expect(count).toEqual({ starts: 3, seeds: 0 });
    await third.stop();
  });
});
