// The main job with a bucket as the replica, on the real executable, told by nothing but the variables that Fly sets.

import { readdirSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type Box, createBox, type Running, type Start, until } from "../support/box.ts";
import { BUCKET, KEY, type Operation, type S3Server, startS3Server } from "../support/s3-server.ts";

const SEEDED = 2;
const WRONG_SECRET = "not-the-secret-of-this-key";
const ADDRESS = `s3://${BUCKET}/litestream/dev.db`;
const READING: readonly Operation[] = ["List", "Get", "Head"];
const ALL: readonly Operation[] = [...READING, "Put", "Delete", "DeleteObjects"];

/** What Fly sets for a bucket, and nothing of ours. */
const fly = (server: Pick<S3Server, "origin" | "region">) => ({
  FLYSQLITE_REPLICA: undefined,
  BUCKET_NAME: BUCKET,
  AWS_ENDPOINT_URL_S3: server.origin,
  AWS_REGION: server.region,
  AWS_ACCESS_KEY_ID: KEY.accessKeyId,
  AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
});

const outputs: (() => string)[] = [];

async function start(box: Box, told: Start): Promise<Running> {
  const running = await box.start(told);
  outputs.push(running.output);
  return running;
}

afterEach(() => {
  for (const output of outputs) {
    for (const secret of [KEY.secretAccessKey, encodeURIComponent(KEY.secretAccessKey), WRONG_SECRET])
      expect(output()).not.toContain(secret);
  }
});

const add = (running: Running, text: string) => running.request("POST", "/entries", { author: "ann", text });

async function count(running: Running): Promise<number> {
  const { count } = (await running.request("GET", "/count")) as { count: number };
  return count;
}

describe("a start with Fly's five variables", () => {
  it("replicates to the bucket, and after the volume was lost restores every row from it", async () => {
    await using server = await startS3Server();
    using box = createBox();
    const environment = fly(server);
    const first = await start(box, { environment });
    await first.listening();
    for (let i = 0; i < 5; i += 1) await add(first, `row ${i}`);
    await first.line(/copied the whole database/);
    expect(await first.stop()).toBe(0);
    const keys = [...server.objects.keys()];
    expect(keys).toContainEqual(expect.stringMatching(/^litestream\/dev\.db\/0000\/[0-9a-f]{16}-[0-9a-f]{16}\.ltx$/));
    expect(keys).toContainEqual(expect.stringMatching(/^litestream\/dev\.db\/0009\/[0-9a-f]{16}-[0-9a-f]{16}\.ltx$/));
    const others = keys.filter((key) => !/^litestream\/dev\.db\/(0000|0009)\/\S+\.ltx$/.test(key));
    expect(others.toSorted()).toEqual(["identity", "lease"].map((name) => `litestream/dev.db/flysqlite/${name}.json`));

    box.loseVolume();
    const before = new Map(server.objects);
    const sent = server.requests.length;
    const dry = await start(box, { words: ["run", "--dry"], environment });
    expect(await dry.ended).toBe(0);
    expect(dry.standardOutput()).toContain(`restore /data/dev.db from ${ADDRESS}`);
    expect(dry.standardOutput()).toMatch(new RegExp(`to ${ADDRESS}\\S* \\(BUCKET_NAME\\)`));
    expect(server.requests.length).toBeGreaterThan(sent);
    expect(READING).toEqual(
      expect.arrayContaining([...new Set(server.requests.slice(sent).map(({ operation }) => operation))]),
    );
    expect(server.objects).toEqual(before);
    expect(readdirSync(box.volume)).toEqual([]);

    const second = await start(box, { environment });
    await second.listening();
    expect(await count(second)).toBe(SEEDED + 5);
    await second.line(new RegExp(`restore +${ADDRESS}\\S*: \\d+ files, .* verified`));
    expect(second.output()).not.toMatch(/ {2}seed /);
    await add(second, "and on");
    expect(await second.stop()).toBe(0);

    box.loseVolume();
    const third = await start(box, { environment });
    await third.listening();
    expect(await count(third)).toBe(SEEDED + 6);
    expect(await third.stop()).toBe(0);
  });

  it("serves the app while the bucket is away, and ships everything when it is back", async () => {
    await using server = await startS3Server();
    using box = createBox();
    const environment = fly(server);
    const running = await start(box, { environment });
    await running.listening();
    await running.line(/copied the whole database/);
    for (const operation of ALL) server.fail(operation, { kind: "reset", when: "before" }, 10_000);
    for (let i = 0; i < 5; i += 1) await add(running, `away ${i}`);
    await running.line(
      new RegExp(`replicate +warning: not replicated, next try in \\d+ s: Cannot write "\\S+" to "${ADDRESS}`),
    );
    await add(running, "still away");
    expect(await count(running)).toBe(SEEDED + 6);
    server.heal();
    await running.line(/the replica answers again, after \d+ failed tries/);
    expect(await running.stop()).toBe(0);
    expect(running.output().match(/listening on/g)).toHaveLength(1); // the app was not started again

    box.loseVolume();
    const restored = await start(box, { environment });
    await restored.listening();
    expect(await count(restored)).toBe(SEEDED + 6);
    expect(await restored.stop()).toBe(0);
  });

  it("waits for a bucket that is overloaded for a while", async () => {
    await using server = await startS3Server();
    using box = createBox();
    for (const operation of ["List", "Put"] as const)
      server.fail(operation, { kind: "status", status: 503, code: "SlowDown" }, 3);
    const running = await start(box, { environment: fly(server) });
    await running.listening();
    await running.line(/copied the whole database/);
    expect(server.requests.filter(({ status }) => status === 503).length).toBe(6);
    expect(await running.stop()).toBe(0);
  });
});

