import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FlysqliteError } from "../../../src/base/errors.ts";
import { FLAGS, readSettings, SWITCHES, type Told } from "../../../src/config/settings.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

/** A directory that is not there, so that no litestream.yml is found in it. */
const NOWHERE = "/flysqlite-test-nowhere";

const read = (told: Partial<Told>) =>
  readSettings({ flags: {}, command: [], environment: {}, workingDirectory: NOWHERE, ...told });

async function problems(told: Partial<Told>): Promise<readonly string[]> {
  try {
    await read(told);
  } catch (error) {
    if (error instanceof FlysqliteError && error.code === "E_CONFIG") return error.problems;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("readSettings", () => {
  it("has a default for all that must have one", async () => {
    expect(await read({ command: ["node", "server.js"] })).toEqual({
      appDirectory: NOWHERE,
      volume: undefined,
      databaseUrl: undefined,
      replica: undefined,
      syncIntervalMs: { value: 1000, source: "default" },
      levels: {
        intervalsMs: [30_000, 300_000, 3_600_000],
        snapshotIntervalMs: 86_400_000,
        snapshotRetentionMs: 86_400_000,
        uploadRetentionMs: 300_000,
        uploadRetentionCheckMs: 15_000,
        deletes: true,
      },
      stopTimeoutMs: { value: 4500, source: "default" },
      seedTimeoutMs: { value: 600_000, source: "default" },
      seed: undefined,
      onMigrationFailure: { value: "rollback", source: "default" },
      hooks: { "before-migrate": undefined, "after-migrate": undefined, "before-launch": undefined },
      hookTimeoutMs: { value: 600_000, source: "default" },
      fence: { value: "auto", source: "default" },
      onStaleVolume: { value: "refuse", source: "default" },
      log: { value: "text", source: "default" },
      restart: { value: "never", source: "default" },
      shareAws: { value: true, source: "default" },
      keepPackageManager: { value: false, source: "default" },
      command: ["node", "server.js"],
      notes: [],
    });
  });

  it("reads every flag, each also as a variable of its name", async () => {
    const told = {
      volume: "vol",
      database: "file:./app.db",
      replica: "file:///backup/app",
      "sync-interval": "2s",
      "stop-timeout": "9s",
      seed: "node seed.js",
      "seed-timeout": "1m",
      "on-migration-failure": "keep",
      "before-migrate": "node before.js",
      "after-migrate": "node after.js",
      "before-launch": "node launch.js",
      "hook-timeout": "3s",
      fence: "required",
      "on-stale-volume": "restore",
      log: "json",
      restart: "on-failure",
      "share-aws": "off",
      "keep-package-manager": "on",
    };
    /** PID 1 itself acts on these, before anything else is read. */
    const ofSupervisor = ["user", "swap"];
    const expected = (source: (name: string) => string) => ({
      volume: { value: join(NOWHERE, "vol"), source: source("volume") },
      databaseUrl: { value: "file:./app.db", source: source("database") },
      replica: { value: { kind: "file", path: "/backup/app" }, source: source("replica") },
      syncIntervalMs: { value: 2000, source: source("sync-interval") },
      stopTimeoutMs: { value: 9000, source: source("stop-timeout") },
      seedTimeoutMs: { value: 60_000, source: source("seed-timeout") },
      seed: { value: "node seed.js", source: source("seed") },
      onMigrationFailure: { value: "keep", source: source("on-migration-failure") },
      hooks: {
        "before-migrate": { value: "node before.js", source: source("before-migrate") },
        "after-migrate": { value: "node after.js", source: source("after-migrate") },
        "before-launch": { value: "node launch.js", source: source("before-launch") },
      },
      hookTimeoutMs: { value: 3000, source: source("hook-timeout") },
      fence: { value: "required", source: source("fence") },
      onStaleVolume: { value: "restore", source: source("on-stale-volume") },
      log: { value: "json", source: source("log") },
      restart: { value: "on-failure", source: source("restart") },
      shareAws: { value: false, source: source("share-aws") },
      keepPackageManager: { value: true, source: source("keep-package-manager") },
    });
    const variable = (name: string) => `FLYSQLITE_${name.toUpperCase().replaceAll("-", "_")}`;
    const environment = Object.fromEntries(Object.entries(told).map(([name, value]) => [variable(name), value]));
    expect(await read({ flags: told })).toMatchObject(expected((name) => `--${name}`));
    expect(await read({ environment })).toMatchObject(expected(variable));
    expect([...FLAGS, ...SWITCHES].sort()).toEqual([...Object.keys(told), ...ofSupervisor, "config"].sort());
  });

  it("takes how levels are kept from litestream.yml, each key by itself", async () => {
    using directory = temporaryDirectory();
    writeFileSync(join(directory.path, "litestream.yml"), "levels: [{interval: 1m}]\nl0-retention: 1h\n");
    expect((await read({ workingDirectory: directory.path })).levels).toEqual({
      intervalsMs: [60_000],
      snapshotIntervalMs: 86_400_000,
      snapshotRetentionMs: 86_400_000,
      uploadRetentionMs: 3_600_000,
      uploadRetentionCheckMs: 15_000,
      deletes: true,
    });
  });

  it("tells every problem at once, each with its source", async () => {
    const found = await problems({
      flags: {
        volume: " ",
        "stop-timeout": "soon",
        "on-migration-failure": "panic",
        fence: "on",
        "on-stale-volume": "keep",
        log: "xml",
      },
      environment: {
        FLYSQLITE_SEED: "",
        FLYSQLITE_SYNC_INTERVAL: "0s",
        FLYSQLITE_REPLICA: "gs://bucket/db",
        FLYSQLITE_VOLUMES: "/data",
      },
    });
    expect(found).toEqual([
      expect.stringMatching(
        /^FLYSQLITE_VOLUMES: no such setting; there are FLYSQLITE_AFTER_MIGRATE, FLYSQLITE_BEFORE_/,
      ),
      "--volume: it is empty",
      'FLYSQLITE_REPLICA: a replica at "gs:": there are file:// and s3://',
      'FLYSQLITE_SYNC_INTERVAL: "0s" is not between 1ms and 596h',
      '--stop-timeout: "soon" is no duration such as 500ms, 10s or 1h30m',
      "FLYSQLITE_SEED: it is empty",
      '--on-migration-failure: "panic" is none of rollback, keep',
      '--fence: "on" is none of auto, required, off',
      '--on-stale-volume: "keep" is none of refuse, restore',
      '--log: "xml" is none of text, json, quiet, debug',
    ]);
  });

  it.each(["FLYSQLITE_", "FLYSQLITE_Volume", "FLYSQLITE_DRY", "FLYSQLITE_REPLICA_URL"])(
    "refuses the variable %s, which would silently not hold",
    async (name) => {
      expect(await problems({ environment: { [name]: "1" } })).toEqual([expect.stringContaining(`${name}: no such`)]);
    },
  );

  it("passes over variables of others", async () => {
    await expect(read({ environment: { FLY_REGION: "ams", DATABASE_URL: "file:./a.db" } })).resolves.toBeDefined();
  });
});

describe("readSettings, of what is no setting", () => {
  it("passes over the socket that a keeper tells its app, which may start us again", async () => {
    const environment = { FLYSQLITE_SOCKET: "/data/.app.db-flysqlite/control.sock" };
    expect(await read({ environment })).toEqual(await read({}));
  });

  it("still refuses what is only like it", async () => {
    expect(await problems({ environment: { FLYSQLITE_SOCKETS: "x" } })).toEqual([
      expect.stringMatching(/^FLYSQLITE_SOCKETS: no such setting/),
    ]);
  });

  it("remembers the database of litestream.yml, for who replicates it where it is", async () => {
    using directory = temporaryDirectory();
    const yml = "dbs:\n  - path: /srv/app.db\n    replica:\n      path: /backup/app\n";
    writeFileSync(join(directory.path, "litestream.yml"), yml);
    const { litestreamPath, replica } = await read({ workingDirectory: directory.path });
    expect(litestreamPath?.value).toBe("/srv/app.db");
    expect(litestreamPath?.source).toMatch(/litestream\.yml:2$/);
    expect(replica?.value).toEqual({ kind: "file", path: "/backup/app" });
  });
});

describe("readSettings, where several sources say something", () => {
  it("prefers flags to variables, variables to litestream.yml, and that to defaults", async () => {
    using directory = temporaryDirectory();
    const yml = join(directory.path, "litestream.yml");
    writeFileSync(yml, "sync-interval: 4s\ndbs:\n  - path: /a\n    replica: {path: /from-yml}\n");
    const here = { workingDirectory: directory.path };
    const variables = { FLYSQLITE_REPLICA: "/from-variable", FLYSQLITE_SYNC_INTERVAL: "3s" };
    const flags = { replica: "/from-flag", "sync-interval": "2s" };

    expect(await read(here)).toMatchObject({
      replica: { value: { path: "/from-yml" }, source: `${yml}:4` },
      syncIntervalMs: { value: 4000, source: `${yml}:1` },
    });
    expect(await read({ ...here, environment: variables })).toMatchObject({
      replica: { value: { path: "/from-variable" }, source: "FLYSQLITE_REPLICA" },
      syncIntervalMs: { value: 3000, source: "FLYSQLITE_SYNC_INTERVAL" },
    });
    expect(await read({ ...here, environment: variables, flags })).toMatchObject({
      replica: { value: { path: "/from-flag" }, source: "--replica" },
      syncIntervalMs: { value: 2000, source: "--sync-interval" },
    });
  });

  it("reads the litestream.yml that is named first: by --config, FLYSQLITE_CONFIG, LITESTREAM_CONFIG", async () => {
    using directory = temporaryDirectory();
    for (const name of ["flag", "ours", "theirs"]) {
      writeFileSync(join(directory.path, `${name}.yml`), `dbs:\n  - path: /a\n    replica: {path: /${name}}\n`);
    }
    writeFileSync(join(directory.path, "litestream.yml"), "dbs:\n  - path: /a\n    replica: {path: /found}\n");
    const workingDirectory = directory.path;
    const replicaPath = async (told: Partial<Told>) => {
      const replica = (await read({ ...told, workingDirectory })).replica?.value;
      return replica?.kind === "file" ? replica.path : replica;
    };

    const environment = { FLYSQLITE_CONFIG: "ours.yml", LITESTREAM_CONFIG: "theirs.yml" };
    expect(await replicaPath({ environment, flags: { config: "flag.yml" } })).toBe("/flag");
    expect(await replicaPath({ environment })).toBe("/ours");
    expect(await replicaPath({ environment: { LITESTREAM_CONFIG: "theirs.yml" } })).toBe("/theirs");
    expect(await replicaPath({})).toBe("/found");
  });

  it("hands on what litestream.yml sets without effect", async () => {
    using directory = temporaryDirectory();
    writeFileSync(join(directory.path, "litestream.yml"), "addr: :9090\n");
    const { notes } = await read({ workingDirectory: directory.path });
    expect(notes).toEqual([expect.stringContaining('litestream.yml:1: "addr" is not followed')]);
  });

  it.each([
    ["a file that is not there", { flags: { config: "/nowhere/litestream.yml" } }, "--config: cannot read"],
    ["a directory", { environment: { LITESTREAM_CONFIG: "/" } }, "LITESTREAM_CONFIG: cannot read"],
  ])("refuses a litestream.yml that is named and is %s", async (_, told, problem) => {
    expect(await problems(told)).toEqual([expect.stringContaining(problem)]);
  });

  it("tells the problems of litestream.yml with the others", async () => {
    using directory = temporaryDirectory();
    const yml = join(directory.path, "litestream.yml");
    writeFileSync(
      yml,
      "dsb:\ndbs:\n  - path: /a\n    replica: {url: gs://bucket}\n  - path: /b\n    replica: {path: /c}\n",
    );
    expect(await problems({ workingDirectory: directory.path, flags: { log: "xml" } })).toEqual([
      `${yml}:1: "dsb" is no key of litestream.yml`,
      `${yml}:5: this release replicates one database, and more are named`,
      `${yml}:4: a replica at "gs:": there are file:// and s3://`,
      expect.stringContaining("--log:"),
    ]);
  });
});

describe("readSettings on the replica", () => {
  const replica = async (text: string) => (await read({ flags: { replica: text } })).replica?.value;

  it.each([
    ["file:///backup/app", "/backup/app"],
    ["file:///backup/app/", "/backup/app"],
    ["file:///with%20space", "/with space"],
    ["file://localhost/backup", "/backup"],
    ["file:/backup/app", "/backup/app"],
    ["file:backup", `${NOWHERE}/backup`],
    ["/backup/app", "/backup/app"],
    ["./backup", `${NOWHERE}/backup`],
  ])("reads %s", async (text, path) => {
    expect(await replica(text)).toEqual({ kind: "file", path });
  });

  it.each(["/", "file:///", "file:/", "file:///a/..", "//", "", " ", "file:", "file://"])(
    "refuses %j, a whole file system or nothing",
    async (text) => {
      expect(await problems({ flags: { replica: text } })).toHaveLength(1);
    },
  );

  it("reads a place in a bucket, which the environment completes", async () => {
    const environment = { AWS_ENDPOINT_URL_S3: "https://fly.storage.tigris.dev", AWS_REGION: "auto" };
    const { replica } = await read({ flags: { replica: "s3://shop/a/b" }, environment });
    expect(replica).toEqual({
      value: {
        kind: "s3",
        place: {
          kind: "s3",
          bucket: "shop",
          prefix: "a/b",
          endpoint: "https://fly.storage.tigris.dev",
          region: "auto",
          pathStyle: false,
          insecure: false,
        },
        credentials: undefined,
        pathByName: false,
      },
      source: "--replica",
    });
  });

  it.each([
    ...["s3://id:secret@bucket/db", "s3://bucket/db?endpoint=http://bucket.example", "s3://bucket/db?skipVerify=true"],
    ...["gs://bucket", "sftp://me:secret@host/db", "file://other-host/backup", "file:///a%2Fb"],
  ])("refuses %s, and does not repeat what may be a password", async (text) => {
    const [problem] = await problems({ flags: { replica: text } });
    expect(problem).toMatch(/^--replica: /);
    expect(problem).not.toContain("secret");
  });

  it("has none where it is told so, whatever else says there is one", async () => {
    using directory = temporaryDirectory();
    writeFileSync(join(directory.path, "litestream.yml"), "dbs:\n  - path: /a\n    replica: {path: /b}\n");
    const environment = { FLYSQLITE_REPLICA: "none", BUCKET_NAME: "shop" };
    const settings = await read({ environment, workingDirectory: directory.path });
    expect(settings.replica).toBeUndefined();
  });

  const companions = {
    AWS_ENDPOINT_URL_S3: "https://fly.storage.tigris.dev",
    AWS_ACCESS_KEY_ID: "id",
    AWS_SECRET_ACCESS_KEY: "canary-secret",
  };

  it("is the bucket that Fly's variables name, where nothing else says where", async () => {
    const environment = { BUCKET_NAME: "shop", AWS_REGION: "auto", ...companions };
    expect((await read({ environment })).replica).toEqual({
      value: {
        kind: "s3",
        place: {
          kind: "s3",
          bucket: "shop",
          prefix: ".",
          endpoint: "https://fly.storage.tigris.dev",
          region: "auto",
          pathStyle: false,
          insecure: false,
        },
        credentials: undefined,
        pathByName: true,
      },
      source: "BUCKET_NAME",
    });
  });

  it("follows litestream.yml into the same bucket by the path that stands there", async () => {
    using directory = temporaryDirectory();
    const yml = join(directory.path, "litestream.yml");
    const lines = [
      "dbs:",
      "  - path: /data/dev.db",
      "    replicas:",
      "      - type: s3",
      "        endpoint: $AWS_ENDPOINT_URL_S3",
      "        bucket: $BUCKET_NAME",
      "        path: litestream/other.db",
      "        access-key-id: $AWS_ACCESS_KEY_ID",
      "        secret-access-key: $AWS_SECRET_ACCESS_KEY",
    ];
    writeFileSync(yml, lines.join("\n"));
    const environment = { BUCKET_NAME: "shop", ...companions };
    const { replica, notes } = await read({ environment, workingDirectory: directory.path });
    expect(replica).toMatchObject({
      value: {
        kind: "s3",
        place: { bucket: "shop", prefix: "litestream/other.db", endpoint: "https://fly.storage.tigris.dev" },
        credentials: { accessKeyId: "id", secretAccessKey: "canary-secret" },
        pathByName: false,
      },
      source: `${yml}:4`,
    });
    expect(notes).toEqual([]);
  });

  it.each([
    ["an endpoint without TLS", { AWS_ENDPOINT_URL_S3: "http://storage.example" }, "http only to this machine"],
    ["an empty name", { BUCKET_NAME: "" }, "can't be a bucket's name"],
    ["a region that is none", { AWS_REGION: "no region" }, "can't be a region's name"],
  ])("refuses Fly's variables with %s", async (_, wrong, text) => {
    const found = await problems({ environment: { BUCKET_NAME: "shop", ...companions, ...wrong } });
    expect(found).toEqual([expect.stringContaining(`BUCKET_NAME: `)]);
    expect(found[0]).toContain(text);
  });

  it("never tells a secret that litestream.yml puts in a wrong place", async () => {
    using directory = temporaryDirectory();
    const wrong = [
      "sync-interval: $S",
      "dbs:",
      "  - path: /a",
      "    replica:",
      "      type: $S",
      "      path: /b",
      "      $S: x",
    ];
    writeFileSync(join(directory.path, "litestream.yml"), wrong.join("\n").replaceAll("$S", "$AWS_SECRET_ACCESS_KEY"));
    const environment = { BUCKET_NAME: "shop", ...companions };
    const found = await problems({ environment, workingDirectory: directory.path });
    expect(found).toHaveLength(3);
    expect(found.join("\n")).not.toContain("canary");
    expect(found.join("\n")).toContain("***");
  });

  it("refuses a bucket's variables without its name, and does not print them", async () => {
    const [problem] = await problems({ environment: companions });
    expect(problem).toMatch(/^BUCKET_NAME: not set, while AWS_ENDPOINT_URL_S3, /);
    expect(problem).not.toContain("canary");
    expect(problem).toContain("FLYSQLITE_REPLICA=none");
  });

  it("lets an app have AWS variables of its own", async () => {
    const { AWS_ENDPOINT_URL_S3: _, ...own } = companions;
    expect((await read({ environment: own })).replica).toBeUndefined();
  });

  it("lets a bucket's variables be where a replica is named", async () => {
    const environment = { ...companions, BUCKET_NAME: "shop", FLYSQLITE_REPLICA: "/backup" };
    expect((await read({ environment })).replica?.source).toBe("FLYSQLITE_REPLICA");
  });

  it("is not said twice to be wrong where the replica's url is", async () => {
    expect(await problems({ flags: { replica: "s3://x" }, environment: {} })).toHaveLength(1);
  });
});
