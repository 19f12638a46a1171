// AWS Signature Version 4 for S3, in the Authorization header, over the payload's SHA-256. Pure.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html

import { createHash, createHmac } from "node:crypto";
import type { Credentials } from "./credentials.ts";

export type Unsigned = {
  readonly method: string;
  /** Encoded by `encodePath`; with its leading "/". */
  readonly path: string;
  readonly query: Query;
  /** With `host`; names in lower case. All of them are signed. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
};

export type Query = readonly (readonly [name: string, value: string])[];

export type Signed = {
  readonly headers: Readonly<Record<string, string>>;
  /** Path and query, as they were signed. */
  readonly path: string;
};

export type Signer = (
  request: Unsigned,
  options: { readonly credentials: Credentials; readonly region: string; readonly nowMs: number },
) => Signed;

const EMPTY_SHA256 = createHash("sha256").digest("hex");

/** Makes a signer, which keeps the day's key: deriving it takes four of the five hashes. */
export function createSigner(): Signer {
  let known: { readonly scope: string; readonly secret: string; readonly key: Buffer } | undefined;

  function signingKey(secret: string, { scope, parts }: { scope: string; parts: readonly string[] }): Buffer {
    if (known?.scope === scope && known.secret === secret) return known.key;
    const key = parts.reduce<Buffer>((key, part) => hmac(key, part), Buffer.from(`AWS4${secret}`));
    known = { scope, secret, key };
    return key;
  }

  return ({ method, path, query, headers, body }, { credentials, region, nowMs }) => {
    const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d{3}/g, "");
    const parts = [time.slice(0, 8), region, "s3", "aws4_request"];
    const scope = parts.join("/");
    const payload = body === undefined ? EMPTY_SHA256 : createHash("sha256").update(body).digest("hex");
    const signed: Record<string, string> = { ...headers, "x-amz-content-sha256": payload, "x-amz-date": time };
    if (credentials.sessionToken !== undefined) signed["x-amz-security-token"] = credentials.sessionToken;

    const names = Object.keys(signed).sort();
    const canonicalQuery = encodeQuery(query);
    const canonical = [
      method,
      path,
      canonicalQuery,
      ...names.map((name) => `${name}:${signed[name]?.trim().replace(/ +/g, " ")}`),
      "",
      names.join(";"),
      payload,
    ].join("\n");
    const toSign = ["AWS4-HMAC-SHA256", time, scope, createHash("sha256").update(canonical).digest("hex")].join("\n");
    const signature = hmac(signingKey(credentials.secretAccessKey, { scope, parts }), toSign).toString("hex");
    const authorization = `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
    return {
      headers: { ...signed, authorization },
      path: canonicalQuery === "" ? path : `${path}?${canonicalQuery}`,
    };
  };
}

/** Encodes a key, all but its slashes. S3 takes "." and ".." and empty segments as they are. */
export function encodePath(key: string): string {
  return encode(key).replaceAll("%2F", "/");
}

/** Sorted by the encoded names, as the signature wants it. No two parameters of ours have one name. */
function encodeQuery(query: Query): string {
  return query
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join("&");
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
