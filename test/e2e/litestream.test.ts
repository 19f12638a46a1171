// Litestream's own program on what flysqlite wrote, where it can be had: PyPI has 0.5, see test/support/litestream.ts.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { createBox, ROOT } from "../support/box.ts";
import { findLitestream05 } from "../support/litestream.ts";
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
