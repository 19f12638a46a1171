// GetObject: a whole object or a range of it, as a stream that outlives its connections.
//
// A body that breaks off is continued by another request for the rest, of the same version. Length is always
// checked, the content where the answer's ETag is its MD5.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html

import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { assert } from "../../base/assert.ts";
import { FlysqliteError } from "../../base/errors.ts";
import { type GetOptions, MAX_SMALL_BYTES, type Versioned } from "../store.ts";
import { type S3Client, wholeAnswer } from "./client.ts";
import { md5, md5OfAnswer, plainTag, quotedTag } from "./etag.ts";
import type { OpenAnswer } from "./exchange.ts";
import { badAnswer, failureOfConnection, type S3Failure } from "./failure.ts";
import { MAX_BREAKS, PROGRESS_BYTES } from "./limits.ts";

type Wanted = {
  /** Whole key. */
  readonly key: string;
  readonly what: string;
  /** Range from here on. */
  readonly offset: number;
  /** Bytes wanted at most; undefined for the rest. */
  readonly lengthBytes: number | undefined;
  readonly version: string | undefined;
  readonly signal: AbortSignal;
};

type Opened = {
  readonly answer: OpenAnswer;
  /** Bytes that this answer has to bring. */
  readonly sizeBytes: number;
};

const EMPTY = "empty"; // beyond the object's end
const ABSENT = "absent";

/** The object's bytes, or undefined where it is absent or of another version. */
export async function getObject(
  client: S3Client,
  { key, what, ...options }: GetOptions & { readonly key: string; readonly what: string },
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const { offset = 0, lengthBytes, version, signal } = options;
  assert(Number.isSafeInteger(offset) && offset >= 0, "an offset is a whole number");
  assert(lengthBytes === undefined || (Number.isSafeInteger(lengthBytes) && lengthBytes > 0), "a length is positive");
  const wanted: Wanted = { key, what, offset, lengthBytes, version, signal };
  const opened = await open(client, wanted);
  if (opened === ABSENT) return undefined;
  return opened === EMPTY ? nothing() : read(client, wanted, opened);
}

