// ETags: what they are compared by, and when they are a checksum.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html, ETag

import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Provider } from "./providers.ts";

/** An ETag without its quotes and without the mark that proxies put before it; undefined for none. */
export function plainTag(text: string | undefined): string | undefined {
  const tag = text?.replace(/^W\//, "").replace(/^"(.*)"$/, "$1");
  return tag === "" ? undefined : tag;
}

/** As it stands in a condition. */
export function quotedTag(tag: string): string {
  return `"${tag}"`;
}

/** The content's MD5 where an answer tells it: not for uploads in parts, nor where a key of KMS or our own encrypts. */
export function md5OfAnswer(headers: IncomingHttpHeaders): string | undefined {
  const encryption = headers["x-amz-server-side-encryption"];
  if (encryption !== undefined && encryption !== "AES256") return undefined;
  if (headers["x-amz-server-side-encryption-customer-algorithm"] !== undefined) return undefined;
  const tag = plainTag(headers.etag);
  return tag !== undefined && /^[0-9a-f]{32}$/i.test(tag) ? tag.toLowerCase() : undefined;
}

export function md5(bytes: Uint8Array): Buffer {
  return createHash("md5").update(bytes).digest();
}

/** The digest as a header. A bucket with a lock that keeps objects for a time takes nothing without one. */
export function md5Header(digest: Buffer, { contentMd5 }: Provider): Readonly<Record<string, string>> {
  return contentMd5 ? { "content-md5": digest.toString("base64") } : {};
}

/** The ETag of an object made of parts; undefined where the parts' ETags are no MD5s. */
export function tagOfParts(tags: readonly string[]): string | undefined {
  if (!tags.every((tag) => /^[0-9a-f]{32}$/i.test(tag))) return undefined;
  return `${md5(Buffer.from(tags.join(""), "hex")).toString("hex")}-${tags.length}`;
}
