// The same behaviour on a real service. Set these to run it; it writes below a prefix of its own, and deletes that:
//   FLYSQLITE_TEST_S3_URL=s3://bucket/path?endpoint=…&region=…  with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY

import { readFile } from "node:fs/promises";
import { describe, it, onTestFinished } from "vitest";
import { systemClock, systemRandom } from "../../../../src/base/system.ts";
import { createCredentials } from "../../../../src/storage/s3/credentials.ts";
import { LIMITS } from "../../../../src/storage/s3/limits.ts";
import { parseS3Url } from "../../../../src/storage/s3/place.ts";
import { openS3Store } from "../../../../src/storage/s3/store.ts";
import type { ObjectStore } from "../../../../src/storage/store.ts";
import { describeStore } from "./behaviour.ts";
import { options } from "./support.ts";

const url = process.env["FLYSQLITE_TEST_S3_URL"];

async function newStore(): Promise<ObjectStore> {
  const place = parseS3Url(url ?? "", process.env);
  const store = openS3Store(
    { ...place, prefix: `${place.prefix}/flysqlite-test-${systemRandom.uuid()}` },
    {
      clock: systemClock,
      random: systemRandom,
      credentials: createCredentials({
        environment: process.env,
        readFile: (path) => readFile(path, "utf8"),
        clock: systemClock,
      }),
    },
  );
  onTestFinished(async () => {
    const left = await store.list("", options);
    await store.deleteMany(
      left.map(({ key }) => key),
      options,
    );
    store[Symbol.dispose]();
  });
  return store;
}

if (url !== undefined) describeStore("a store in a real bucket", newStore, { partBytes: LIMITS.partBytes });
else {
  describe("a store in a real bucket", () => {
    it("behaves as on the tests' own server", ({ skip }) => skip("FLYSQLITE_TEST_S3_URL names no bucket"));
  });
}
