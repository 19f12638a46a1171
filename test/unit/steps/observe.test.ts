import { spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Clock } from "../../../src/base/context.ts";
import type { FlysqliteError } from "../../../src/base/errors.ts";
import type { Log } from "../../../src/base/events.ts";
import { systemClock, systemRandom } from "../../../src/base/system.ts";
import { parseReplicaUrl, placeFromFly } from "../../../src/config/replica-place.ts";
import type { Settings } from "../../../src/config/settings.ts";
import type { Facts } from "../../../src/plan/facts.ts";
import type { Manifest } from "../../../src/prisma/manifest.ts";
import { loadDriver } from "../../../src/sqlite/load-driver.ts";
import { observe } from "../../../src/steps/observe.ts";
import { stateDirectory, unbornMark } from "../../../src/steps/places.ts";
import { createReplicaStore } from "../../../src/steps/replica-store.ts";
import { rollBackHotJournal } from "../../../src/steps/roll-back.ts";
import { writeUnfinished } from "../../../src/steps/unfinished.ts";
import { stepContext } from "../../support/step-context.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { firstStart, settings as usual } from "../plan/facts.ts";

const assets = { read: () => undefined };
const driver = loadDriver({ assets, temporaryDirectories: [], log: () => {} });

/** An app's directory and a volume. The database's url is "file:./app.db", literally. */
function world() {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const root = realpathSync(directory.path);
  const app = join(root, "app");
  const volume = join(root, "volume");
  for (const path of [app, volume]) mkdirSync(path);

  const look = (
    told: {
      readonly settings?: Partial<Settings>;
      readonly manifest?: Partial<Manifest>;
      readonly environment?: NodeJS.ProcessEnv;
      readonly signal?: AbortSignal;
      readonly clock?: Clock;
      readonly log?: Log;
      readonly isOffline?: boolean;
    } = {},
  ) => {
    const settings: Settings = {
      ...usual,
      appDirectory: app,
      volume: { value: volume, source: "--volume" },
      command: ["sh"],
      ...told.settings,
    };
    const environment = { PATH: "/usr/bin:/bin", ...told.environment };
    const world = { clock: told.clock ?? systemClock, random: systemRandom, log: told.log ?? (() => {}) };
    const context = stepContext({
      ...world,
      settings,
      environment,
      signal: told.signal ?? new AbortController().signal,
      replica: createReplicaStore({ ...world, settings, environment }),
      sqlite: () => driver,
      isOffline: told.isOffline ?? false,
    });
    const manifest: Manifest = { ...firstStart.manifest, migrations: [], ...told.manifest };
    const bundle = { manifest, source: "a test", migrations: async () => ({ migrations: [], lockFile: undefined }) };
    return observe(bundle, context);
  };
  const facts = async (told?: Parameters<typeof look>[0]): Promise<Facts> => {
    const found = await look(told);
    if ("manifest" in found) return found;
    throw new Error(found.map(({ code, message }) => `${code}: ${message}`).join("; "));
  };
  const problems = async (told?: Parameters<typeof look>[0]): Promise<readonly FlysqliteError[]> => {
    const found = await look(told);
    if ("manifest" in found) throw new Error("nothing was refused");
    return found;
  };
  return { root, app, volume, onVolume: join(volume, "app.db"), inApp: join(app, "app.db"), look, facts, problems };
}

/** A database with a few pages; in write-ahead-log mode its log is left beside it. */
async function makeDatabase(path: string, { wal = false } = {}): Promise<void> {
  writeFileSync(path, "");
  using connection = (await driver).open(path, { busyTimeoutMs: 0 });
  if (wal) connection.exec("PRAGMA journal_mode = WAL");
  connection.exec(
    "CREATE TABLE _prisma_migrations (migration_name, checksum, started_at, finished_at, rolled_back_at)",
  );
  if (!wal) return;
  // As an app leaves it that was killed.
  for (const suffix of ["", "-wal"]) copyFileSync(`${path}${suffix}`, `${path}.kept${suffix}`);
  connection.close();
  for (const suffix of ["", "-wal"]) copyFileSync(`${path}.kept${suffix}`, `${path}${suffix}`);
}

const refusal = (code: string, text: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(text) as string });

