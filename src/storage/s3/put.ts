// PutObject: small objects in one request, larger ones in parts.
//
// The payload's SHA-256 is signed, so that the service refuses a damaged one; the ETag of the answer is checked too.
// A condition is the service's to keep: a conditional request that is tried again after its answer got lost finds
// its own object, and answers that the condition doesn't hold. That is told as false; the caller reads and compares.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html

import { assert } from "../../base/assert.ts";
import type { PutOptions } from "../store.ts";
import { openBody } from "./body.ts";
import { type S3Client, wholeAnswer } from "./client.ts";
import { md5, md5Header, quotedTag } from "./etag.ts";
import { putParts } from "./multipart.ts";
import { checkStored, refusal, type Target, TIME_HEADER } from "./target.ts";
import { formatTime } from "./time.ts";

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
  if (await body.ended()) return (await putWhole(client, first, target)) !== false;
  return await putParts(client, { first, body }, target);
}

/** Puts a small object in place of `version`, or where none is. Gives its ETag; undefined where the condition does not hold. */
export async function replaceObject(
  client: S3Client,
  bytes: Uint8Array,
  { version, ...place }: Pick<Target, "key" | "what" | "signal"> & { readonly version: string | undefined },
): Promise<string | undefined> {
  const condition = version === undefined ? { "if-none-match": "*" } : { "if-match": quotedTag(version) };
  const description = { "content-type": "application/json" };
  const stored = await putWhole(client, bytes, { ...place, condition, description });
  return stored === false ? undefined : stored;
}

/** The ETag of what was stored, or false. */
function putWhole(client: S3Client, bytes: Uint8Array, target: Target): Promise<string | false> {
  const { key, what, signal, condition, description } = target;
  const digest = md5(bytes);
  return client.call<string | false>(
    {
      method: "PUT",
      key,
      body: bytes,
      headers: { ...description, ...condition, ...md5Header(digest, client.provider) },
    },
    {
      what,
      signal,
      read: async (answer) => checkStored(await wholeAnswer(answer), digest),
      accept: (failure) => refusal(failure, target),
    },
  );
}
