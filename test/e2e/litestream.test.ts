// Litestream's own program on what flysqlite wrote, where it can be had: PyPI has 0.5, see test/support/litestream.ts.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { createBox, ROOT, until } from "../support/box.ts";
import { findLitestream03, findLitestream05, runLitestream } from "../support/litestream.ts";
import { BUCKET, KEY, startS3Server } from "../support/s3-server.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const litestream = findLitestream05();
const run = promisify(execFile);
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

describe.skipIf(litestream === undefined)("Litestream 0.5", () => {
  it.each(["a bucket", "a directory"])("restores from %s what flysqlite does, byte for byte", async (where) => {
    await using server = await startS3Server();
    using directory = temporaryDirectory();
    using box = createBox();
    const keys = { AWS_ACCESS_KEY_ID: KEY.accessKeyId, AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey };
    const bucket = `s3://${BUCKET}/some/where?endpoint=${server.origin}&region=${server.region}`;
    const isBucket = where === "a bucket";
    const environment = isBucket ? { ...keys, FLYSQLITE_REPLICA: bucket } : {};
    const running = await box.start({ environment });
    await running.listening();
    for (let row = 0; row < 30; row += 1)
      await running.request("POST", "/entries", { author: "ann", text: "x".repeat(row * 200) });
    expect(await running.stop(), running.output()).toBe(0);

    const replica = isBucket ? bucket : `file://${join(box.replica, "db")}`;
    const options = { env: { ...keys, HOME: directory.path }, timeout: 60_000 };
    const [theirs, ours] = [join(directory.path, "theirs.db"), join(directory.path, "ours.db")];
    await run(litestream ?? "", ["restore", "-integrity-check", "full", "-o", theirs, replica], options);
    await run(join(ROOT, "dist/flysqlite"), ["restore", "--replica", replica, "-o", ours], options);
    expect(sha256(theirs)).toBe(sha256(ours));
  });
});

/** How the same bucket can be told, and what Litestream makes of it. */
const CONFIGURATIONS = [
  ["a clean path", { path: "a/b" }],
  ["no path", {}],
  ["a path with slashes around it", { path: "/lead/ing/" }],
] as const;

describe.each([
  // Litestream 0.3 does not find again what it writes to a path with a slash before it.
  ["0.3", findLitestream03(), CONFIGURATIONS.slice(0, 2)],
  ["0.5", litestream, CONFIGURATIONS],
])("what Litestream %s left in a bucket", (_, program, configurations) => {
  it.skipIf(program === undefined).each(configurations)("is found by the same litestream.yml: %s", async (_, keys) => {
    await using server = await startS3Server({ region: "us-east-1" });
    using directory = temporaryDirectory();
    const [path, yml] = [join(directory.path, "app.db"), join(directory.path, "litestream.yml")];
    const replica = { type: "s3", bucket: BUCKET, endpoint: server.origin, region: server.region, ...keys };
    const database = { path, replicas: [{ ...replica, "force-path-style": true, "sync-interval": "50ms" }] };
    writeFileSync(yml, JSON.stringify({ dbs: [database] }));
    const env = { AWS_ACCESS_KEY_ID: KEY.accessKeyId, AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey };
    const source = new DatabaseSync(path);
    source.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (n); INSERT INTO t VALUES (1), (2), (3)");
    {
      await using _ = runLitestream(program ?? "", ["replicate", "-config", yml], { ...env, HOME: directory.path });
      await until(() => server.objects.size >= 2, { what: () => "Litestream uploads nothing" });
      source.close();
    }

    const output = join(directory.path, "restored.db");
    const words = ["restore", "--config", yml, "-o", output];
    await run(join(ROOT, "dist/flysqlite"), words, { env, cwd: directory.path, timeout: 60_000 });
    using restored = new DatabaseSync(output, { readOnly: true });
    expect(restored.prepare("SELECT sum(n) AS n FROM t").get()).toEqual({ n: 6 });
  });
});