describe("observe", () => {
  it("finds an empty volume, and what the start is to be", async () => {
    const { app, volume, onVolume, inApp, facts } = world();
    expect(await facts()).toEqual({
      manifest: { ...firstStart.manifest, migrations: [] },
      manifestSource: "a test",
      volume: { path: volume, source: "--volume", isMountPoint: false },
      url: { path: inApp, fileName: "app.db", source: "the schema", variable: undefined },
      database: { path: onVolume, state: "absent", sizeBytes: 0, orphans: [] },
      entry: { kind: "nothing" },
      canLink: true,
      replica: undefined,
      state: undefined,
      litestream: undefined,
      unborn: false,
      migrations: undefined,
      command: { file: expect.stringMatching(/\/sh$/), arguments: [], environment: {}, source: "the command line" },
    });
    expect([readdirSync(app), readdirSync(volume)]).toEqual([[], []]);
  });

  it("finds a database, what its migrations need, and that nothing of it was changed", async () => {
    const { onVolume, facts } = world();
    await makeDatabase(onVolume);
    const before = readFileSync(onVolume);
    const found = await facts();
    expect(found.database).toEqual({
      path: onVolume,
      state: "present",
      sizeBytes: statSync(onVolume).size,
      orphans: [],
    });
    expect(found.migrations).toEqual({ kind: "up-to-date", changed: [], unknown: [] });
    expect(readFileSync(onVolume)).toEqual(before);
  });

  it("tells everything that is wrong, not only the first", async () => {
    const { problems, root } = world();
    const found = await problems({
      settings: {
        volume: { value: join(root, "nowhere"), source: "--volume" },
        replica: { value: { kind: "file", path: join(root, "not/mounted") }, source: "--replica" },
        command: ["no-such-program"],
      },
      manifest: { database: { variable: "DATABASE_URL", baseDirectory: "." } },
    });
    expect(found.map(({ code }) => code)).toEqual([
      "E_COMMAND_NOT_FOUND",
      "E_CONFIG",
      "E_VOLUME",
      "E_REPLICA_UNREACHABLE",
    ]);
  });

  it("tells what is wrong with a replica also where it can't tell which database is meant", async () => {
    const { problems, root } = world();
    const manifest = { database: { variable: "DATABASE_URL", baseDirectory: "." } };
    const file = { value: { kind: "file" as const, path: join(root, "not/mounted") }, source: "--replica" };
    expect(await problems({ manifest, settings: { replica: file } })).toEqual([
      refusal("E_CONFIG", "DATABASE_URL"),
      refusal("E_REPLICA_UNREACHABLE", "not/mounted"),
    ]);
  });

  it("asks no bucket where there must be no network, and a directory all the same", async () => {
    const { facts, root } = world();
    const bucket = placeFromFly({ BUCKET_NAME: "shop", AWS_ENDPOINT_URL_S3: "http://127.0.0.1:9" });
    if (bucket === undefined) throw new Error("there is no bucket");
    const asked = { replica: { value: bucket, source: "BUCKET_NAME" } };
    const { replica, lease, unasked } = await facts({ settings: asked, isOffline: true });
    expect([replica, lease]).toEqual([undefined, undefined]);
    expect(unasked).toEqual({ address: expect.stringMatching(/^s3:\/\/shop\/.*app\.db/), source: "BUCKET_NAME" });

    const file = { value: { kind: "file" as const, path: join(root, "replica") }, source: "--replica" };
    const near = await facts({ settings: { replica: file }, isOffline: true });
    expect(near).toMatchObject({ replica: { files: [] } });
    expect(near.unasked).toBeUndefined();
  });

  it("does not look for a replica whose path follows from a database that it can't tell", async () => {
    const { problems } = world();
    const value = placeFromFly({ BUCKET_NAME: "shop", AWS_ENDPOINT_URL_S3: "http://127.0.0.1:9" });
    if (value === undefined) throw new Error("it names no bucket");
    const manifest = { database: { variable: "DATABASE_URL", baseDirectory: "." } };
    const settings = { replica: { value, source: "BUCKET_NAME" } };
    expect(await problems({ manifest, settings })).toEqual([refusal("E_CONFIG", "DATABASE_URL")]);
  });

  it("never takes an unreachable replica for an empty one", async () => {
    const { problems, facts, root } = world();
    const replica = (path: string) => ({
      settings: { replica: { value: { kind: "file" as const, path: join(root, path) }, source: "--replica" } },
    });
    expect(await problems(replica("not/mounted"))).toEqual([refusal("E_REPLICA_UNREACHABLE", "not/mounted")]);
    expect((await facts(replica("empty"))).replica).toMatchObject({ files: [], databaseId: undefined });
  });

  it("waits for a replica that never answers no longer than its time, and does not take it for an empty one", async () => {
    const { problems } = world();
    await using silent = createServer((socket) => socket.on("error", () => {}).resume());
    await once(silent.listen(0, "127.0.0.1"), "listening");
    const { port } = silent.address() as AddressInfo;
    const value = parseReplicaUrl(`s3://shop/db?endpoint=http://127.0.0.1:${port}`, {
      workingDirectory: "/",
      environment: {},
    });
    if (value === "none") throw new Error("it names no bucket");
    // 1000 times as fast, as far as waiting goes.
    const sleep: Clock["sleep"] = (ms, options) => systemClock.sleep(ms / 1000, options);
    const told: string[] = [];
    const found = await problems({
      settings: { replica: { value, source: "--replica" } },
      environment: { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret" },
      clock: { ...systemClock, sleep },
      log: ({ level, text }) => level !== "debug" && told.push(text),
    });
    expect(found).toEqual([refusal("E_REPLICA_UNREACHABLE", "no whole answer within")]);
    expect(told).toEqual([expect.stringMatching(/^s3:\/\/shop\/db\?endpoint=\S+: no answer yet/)]);
  });

  it("ends with the reason where it is told to stop", async () => {
    const { look, root } = world();
    const reason = new Error("stopped");
    const replica = { value: { kind: "file" as const, path: join(root, "backup") }, source: "--replica" };
    await expect(look({ signal: AbortSignal.abort(reason), settings: { replica } })).rejects.toBe(reason);
  });
});

describe("observe on the volume", () => {
  it.each([
    ["not there", (path: string) => path, "there is no"],
    [
      "a file",
      (path: string) => {
        writeFileSync(path, "");
        return path;
      },
      "it is not a directory",
    ],
    [
      "below a file",
      (path: string) => {
        writeFileSync(path, "");
        return join(path, "volume");
      },
      "Cannot",
    ],
    [
      "a link to nowhere",
      (path: string) => {
        symlinkSync("/flysqlite-test-nowhere", path);
        return path;
      },
      "there is no",
    ],
  ])("refuses one that is %s", async (_, make, text) => {
    const { root, problems } = world();
    const value = make(join(root, "vol"));
    expect(await problems({ settings: { volume: { value, source: "--volume" } } })).toEqual([
      refusal("E_VOLUME", text),
    ]);
  });

  it("takes one that is reached by a link by its real name", async () => {
    const { root, volume, facts } = world();
    symlinkSync(volume, join(root, "by-link"));
    const found = await facts({ settings: { volume: { value: join(root, "by-link"), source: "--volume" } } });
    expect(found.volume.path).toBe(volume);
    expect(found.database.path).toBe(join(volume, "app.db"));
  });

  const canMount = spawnSync("unshare", ["-m", "true"]).status === 0;

  it.runIf(canMount)("refuses one that is mounted read-only", () => {
    const { volume, app } = world();
    writeFileSync(join(app, "package.json"), '{ "dependencies": { "prisma": "6.19.0" } }');
    mkdirSync(join(app, "prisma/migrations/1_init"), { recursive: true });
    writeFileSync(join(app, "prisma/migrations/1_init/migration.sql"), "CREATE TABLE a (b);");
    writeFileSync(join(app, "prisma/migrations/migration_lock.toml"), 'provider = "sqlite"');
    const schema = 'datasource db {\n  provider = "sqlite"\n  url = "file:./app.db"\n}\n';
    writeFileSync(join(app, "prisma/schema.prisma"), schema);
    const main = join(import.meta.dirname, "../../../src/main.ts");
    const script = 'mount -t tmpfs -o ro none "$1" && cd "$2" && exec "$0" "$3" run --dry --volume "$1" true';
    const { stderr, status } = spawnSync("unshare", ["-m", "sh", "-c", script, process.execPath, volume, app, main], {
      encoding: "utf8",
      env: { PATH: process.env["PATH"] },
    });
    expect(stderr).toContain("it is mounted read-only");
    expect(status).toBe(72);
  });

  it.skipIf(process.getuid?.() === 0)("refuses one that belongs to somebody else", async () => {
    const { volume, problems } = world();
    chmodSync(volume, 0o500);
    expect(await problems()).toEqual([refusal("E_VOLUME", "Cannot write to the volume")]);
    chmodSync(volume, 0o700);
  });
});

describe("observe on the database", () => {
  it("takes a file of no bytes for none, as a crashed first open leaves it", async () => {
    const { onVolume, facts } = world();
    writeFileSync(onVolume, "");
    expect(await facts()).toMatchObject({ database: { state: "empty", sizeBytes: 0 }, migrations: undefined });
  });

  it.each(["absent", "empty"])("finds what a lost database left behind where the file is %s", async (state) => {
    const { onVolume, facts } = world();
    if (state === "empty") writeFileSync(onVolume, "");
    for (const suffix of ["-wal", "-shm", "-journal", "-other"]) writeFileSync(`${onVolume}${suffix}`, "x");
    const orphans = ["-wal", "-shm", "-journal"].map((suffix) => `${onVolume}${suffix}`);
    expect((await facts()).database.orphans).toEqual(orphans);
  });

  it("finds other databases beside one that is not there, where flysqlite keeps them", async () => {
    const { onVolume, facts } = world();
    const beside = (name: string) => join(dirname(onVolume), name);
    const keeps = (name: string, ...files: readonly string[]) => {
      mkdirSync(stateDirectory(beside(name)));
      for (const file of files) writeFileSync(join(stateDirectory(beside(name)), file), "");
    };
    keeps("here.db");
    await makeDatabase(beside("here.db"));
    keeps("lost.db", "replication.json"); // replicated, so that it was once there
    keeps("never-finished.db", "unborn");
    keeps("never-begun.db", "lock");
    await makeDatabase(beside("someone-elses.db"));
    expect((await facts()).database.others?.toSorted()).toEqual([beside("here.db"), beside("lost.db")]);
    await makeDatabase(onVolume);
    expect((await facts()).database.others).toBeUndefined();
  });

  it("takes the log of a database that is there for its own", async () => {
    const { onVolume, facts } = world();
    await makeDatabase(onVolume, { wal: true });
    expect((await facts()).database.orphans).toEqual([]);
  });

  it.each([
    ["is text", (path: string) => writeFileSync(path, "hello"), "5 bytes"],
    ["is encrypted, or no database", (path: string) => writeFileSync(path, "x".repeat(4096)), "header"],
    ["says an impossible page size", (path: string) => patch(path, 16, [0x12, 0x34]), "page size"],
    ["is cut short", (path: string) => truncateSync(path, statSync(path).size - 1), "its header says"],
    ["is cut to its first page", (path: string) => truncateSync(path, 4096), "its header says"],
    ["has a damaged schema", (path: string) => patch(path, 100, [0xff, 0xff, 0xff]), "quick_check finds it damaged"],
  ])("refuses a file that %s, and leaves it as it is", async (_, damage, text) => {
    const { onVolume, problems } = world();
    await makeDatabase(onVolume);
    damage(onVolume);
    const before = readFileSync(onVolume);
    expect(await problems()).toEqual([refusal("E_DB_INVALID", text)]);
    expect(readFileSync(onVolume)).toEqual(before);
  });

  it("lets a file be shorter than its header says where a log holds the rest", async () => {
    const { onVolume, facts } = world();
    await makeDatabase(onVolume, { wal: true });
    expect(await facts()).toMatchObject({ database: { state: "present" }, migrations: { kind: "up-to-date" } });
  });

  it("lets a file be shorter than its header says where a journal puts back what was before", async () => {
    const { onVolume, facts } = world();
    await makeDatabase(onVolume);
    {
      copyFileSync(onVolume, `${onVolume}.open`);
      using database = new DatabaseSync(`${onVolume}.open`);
      database.exec("PRAGMA cache_size = 2; BEGIN; CREATE TABLE large (content)");
      const insert = database.prepare("INSERT INTO large VALUES (zeroblob(3000))");
      for (let i = 0; i < 50; i += 1) insert.run();
      for (const suffix of ["", "-journal"]) copyFileSync(`${onVolume}.open${suffix}`, `${onVolume}${suffix}`);
    }
    patch(onVolume, 28, [0, 0, 1, 0]); // as a commit writes it before the last pages
    rollBackHotJournal(onVolume, await driver); // as a start does first
    expect(await facts()).toMatchObject({ database: { state: "present" }, migrations: { kind: "up-to-date" } });
    expect(existsSync(`${onVolume}-journal`)).toBe(false);
  });

  it.each([
    ["a directory", (path: string) => mkdirSync(path), "is not a regular file"],
    ["a link", (path: string) => symlinkSync("/elsewhere.db", path), "is not a regular file"],
    [
      "a file with two names",
      (path: string) => {
        writeFileSync(`${path}.other`, "");
        linkSync(`${path}.other`, path);
      },
      "has several names",
    ],
  ])("refuses %s in its place on the volume", async (_, make, text) => {
    const { onVolume, problems } = world();
    make(onVolume);
    expect(await problems()).toEqual([refusal("E_VOLUME", text)]);
  });

  it("finds that making it was not finished, and then does not look into it", async () => {
    const { onVolume, facts } = world();
    await makeDatabase(onVolume);
    mkdirSync(stateDirectory(onVolume));
    writeFileSync(unbornMark(onVolume), "");
    truncateSync(onVolume, 4096); // as a kill may leave it
    expect(await facts()).toMatchObject({ unborn: true, migrations: undefined });
  });

  describe("that an earlier start left unfinished", () => {
    const change = {
      names: ["1_init"],
      digest: "",
      point: { kind: "copy", path: "/nowhere" },
      startedMs: 0,
      wasWal: true,
    } as const;

    it("is told, and not looked into where it is half migrated", async () => {
      const { onVolume, facts } = world();
      await makeDatabase(onVolume);
      mkdirSync(stateDirectory(onVolume));
      await writeUnfinished(onVolume, { ...change, phase: "migrate", isNew: false });
      expect(await facts()).toMatchObject({
        unborn: false,
        unfinished: { what: "migrate", names: ["1_init"], isNew: false },
        migrations: undefined,
      });
    });

    it("is told where only its seed is to come, and made anew where it lacks migrations", async () => {
      const { onVolume, facts } = world();
      await makeDatabase(onVolume);
      mkdirSync(stateDirectory(onVolume));
      await writeUnfinished(onVolume, { ...change, phase: "seed", isNew: true });
      const found = await facts();
      expect(found).toMatchObject({ unborn: false, unfinished: { what: "seed" }, migrations: { kind: "up-to-date" } });
      {
        using connection = (await driver).open(onVolume, { busyTimeoutMs: 0 });
        connection.exec("DROP TABLE _prisma_migrations");
      }
      expect(await facts()).toMatchObject({ unborn: true, unfinished: undefined, migrations: undefined });
    });

    it("is nothing where only its journal mode is to be set", async () => {
      const { onVolume, facts } = world();
      await makeDatabase(onVolume);
      mkdirSync(stateDirectory(onVolume));
      await writeUnfinished(onVolume, { phase: "leave WAL" });
      expect((await facts()).unfinished).toBeUndefined();
    });
  });

  it("finds what Litestream left beside it", async () => {
    const { onVolume, volume, facts } = world();
    await makeDatabase(onVolume);
    const directory = join(volume, ".app.db-litestream");
    mkdirSync(join(directory, "ltx/0"), { recursive: true });
    expect((await facts()).litestream).toBeUndefined();
    for (const name of ["0000000000000001-0000000000000003.ltx", "0000000000000004-000000000000000a.ltx", "x.tmp"])
      writeFileSync(join(directory, "ltx/0", name), "");
    expect((await facts()).litestream).toEqual({ generation: undefined, lastTxid: 10n });
    writeFileSync(join(directory, "generation"), "0123456789abcdef\n");
    expect((await facts()).litestream).toEqual({ generation: "0123456789abcdef", lastTxid: 10n });
    writeFileSync(join(directory, "generation"), "");
    expect((await facts()).litestream).toEqual({ generation: undefined, lastTxid: 10n });
  });

  it("finds what its migrations say against a start", async () => {
    const { onVolume, facts } = world();
    await makeDatabase(onVolume);
    {
      using connection = (await driver).open(onVolume, { busyTimeoutMs: 0 });
      connection.exec("INSERT INTO _prisma_migrations VALUES ('1_init', 'x', 0, NULL, NULL)");
    }
    expect((await facts()).migrations).toMatchObject({ kind: "refused", code: "P3009" });
  });
});

describe("observe on the place in the app's tree", () => {
  it.each([
    ["nothing", () => {}, { kind: "nothing" }],
    ["an empty file", (path: string) => writeFileSync(path, ""), { kind: "file", sizeBytes: 0, sameAsDatabase: false }],
    ["a directory", (path: string) => mkdirSync(path), { kind: "directory" }],
    [
      "a link elsewhere",
      (path: string) => symlinkSync("/else/where.db", path),
      { kind: "link", target: "/else/where.db" },
    ],
    [
      "a file with two names",
      (path: string) => {
        writeFileSync(`${path}.other`, "");
        linkSync(`${path}.other`, path);
      },
      { kind: "hard link" },
    ],
    ["a pipe", (path: string) => spawnSync("mkfifo", [path]), { kind: "other" }],
  ])("finds %s", async (_, make, entry) => {
    const { inApp, facts } = world();
    make(inApp);
    expect((await facts()).entry).toEqual(entry);
  });

  it("knows its own link, also by way of another name of the volume, and before the database is there", async () => {
    const { inApp, root, volume, onVolume, facts } = world();
    symlinkSync(volume, join(root, "by-link"));
    symlinkSync("../by-link/app.db", inApp);
    expect((await facts()).entry).toEqual({ kind: "link", target: onVolume });
  });

  it("knows a copy of the database, and a file that only looks like one", async () => {
    const { inApp, onVolume, facts } = world();
    await makeDatabase(onVolume);
    copyFileSync(onVolume, inApp);
    expect((await facts()).entry).toMatchObject({ kind: "file", sameAsDatabase: true });
    patch(inApp, 4000, [1]);
    expect((await facts()).entry).toMatchObject({ kind: "file", sameAsDatabase: false });
    appendFileSync(inApp, "x");
    expect((await facts()).entry).toMatchObject({ kind: "file", sameAsDatabase: false });
  });

  it.each(["-wal", "-journal"])("takes no file for a copy that has a %s of its own with more in it", async (suffix) => {
    const { inApp, onVolume, facts } = world();
    await makeDatabase(onVolume);
    copyFileSync(onVolume, inApp);
    writeFileSync(`${inApp}${suffix}`, "");
    expect((await facts()).entry).toMatchObject({ sameAsDatabase: true });
    writeFileSync(`${inApp}${suffix}`, "commits");
    expect((await facts()).entry).toMatchObject({ sameAsDatabase: false });
  });

  it("finds the only database there is, where it is a sound one", async () => {
    const { inApp, facts, problems } = world();
    await makeDatabase(inApp);
    expect(await facts()).toMatchObject({
      database: { state: "absent" },
      entry: { kind: "file", sameAsDatabase: false },
    });
    writeFileSync(inApp, "hello");
    expect(await problems()).toEqual([refusal("E_DB_INVALID", inApp)]);
  });

  it("does not mind a file that is no database where the app is told another one", async () => {
    const { inApp, facts } = world();
    writeFileSync(inApp, "hello");
    const manifest = { database: { variable: "DATABASE_URL", baseDirectory: "." } };
    const found = await facts({ manifest, environment: { DATABASE_URL: "file:./app.db" } });
    expect(found).toMatchObject({ url: { source: "DATABASE_URL", variable: "DATABASE_URL" } });
  });
});

describe("observe on a url that leads to the volume", () => {
  const literal = (path: string) => ({ manifest: { database: { literal: `file:${path}`, baseDirectory: "." } } });

  it("finds it there, directly and by a link to its directory", async () => {
    const { root, app, volume, onVolume, facts } = world();
    expect(await facts(literal(onVolume))).toMatchObject({ entry: "on the volume", database: { path: onVolume } });
    symlinkSync(volume, join(app, "data"));
    expect(await facts(literal("./data/app.db"))).toMatchObject({
      entry: "on the volume",
      database: { path: onVolume },
    });
    symlinkSync(volume, join(root, "by-link"));
    expect(await facts(literal(join(root, "by-link/deep/er/app.db")))).toMatchObject({
      entry: "on the volume",
      database: { path: join(volume, "deep/er/app.db"), state: "absent" },
    });
  });

  it("does not take a name that begins like the volume's for being on it", async () => {
    const { volume, facts } = world();
    expect((await facts(literal(`${volume}2/app.db`))).entry).toEqual({ kind: "nothing" });
    expect((await facts(literal(`${volume}/../app/app.db`))).entry).toEqual({ kind: "nothing" });
    expect((await facts(literal(`${volume}/..app.db`))).entry).toBe("on the volume");
  });
});

/** Puts bytes at an offset of a file. */
function patch(path: string, offset: number, bytes: readonly number[]): void {
  const content = readFileSync(path);
  content.set(bytes, offset);
  writeFileSync(path, content);
}
