// A process of its own that uploads 200 MB, and prints how far its memory grew meanwhile. For memory.test.ts.

import { systemClock, systemRandom } from "../../../../src/base/system.ts";
import { makeS3Place } from "../../../../src/storage/s3/place.ts";
import { openS3Store } from "../../../../src/storage/s3/store.ts";
import { BUCKET, KEY } from "../../../support/s3-server.ts";

const [, , endpoint = "", region = ""] = process.argv;
using store = openS3Store(makeS3Place({ bucket: BUCKET, path: "big", endpoint, region }), {
  clock: systemClock,
  random: systemRandom,
  credentials: { get: async () => KEY, refused: () => {} },
});
const { signal } = new AbortController();
await store.put("warm", [new Uint8Array(10)], { signal });
const before = process.memoryUsage.rss();
let most = before;

async function* body(): AsyncGenerator<Uint8Array> {
  const page = new Uint8Array(100_000);
  for (let index = 0; index < 2000; index += 1) {
    most = Math.max(most, process.memoryUsage.rss());
    yield page.fill(index);
  }
}

const stored = await store.put("x", body(), { signal });
most = Math.max(most, process.memoryUsage.rss());
process.stdout.write(JSON.stringify({ stored, growthBytes: most - before }));