describe("a start whose bucket can't be read", () => {
  /** A port at which nobody listens. */
  async function deserted(): Promise<string> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    return `http://127.0.0.1:${port}`;
  }

  it.each([
    ["another secret", { AWS_SECRET_ACCESS_KEY: WRONG_SECRET }, 77, /SignatureDoesNotMatch/],
    ["another key", { AWS_ACCESS_KEY_ID: "AKIANOTKNOWN" }, 77, /InvalidAccessKeyId/],
    ["no secret", { AWS_SECRET_ACCESS_KEY: undefined }, 78, /AWS_SECRET_ACCESS_KEY is not set/],
    ["a bucket that does not exist", { BUCKET_NAME: "no-such-bucket" }, 69, /"no-such-bucket" does not exist/],
  ])("is refused with %s, and makes nothing", async (_, wrong, status, text) => {
    await using server = await startS3Server();
    using box = createBox();
    const refused = await start(box, { environment: { ...fly(server), FLYSQLITE_LOG: "debug", ...wrong } });
    expect(await refused.ended).toBe(status);
    expect(refused.output()).toMatch(text);
    expect(refused.output()).toContain({ 69: "E_REPLICA_UNREACHABLE", 77: "E_REPLICA_DENIED", 78: "E_CONFIG" }[status]);
    expect(refused.output()).not.toMatch(/listening on| at .*\.[tj]s:\d+/);
    expect(readdirSync(box.volume)).toEqual([]);
    expect(server.objects.size).toBe(0);
  });

  it("is refused where nobody answers, and where each connection is reset, and makes nothing", async () => {
    await using server = await startS3Server();
    server.fail("List", { kind: "reset", when: "before" }, 10_000);
    const origins = [await deserted(), server.origin];
    await Promise.all(
      origins.map(async (origin) => {
        using box = createBox();
        const refused = await start(box, {
          environment: { ...fly({ origin, region: server.region }), FLYSQLITE_LOG: "debug" },
        });
        expect(await refused.ended).toBe(69);
        expect(refused.output()).toMatch(
          new RegExp(`E_REPLICA_UNREACHABLE: Cannot (?:list|read "flysqlite/lease.json" of) "${ADDRESS}`),
        );
        expect(readdirSync(box.volume)).toEqual([]);
      }),
    );
    expect(server.objects.size).toBe(0);
  });

  it("ends at once when it is told to stop while it restores, and leaves no part of a database", async () => {
    await using server = await startS3Server();
    using box = createBox();
    const environment = fly(server);
    const first = await start(box, { environment });
    await first.listening();
    await add(first, "kept");
    expect(await first.stop()).toBe(0);
    box.loseVolume();
    server.fail("Get", { kind: "hang", when: "mid-body" }, 100, /\.ltx$/);
    const restoring = await start(box, { environment });
    const isPart = (name: string) => name.startsWith(".dev.db.");
    await until(() => readdirSync(box.volume).some(isPart), { what: restoring.output });
    const stoppedMs = performance.now();
    expect(await restoring.stop(), restoring.output()).toBe(143);
    expect(performance.now() - stoppedMs).toBeLessThan(4_000); // less than the time that a stop may take
    expect(readdirSync(box.volume).filter(isPart)).toEqual([]);

    server.heal();
    const second = await start(box, { environment });
    await second.listening();
    expect(await count(second)).toBe(SEEDED + 1);
    expect(await second.stop()).toBe(0);
  });

  it("ends at once when it is told to stop while it waits for an answer, and has made nothing", async () => {
    await using server = await startS3Server();
    server.fail("List", { kind: "hang", when: "before" });
    using box = createBox();
    const waiting = await start(box, { environment: fly(server) });
    await until(() => server.count("List") > 0, { what: waiting.output });
    const stoppedMs = performance.now();
    await waiting.stop();
    expect(performance.now() - stoppedMs).toBeLessThan(4_000); // less than the time that a stop may take
    expect(waiting.output()).not.toContain("listening on");
    expect(readdirSync(box.volume)).toEqual([]);
    expect(server.objects.size).toBe(0);
  });
});