/** A small object, whole, with its ETag; undefined where it is absent. */
export async function getVersioned(
  client: S3Client,
  { key, what, signal }: Pick<Wanted, "key" | "what" | "signal">,
): Promise<Versioned | undefined> {
  const found = await client.call<Versioned | typeof ABSENT>(
    { method: "GET", key },
    {
      what,
      signal,
      read: async (answer) => {
        const sizeBytes = sizeOfAnswer(answer, { ranged: false, offset: 0, lengthBytes: undefined });
        const { headers, body } = await wholeAnswer(answer);
        const version = plainTag(headers.etag);
        const told = md5OfAnswer(headers);
        if (version === undefined) throw badAnswer("an answer without an ETag");
        if (body.byteLength !== sizeBytes) throw badAnswer("a body that is too short or too long");
        if (told !== undefined && told !== md5(body).toString("hex")) throw badAnswer("the ETag of other bytes");
        return { bytes: body, version };
      },
      accept: ({ status, code }) => (status === 404 && code === "NoSuchKey" ? ABSENT : undefined),
    },
  );
  if (found === ABSENT) return undefined;
  if (found.bytes.byteLength <= MAX_SMALL_BYTES) return found;
  throw new FlysqliteError("E_REPLICA_CORRUPT", `${what}: it has ${found.bytes.byteLength} bytes`);
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

function open(client: S3Client, wanted: Wanted): Promise<Opened | typeof EMPTY | typeof ABSENT> {
  const { key, what, offset, lengthBytes, version, signal } = wanted;
  const ranged = offset > 0 || lengthBytes !== undefined;
  const headers = {
    ...(ranged ? { range: `bytes=${offset}-${lengthBytes === undefined ? "" : offset + lengthBytes - 1}` } : {}),
    ...(version === undefined ? {} : { "if-match": quotedTag(version) }),
  };
  return client.call<Opened | typeof EMPTY | typeof ABSENT>(
    { method: "GET", key, headers },
    {
      what,
      signal,
      read: async (answer) => {
        try {
          return { answer, sizeBytes: sizeOfAnswer(answer, { ranged, offset, lengthBytes }) };
        } catch (error) {
          answer.discard();
          throw error;
        }
      },
      accept: ({ status, code }) => {
        // Only S3's own word: a 404 of a proxy, or of a bucket that is not there, proves nothing.
        if (status === 404 && code === "NoSuchKey") return ABSENT;
        if (status === 412 && version !== undefined) return ABSENT;
        if (status === 416 && ranged) return EMPTY;
        return undefined;
      },
    },
  );
}

/** Bytes that the answer's body must have. Throws where it isn't the range that was asked for. */
function sizeOfAnswer(
  { status, headers }: { readonly status: number; readonly headers: IncomingHttpHeaders },
  { ranged, offset, lengthBytes }: Pick<Wanted, "offset" | "lengthBytes"> & { readonly ranged: boolean },
): number {
  const length = headers["content-length"];
  if (length === undefined || !/^\d{1,15}$/.test(length)) throw badAnswer("an answer without a length");
  if (!ranged) {
    if (status !== 200) throw badAnswer(`status ${status} where no range was asked for`);
    return Number(length);
  }
  const [, first, last, total] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(headers["content-range"] ?? "") ?? [];
  if (status !== 206 || first === undefined) throw badAnswer("an answer that ignores the range");
  const end = lengthBytes === undefined ? Number(total) : Math.min(Number(total), offset + lengthBytes);
  if (Number(first) !== offset || Number(last) !== end - 1 || Number(length) !== end - offset)
    throw badAnswer("an answer with another range");
  return end - offset;
}

async function* read(client: S3Client, wanted: Wanted, first: Opened): AsyncGenerator<Uint8Array, void, void> {
  const { what, signal } = wanted;
  const { headers } = first.answer;
  const version = wanted.version ?? plainTag(headers.etag);
  const whole = first.answer.status === 200;
  const expected = whole ? md5OfAnswer(headers) : undefined;
  const hash = expected === undefined ? undefined : createHash("md5");
  let opened: Opened = first;
  let readBytes = 0;
  let breaks = 0;
  let steadyFrom = 0;

  for (;;) {
    const broken: { failure?: S3Failure } = {};
    for await (const chunk of chunksOf(opened, signal, broken)) {
      hash?.update(chunk);
      readBytes += chunk.byteLength;
      yield chunk;
    }
    if (readBytes === first.sizeBytes) break;
    const failure = broken.failure ?? badAnswer("a body that is too short or too long");
    if (readBytes - steadyFrom >= PROGRESS_BYTES) breaks = 0;
    steadyFrom = readBytes;
    breaks += 1;
    if (readBytes > first.sizeBytes || breaks > MAX_BREAKS) throw client.failed(what, failure, breaks);
    // Without a version the rest could be that of another object.
    if (version === undefined) throw client.failed(what, failure);
    const next = await open(client, {
      ...wanted,
      version,
      offset: wanted.offset + readBytes,
      lengthBytes: first.sizeBytes - readBytes,
    });
    if (next === ABSENT || next === EMPTY) {
      throw new FlysqliteError("E_REPLICA_UNREACHABLE", `${what}: it was replaced or deleted while it was read`);
    }
    opened = next;
  }

  const found = hash?.digest("hex");
  if (found !== expected) {
    throw new FlysqliteError(
      "E_REPLICA_UNREACHABLE",
      `${what}: it arrived damaged: its MD5 is ${found}, and the bucket says ${expected}`,
    );
  }
}

/** The chunks until the body ends or breaks; in what way it broke is put into `broken`. */
async function* chunksOf(
  { answer }: Opened,
  signal: AbortSignal,
  broken: { failure?: S3Failure },
): AsyncGenerator<Uint8Array, void, void> {
  const stream = answer.stream();
  try {
    for (;;) {
      let next: IteratorResult<Uint8Array, void>;
      try {
        next = await stream.next();
      } catch (error) {
        signal.throwIfAborted();
        broken.failure = failureOfConnection(error);
        return;
      }
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await stream.return();
  }
}
