// As much of S3 as a start and its last sync ask for, on loopback: what is put can be got, listed and deleted, on the
// conditions that If-Match and If-None-Match name. It believes everybody.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/, ListObjectsV2, GetObject, PutObject, DeleteObject

import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export type Bucket = AsyncDisposable & {
  /** Variables that tell a program to replicate into it. */
  readonly environment: Readonly<Record<string, string>>;
};

type Answer = { readonly status: number; readonly body?: string | Uint8Array; readonly etag?: string };

export async function startBucket(): Promise<Bucket> {
  const objects = new Map<string, Uint8Array>();
  const server = createServer(async (request, response) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { status, body = "", etag } = answer(objects, request, Buffer.concat(chunks));
    const tag = etag === undefined ? {} : { etag };
    response.writeHead(status, { ...tag, "content-length": Buffer.byteLength(body) }).end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    environment: {
      FLYSQLITE_REPLICA: "s3://bucket/db",
      AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      AWS_REGION: "auto",
      AWS_ACCESS_KEY_ID: "rehearsal",
      AWS_SECRET_ACCESS_KEY: "rehearsal",
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function answer(
  objects: Map<string, Uint8Array>,
  { method, url = "", headers }: IncomingMessage,
  body: Uint8Array,
): Answer {
  const { pathname, searchParams } = new URL(url, "http://bucket");
  const key = decodeURIComponent(pathname.replace(/^\/bucket\/?/, ""));
  if (searchParams.has("uploads")) return { status: 200, body: xml("ListMultipartUploadsResult", NO_MORE) };
  if (key === "") return { status: 200, body: xml("ListBucketResult", NO_MORE + list(objects, searchParams)) };

  const found = objects.get(key);
  if (method === "PUT") {
    const { "if-none-match": noneMatch, "if-match": match } = headers;
    if (noneMatch === "*" && found !== undefined) return refused(412, "PreconditionFailed");
    if (match !== undefined && (found === undefined || match !== tagOf(found)))
      return refused(412, "PreconditionFailed");
    objects.set(key, body);
    return { status: 200, etag: tagOf(body) };
  }
  if (method === "DELETE") {
    objects.delete(key);
    return { status: 204 };
  }
  return found === undefined ? refused(404, "NoSuchKey") : { status: 200, body: found, etag: tagOf(found) };
}

/** One page is enough for what a start leaves behind. */
const NO_MORE = "<IsTruncated>false</IsTruncated>";

function list(objects: ReadonlyMap<string, Uint8Array>, query: URLSearchParams): string {
  const modified = new Date().toISOString();
  return [...objects]
    .filter(([key]) => key.startsWith(query.get("prefix") ?? ""))
    .map(
      ([key, { byteLength }]) =>
        `<Contents><Key>${key}</Key><Size>${byteLength}</Size><LastModified>${modified}</LastModified></Contents>`,
    )
    .join("");
}

const refused = (status: number, code: string): Answer => ({ status, body: xml("Error", `<Code>${code}</Code>`) });
const xml = (name: string, content: string) => `<?xml version="1.0"?><${name}>${content}</${name}>`;
const tagOf = (bytes: Uint8Array) => `"${createHash("md5").update(bytes).digest("hex")}"`;
