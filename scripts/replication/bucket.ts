// The bucket of the measurement: an S3 server in a process of its own, which knows when each object was stored, and
// tells afterwards which commits it makes safe.
// Usage: node bucket.ts, with an IPC channel

import { decodeLtx } from "../../src/replica/ltx/decode.ts";
import { decodeLz4Stream } from "../../src/replica/ltx/lz4-stream.ts";
import { type StoredObject, startS3Server } from "../../test/support/s3-server.ts";

export type Request =
  /** What was stored since that time; with each object's newest commit, if asked for. */
  | { readonly kind: "stored"; readonly sinceMs: number; readonly marks: boolean }
  | { readonly kind: "away"; readonly away: boolean }
  | { readonly kind: "forget" };

export type Stored = {
  readonly key: string;
  readonly sizeBytes: number;
  /** Milliseconds of the machine's monotonic clock. */
  readonly atMs: number;
  /** Number of the newest commit in it; 0 where it has none. */
  readonly mark: number;
};

/** Of a commit's number in its row, in characters. */
const MARK_SIZE = 12;

type Kept = { readonly key: string; readonly bytes: Uint8Array; readonly atMs: number };

let kept: Kept[] = [];
const server = await startS3Server({
  region: "us-east-1",
  onStored: (key: string, { bytes }: StoredObject) =>
    void kept.push({ key, bytes, atMs: Number(process.hrtime.bigint()) / 1e6 }),
});

async function* once(bytes: Uint8Array) {
  yield bytes;
}

/** The newest commit whose row is in the object's pages. */
async function markOf({ key, bytes }: Kept): Promise<number> {
  let newest = 0;
  let before = "";
  const look = (data: Uint8Array) => {
    const text = before + Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("latin1");
    for (const [, mark] of text.matchAll(/<(\d{10})>/g)) newest = Math.max(newest, Number(mark));
    before = text.slice(-MARK_SIZE);
  };
  if (key.endsWith(".ltx")) await decodeLtx(once(bytes), key, { onPage: ({ data }) => look(data) });
  if (key.endsWith(".lz4")) {
    for await (const piece of decodeLz4Stream(once(bytes), { maxBytes: Number.MAX_SAFE_INTEGER })) look(piece);
  }
  return newest;
}

async function perform(request: Request): Promise<readonly Stored[]> {
  switch (request.kind) {
    case "stored": {
      const found = kept.filter(({ atMs }) => atMs >= request.sinceMs);
      const told: Stored[] = [];
      for (const object of found) {
        const mark = request.marks ? await markOf(object) : 0;
        told.push({ key: object.key, sizeBytes: object.bytes.byteLength, atMs: object.atMs, mark });
      }
      return told;
    }
    case "away":
      if (request.away)
        for (const operation of ["Put", "Get", "Head", "List"] as const)
          server.fail(operation, { kind: "reset", when: "before" }, 1_000_000);
      else server.heal();
      return [];
    case "forget":
      kept = [];
      server.objects.clear();
      return [];
  }
}

process.on("message", async (request: Request) => process.send?.(await perform(request)));
process.send?.(server.origin);
