import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { systemClock, systemRandom } from "../../../src/base/system.ts";
import { readSettings } from "../../../src/config/settings.ts";
import { createReplicaStore } from "../../../src/steps/replica-store.ts";
import { BUCKET, KEY, type S3Server, startS3Server } from "../../support/s3-server.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const signal = new AbortController().signal;

let server: S3Server;

beforeAll(async () => {
  server = await startS3Server();
  return () => server[Symbol.asyncDispose]();
});

/** What the environment and litestream.yml lead to, for a database named dev.db. */
async function open({
  environment,
  yml,
}: {
  readonly environment: Readonly<Record<string, string>>;
  readonly yml?: string;
}) {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  if (yml !== undefined) writeFileSync(join(directory.path, "litestream.yml"), yml);
  const told = { flags: {}, command: [], environment, workingDirectory: directory.path };
  const settings = await readSettings(told);
  const log = () => {};
  return createReplicaStore({ settings, environment, clock: systemClock, random: systemRandom, log });
}

const place = () => ({ BUCKET_NAME: BUCKET, AWS_ENDPOINT_URL_S3: server.origin, AWS_REGION: server.region });

/** Shows that what the settings lead to is the bucket, by the right keys and path. */
async function stores(replica: Awaited<ReturnType<typeof open>>, key: string): Promise<void> {
  const found = await replica("dev.db");
  server.objects.clear();
  await found?.store.put("object", [new Uint8Array(1)], { signal });
  expect([...server.objects.keys()]).toEqual([key]);
}

describe("createReplicaStore", () => {
  it("gives nothing where no replica is configured", async () => {
    const replica = await open({ environment: {} });
    expect(await replica("dev.db")).toBeUndefined();
  });

  it("opens a directory, and says where it was configured", async () => {
    const replica = await open({ environment: { FLYSQLITE_REPLICA: "file:///backup/app" } });
    expect(await replica("dev.db")).toMatchObject({
      store: { address: "file:///backup/app" },
      source: "FLYSQLITE_REPLICA",
    });
  });

  it("opens the bucket of Fly's variables at the path that follows from the database's name", async () => {
    const environment = {
      ...place(),
      AWS_ACCESS_KEY_ID: KEY.accessKeyId,
      AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
    };
    const replica = await open({ environment });
    const found = await replica("dev.db");
    expect(found).toMatchObject({
      store: { address: `s3://${BUCKET}/litestream/dev.db?endpoint=${server.origin}` },
      source: "BUCKET_NAME",
    });
    await stores(replica, "litestream/dev.db/object");
  });

  it("opens it once", async () => {
    const replica = await open({ environment: place() });
    const [one, other] = await Promise.all([replica("dev.db"), replica("dev.db")]);
    expect(one?.store).toBe(other?.store);
  });

  it("takes Litestream's own names for the keys", async () => {
    const environment = {
      ...place(),
      LITESTREAM_ACCESS_KEY_ID: KEY.accessKeyId,
      LITESTREAM_SECRET_ACCESS_KEY: KEY.secretAccessKey,
    };
    await stores(await open({ environment }), "litestream/dev.db/object");
  });

  it("reads keys from the files that variables name", async () => {
    using directory = temporaryDirectory();
    const [id, secret] = [join(directory.path, "id"), join(directory.path, "secret")];
    writeFileSync(id, `${KEY.accessKeyId}\n`);
    writeFileSync(secret, `${KEY.secretAccessKey}\n`);
    const environment = { ...place(), AWS_ACCESS_KEY_ID_FILE: id, AWS_SECRET_ACCESS_KEY_FILE: secret };
    await stores(await open({ environment }), "litestream/dev.db/object");
  });

  it("prefers the keys in litestream.yml to the environment's, and its path", async () => {
    const yml = `
access-key-id: ${KEY.accessKeyId}
secret-access-key: ${KEY.secretAccessKey}
dbs:
  - path: /data/dev.db
    replicas:
      - type: s3
        bucket: ${BUCKET}
        path: backups/mine
        endpoint: $AWS_ENDPOINT_URL_S3
`;
    const environment = { ...place(), AWS_ACCESS_KEY_ID: "other", AWS_SECRET_ACCESS_KEY: "another" };
    await stores(await open({ environment, yml }), "backups/mine/object");
  });

  it("fails at the first use, and by its name, where half of the keys are missing", async () => {
    const replica = await open({ environment: { ...place(), AWS_ACCESS_KEY_ID: KEY.accessKeyId } });
    const found = await replica("dev.db");
    await expect(found?.store.list("", { signal })).rejects.toMatchObject({
      code: "E_CONFIG",
      message: "AWS_SECRET_ACCESS_KEY is not set, while AWS_ACCESS_KEY_ID is",
    });
  });
});
