// What putting a small object and putting one in parts have in common: where it goes, under which condition, and what
// an answer says of it. Pure.

import { md5OfAnswer, plainTag } from "./etag.ts";
import type { HttpAnswer } from "./exchange.ts";
import { badAnswer, type S3Failure } from "./failure.ts";

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

/** Where Litestream 0.5 keeps the time of an LTX file's transactions. */
export const TIME_HEADER = "x-amz-meta-litestream-timestamp";

/** What a conditional write answers where the condition does not hold; undefined for all else. */
export function refusal({ status, code }: S3Failure, { condition }: Target): false | undefined {
  const conditional = Object.keys(condition).length > 0;
  if (conditional && (status === 412 || code === "PreconditionFailed")) return false;
  // The version to replace is gone, and with it the whole object.
  return "if-match" in condition && status === 404 && code === "NoSuchKey" ? false : undefined;
}

/** The ETag of what was stored. Throws where there is none, or where it is the MD5 of other bytes than those sent. */
export function checkStored({ headers }: HttpAnswer, sent: Buffer): string {
  const tag = plainTag(headers.etag);
  if (tag === undefined) throw badAnswer("an answer without an ETag");
  const told = md5OfAnswer(headers);
  if (told !== undefined && told !== sent.toString("hex")) throw badAnswer("the ETag of other bytes");
  return tag;
}
