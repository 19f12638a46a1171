// The objects of Litestream 0.3, opened: each is one LZ4 frame.
// Source: Litestream 0.3, replica layout; age's format, https://age-encryption.org/v1

import { FlysqliteError } from "../../base/errors.ts";
import { corrupt } from "../ltx/corrupt.ts";
import { Lz4Error } from "../ltx/lz4.ts";
import { decodeLz4Stream } from "../ltx/lz4-stream.ts";

/** What every file that age encrypted begins with. */
const AGE_MAGIC = new TextEncoder().encode("age-encryption.org/");

/** No smaller bound is needed, as what comes out goes to the disk, and its space is looked at. */
const MAX_CONTENT_BYTES = Number.MAX_SAFE_INTEGER;

/**
 * Decompresses the object with the given key. A piece is valid until the next one is asked for, and only after the
 * last one all are known to be sound.
 *
 * Fails with E_REPLICA_CORRUPT, also for what Litestream encrypted; failures of `chunks` pass through.
 */
export async function* decompressObject(
  chunks: AsyncIterable<Uint8Array>,
  key: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    // Litestream writes the checksum always, and nothing else vouches for a snapshot.
    yield* decodeLz4Stream(refuseEncrypted(chunks, key), { maxBytes: MAX_CONTENT_BYTES, needsChecksum: true });
  } catch (error) {
    throw error instanceof Lz4Error ? corrupt({ key, offset: error.offset }, error.message) : error;
  }
}

/** Holds the first bytes back until they tell. */
async function* refuseEncrypted(chunks: AsyncIterable<Uint8Array>, key: string): AsyncGenerator<Uint8Array> {
  let start: Uint8Array | undefined = new Uint8Array(0);
  for await (const chunk of chunks) {
    if (start === undefined) {
      yield chunk;
      continue;
    }
    start = Buffer.concat([start, chunk]); // copied: a chunk is valid until the next one is asked for
    if (start.byteLength < AGE_MAGIC.byteLength) continue;
    if (AGE_MAGIC.every((byte, at) => start?.[at] === byte)) throw encrypted(key);
    yield start;
    start = undefined;
  }
  if (start !== undefined) yield start;
}

function encrypted(key: string): FlysqliteError {
  return new FlysqliteError("E_REPLICA_CORRUPT", `Cannot read "${key}": Litestream encrypted it with age`, {
    hint: "Restore it with Litestream 0.3 and the age identity, and put the database on the volume",
  });
}
