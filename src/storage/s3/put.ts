// PutObject: small objects in one request, larger ones in parts.
//
// The payload's SHA-256 is signed, so that the service refuses a damaged one; the ETag of the answer is checked too.
// A condition is the service's to keep: a conditional request that is tried again after its answer got lost finds
// its own object, and answers that the condition doesn't hold. That is told as false; the caller reads and compares.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html

import assert from "node:assert/strict";
import type { PutOptions } from "../store.ts";
import { openBody } from "./body.ts";
import { type S3Client, wholeAnswer } from "./client.ts";
import { md5, md5OfAnswer, plainTag, quotedTag } from "./etag.ts";
import type { HttpAnswer } from "./exchange.ts";
import { badAnswer, type S3Failure } from "./failure.ts";
import { putParts } from "./multipart.ts";
import { formatTime } from "./time.ts";

export type Target = {
  /** Whole key. */
  readonly key: string;
  readonly what: string;
  readonly signal: AbortSignal;
  /** If-None-Match or If-Match. */
  readonly condition: Readonly<Record<string, string>>;
  /** Content type and metadata. */
  readonly description: Readonly<Record<string, string>>;
};

/** True when stored, false where the condition does not hold. */
export async function putObject(
  client: S3Client,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  {
    key,
    what,
    signal,
    ifAbsent = false,
    ifVersion,
    modifiedMs,
  }: PutOptions & { readonly key: string; readonly what: string },
): Promise<boolean> {
  assert(!ifAbsent || ifVersion === undefined, "an object is either absent or of a version");
  const target: Target = {
    key,
    what,
    signal,
    condition: {
      ...(ifAbsent ? { "if-none-match": "*" } : {}),
      ...(ifVersion === undefined ? {} : { "if-match": quotedTag(ifVersion) }),
    },
    description: {
      "content-type": "application/octet-stream",
      ...(modifiedMs === undefined ? {} : { [TIME_HEADER]: formatTime(modifiedMs) }),
    },
  };
  await using body = openBody(source, signal);
  const first = await body.take(client.limits.partBytes);
  // Awaited here: the body would be closed under an upload that is still to read from it.
  if (await body.ended()) return await putWhole(client, first, target);
  return await putParts(client, { first, body }, target);
}

/** Where Litestream 0.5 keeps the time of an LTX file's transactions. */
export const TIME_HEADER = "x-amz-meta-litestream-timestamp";

/** What a conditional write answers where the condition does not hold; undefined for all else. */
export function refusal({ status, code }: S3Failure, { condition }: Target): false | undefined {
  const conditional = Object.keys(condition).length > 0;
  if (conditional && (status === 412 || code === "PreconditionFailed")) return false;
  // The version to replace is gone, and with it the whole object.
  return "if-match" in condition && status === 404 && code === "NoSuchKey" ? false : undefined;
}

/** The ETag of what was stored. Throws where there is none, or where it is the MD5 of something else. */
export function checkStored({ headers }: HttpAnswer, bytes: Uint8Array): string {
  const tag = plainTag(headers.etag);
  if (tag === undefined) throw badAnswer("an answer without an ETag");
  const told = md5OfAnswer(headers);
  if (told !== undefined && told !== md5(bytes)) throw badAnswer("the ETag of other bytes");
  return tag;
}

function putWhole(client: S3Client, bytes: Uint8Array, target: Target): Promise<boolean> {
  const { key, what, signal, condition, description } = target;
  return client.call<boolean>(
    { method: "PUT", key, body: bytes, headers: { ...description, ...condition } },
    {
      what,
      signal,
      read: async (answer) => {
        checkStored(await wholeAnswer(answer), bytes);
        return true;
      },
      accept: (failure) => refusal(failure, target),
    },
  );
}
