// A strict S3 service on loopback, in memory, that fails on demand. One bucket; what flysqlite uses of the API, each
// request held to its signature and payload. Kept honest by AWS's own client: test/unit/storage/s3/aws-sdk.test.ts.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html

import { createHash, createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { SaxesParser } from "saxes";

export type Operation =
  | "List"
  | "Get"
  | "Head"
  | "Put"
  | "Delete"
  | "DeleteObjects"
  | "CreateUpload"
  | "UploadPart"
  | "CompleteUpload"
  | "AbortUpload"
  | "ListUploads";

export type Fault =
  /** Answered instead of being done; without a code the body is empty. */
  | { readonly kind: "status"; readonly status: number; readonly code?: string; readonly headers?: Headers }
  /** Done after this time, in milliseconds. */
  | { readonly kind: "latency"; readonly ms: number }
  /** Never answered. "after": done all the same. */
  | { readonly kind: "hang"; readonly when: "before" | "after" | "mid-body" }
  /** The connection is reset. "after" it was done, without an answer; "mid-body": after half of the answer's body. */
  | { readonly kind: "reset"; readonly when: "before" | "after" | "mid-body" }
  /** Done; the answer's body is another one of status 200. */
  | { readonly kind: "body"; readonly body: "error" | "garbage" | "half" | "other-root"; readonly code?: string }
  | { readonly kind: "wrong-etag" }
  /** One bit of the content is another one. */
  | { readonly kind: "wrong-bytes" }
  /** Ends the connection half way through the answer's body, in good order. */
  | { readonly kind: "truncated" }
  /** Goes on without what was changed after the fault was set. */
  | { readonly kind: "stale" };

type Headers = Readonly<Record<string, string>>;

export type StoredObject = {
  /** Empty where the server was told to forget contents. */
  readonly bytes: Uint8Array;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly modifiedMs: number;
  readonly metadata: Headers;
};

export type LoggedRequest = {
  readonly operation: Operation | "none";
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly socket: Socket;
  /** Of the answer; 0 where none was sent. */
  status: number;
};

export type ServerOptions = {
  /** Keys of a page at most. */
  readonly pageKeys?: number;
  readonly minPartBytes?: number;
  readonly region?: string;
  /** Keeps sizes and checksums of contents only. */
  readonly forgetful?: boolean;
  /** Passes over If-None-Match and If-Match, as some services do. */
  readonly ignoresConditions?: boolean;
  /** Called as soon as an object is there, before the answer is sent. */
  readonly onStored?: (key: string, object: StoredObject) => void;
  readonly tls?: { readonly key: string; readonly cert: string };
};

export type S3Server = Awaited<ReturnType<typeof startS3Server>>;

export const BUCKET = "test-bucket";
export const KEY = { accessKeyId: "AKIAFLYSQLITETEST", secretAccessKey: "canary-Kx9/secret+key=of/the/tests0123456" };

/** AWS's bound on the difference of clocks, in milliseconds. */
const MAX_SKEW_MS = 15 * 60_000;

class Refused extends Error {
  readonly status: number;
  readonly code: string;
  readonly more: Headers;
  constructor(status: number, code: string, more: Headers = {}) {
    super(code);
    this.status = status;
    this.code = code;
    this.more = more;
  }
}

type Answer = { readonly status: number; readonly headers?: Headers; readonly body?: string | Uint8Array };
type Upload = {
  readonly key: string;
  readonly metadata: Headers;
  readonly parts: Map<number, StoredObject>;
  readonly begunMs: number;
};
type Request = {
  readonly method: string;
  /** Undefined for requests to the bucket. */
  readonly key: string | undefined;
  readonly query: ReadonlyMap<string, string>;
  readonly headers: IncomingMessage["headers"];
  readonly body: Uint8Array;
};

export async function startS3Server(options: ServerOptions = {}) {
  const { pageKeys = 1000, minPartBytes = 5 * 1024 * 1024, region = "eu-test-1", forgetful = false, tls } = options;
  const { ignoresConditions = false, onStored = () => {} } = options;
  let objects = new Map<string, StoredObject>();
  const uploads = new Map<string, Upload>();
  const requests: LoggedRequest[] = [];
  const planned: {
    readonly operation: Operation;
    readonly fault: Fault;
    readonly keys: RegExp;
    times: number;
    state: Map<string, StoredObject>;
  }[] = [];
  const sockets = new Set<Socket>();
  /** The key that requests must be signed with; the secret of any other id is unknown. */
  let accepted: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } = KEY;
  let clockOffsetMs = 0;
  let uploadCount = 0;
  const now = () => Date.now() + clockOffsetMs;

  function store(body: Uint8Array, more: Partial<StoredObject> = {}): StoredObject {
    return {
      bytes: forgetful ? new Uint8Array() : body,
      sizeBytes: body.byteLength,
      etag: createHash("md5").update(body).digest("hex"),
      modifiedMs: Math.floor(now() / 1000) * 1000, // S3 knows no fractions
      metadata: {},
      ...more,
    };
  }

  function add(key: string, object: StoredObject): void {
    objects.set(key, object);
    onStored(key, object);
  }

  function requireCondition({ headers, key = "" }: Request): void {
    if (ignoresConditions) return;
    const found = objects.get(key);
    if (headers["if-none-match"] === "*" && found !== undefined) throw new Refused(412, "PreconditionFailed");
    const match = headers["if-match"];
    if (match === undefined) return;
    if (found === undefined) throw new Refused(404, "NoSuchKey");
    if (match !== "*" && match !== `"${found.etag}"`) throw new Refused(412, "PreconditionFailed");
  }

  const uploadOf = ({ query, key }: Request): Upload => {
    const upload = uploads.get(query.get("uploadId") ?? "");
    if (upload === undefined || upload.key !== key) throw new Refused(404, "NoSuchUpload");
    return upload;
  };

  const perform: Readonly<Record<Operation, (request: Request) => Answer>> = {
    List: ({ query }) => list(objects, query, pageKeys),
    Get: (request) => get(objects, request),
    Head: (request) => ({ ...get(objects, request), body: "" }),
    Put(request) {
      requireCondition(request);
      const stored = store(request.body, { metadata: metadataOf(request.headers) });
      add(request.key ?? "", stored);
      return { status: 200, headers: { etag: `"${stored.etag}"` } };
    },
    Delete({ key = "" }) {
      objects.delete(key);
      return { status: 204 };
    },
    DeleteObjects({ headers, body }) {
      if (headers["content-md5"] === undefined && headers["x-amz-checksum-crc32"] === undefined)
        throw new Refused(400, "InvalidRequest");
      const keys = readTexts(body, "Key");
      if (keys.length === 0 || keys.length > 1000) throw new Refused(400, "MalformedXML");
      for (const key of keys) objects.delete(key);
      return { status: 200, body: `${XML}<DeleteResult></DeleteResult>` };
    },
    CreateUpload({ key = "", headers }) {
      uploadCount += 1;
      const id = `upload/${uploadCount}+=`;
      uploads.set(id, { key, metadata: metadataOf(headers), parts: new Map(), begunMs: now() });
      const result = `<Bucket>${BUCKET}</Bucket><Key>${escapeText(key)}</Key><UploadId>${escapeText(id)}</UploadId>`;
      return { status: 200, body: `${XML}<InitiateMultipartUploadResult>${result}</InitiateMultipartUploadResult>` };
    },
    UploadPart(request) {
      const number = Number(request.query.get("partNumber"));
      if (!Number.isInteger(number) || number < 1 || number > 10_000) throw new Refused(400, "InvalidArgument");
      const part = store(request.body);
      uploadOf(request).parts.set(number, part);
      return { status: 200, headers: { etag: `"${part.etag}"` } };
    },
    CompleteUpload(request) {
      const { parts, metadata } = uploadOf(request);
      requireCondition(request);
      const numbers = readTexts(request.body, "PartNumber").map(Number);
      const tags = readTexts(request.body, "ETag");
      const chosen = numbers.map((number, index) => {
        if (index > 0 && number <= (numbers[index - 1] ?? 0)) throw new Refused(400, "InvalidPartOrder");
        const part = parts.get(number);
        if (part === undefined || tags[index] !== `"${part.etag}"`) throw new Refused(400, "InvalidPart");
        if (index < numbers.length - 1 && part.sizeBytes < minPartBytes) throw new Refused(400, "EntityTooSmall");
        return part;
      });
      if (chosen.length === 0) throw new Refused(400, "MalformedXML");
      const digests = createHash("md5").update(Buffer.from(chosen.map(({ etag }) => etag).join(""), "hex"));
      const etag = `${digests.digest("hex")}-${chosen.length}`;
      const sizeBytes = chosen.reduce((sum, part) => sum + part.sizeBytes, 0);
      const bytes = Buffer.concat(chosen.map((part) => part.bytes));
      add(request.key ?? "", store(bytes, { etag, metadata, sizeBytes }));
      uploads.delete(request.query.get("uploadId") ?? "");
      const result = `<Bucket>${BUCKET}</Bucket><ETag>&quot;${etag}&quot;</ETag>`;
      return { status: 200, body: `${XML}<CompleteMultipartUploadResult>${result}</CompleteMultipartUploadResult>` };
    },
    ListUploads({ query }) {
      const after = [query.get("key-marker") ?? "", query.get("upload-id-marker") ?? ""].join("\0");
      const place = ([id, { key }]: readonly [string, Upload]) => [key, id].join("\0");
      const all = [...uploads]
        .filter((upload) => upload[1].key.startsWith(query.get("prefix") ?? "") && place(upload) > after)
        .sort((a, b) => (place(a) < place(b) ? -1 : 1));
      const page = all.slice(0, pageKeys);
      const encoded = query.get("encoding-type") === "url";
      const written = (key: string) => (encoded ? encode(key).replaceAll("%20", "+") : escapeText(key));
      const listed = page.map(
        ([id, { key, begunMs }]) =>
          `<Upload><Key>${written(key)}</Key><UploadId>${escapeText(id)}</UploadId><Initiated>${new Date(begunMs).toISOString()}</Initiated></Upload>`,
      );
      const [lastId = "", last] = page.at(-1) ?? [];
      const more =
        all.length > page.length
          ? `<IsTruncated>true</IsTruncated><NextKeyMarker>${written(last?.key ?? "")}</NextKeyMarker><NextUploadIdMarker>${escapeText(lastId)}</NextUploadIdMarker>`
          : "<IsTruncated>false</IsTruncated>";
      const body = `${encoded ? "<EncodingType>url</EncodingType>" : ""}${more}${listed.join("")}`;
      return { status: 200, body: `${XML}<ListMultipartUploadsResult>${body}</ListMultipartUploadsResult>` };
    },
    AbortUpload(request) {
      uploadOf(request);
      uploads.delete(request.query.get("uploadId") ?? "");
      return { status: 204 };
    },
  };

  function takeFault(operation: Operation, { key = "" }: Request): (typeof planned)[number] | undefined {
    const found = planned.find(
      ({ keys, times, ...plan }) => plan.operation === operation && times > 0 && keys.test(key),
    );
    if (found !== undefined) found.times -= 1;
    return found;
  }

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const { method = "", url = "", headers } = incoming;
    const request = readRequest(incoming, Buffer.concat(chunks));
    const operation = operationOf(request);
    const logged: LoggedRequest = { operation, method, path: url, headers, socket: incoming.socket, status: 0 };
    requests.push(logged);
    const plan = operation === "none" ? undefined : takeFault(operation, request);
    const fault = plan?.fault;
    const reset = () => incoming.socket.resetAndDestroy();

    if (fault?.kind === "latency") await new Promise((resolve) => setTimeout(resolve, fault.ms));
    if (fault?.kind === "reset" && fault.when === "before") return reset() && undefined;
    if (fault?.kind === "hang" && fault.when === "before") return;

    let answer: Answer;
    const kept = objects;
    try {
      if (operation === "none") throw new Refused(501, "NotImplemented");
      authorize(request, url, { accepted, region, nowMs: now() });
      if (fault?.kind === "status") throw new Refused(fault.status, fault.code ?? "", fault.headers);
      if (fault?.kind === "stale" && plan !== undefined) objects = plan.state;
      answer = perform[operation](request);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      answer = refusal(error, { region, secret: accepted.secretAccessKey });
    } finally {
      objects = kept;
    }

    if (fault?.kind === "reset" && fault.when === "after") return reset() && undefined;
    if (fault?.kind === "hang" && fault.when === "after") return;
    answer = spoil(answer, fault);
    logged.status = answer.status;
    const body = typeof answer.body === "object" ? answer.body : Buffer.from(answer.body ?? "");
    response.statusCode = answer.status;
    response.setHeader("date", new Date(now()).toUTCString());
    response.setHeader("x-amz-request-id", "TEST");
    for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
    if (!response.hasHeader("content-length") && answer.status !== 204)
      response.setHeader("content-length", body.byteLength);
    const broken =
      fault?.kind === "truncated" || ((fault?.kind === "reset" || fault?.kind === "hang") && fault.when === "mid-body");
    if (method === "HEAD" || !broken || body.byteLength === 0) {
      response.end(body);
      return;
    }
    response.write(body.subarray(0, Math.floor(body.byteLength / 2)), () => {
      if (fault.kind === "reset")
        setTimeout(reset, 10); // so that the half arrives
      else if (fault.kind === "truncated") incoming.socket.end();
    });
  }

  const handle = (incoming: IncomingMessage, response: ServerResponse) => {
    serve(incoming, response).catch((error) => {
      if (incoming.socket.destroyed) return;
      response.statusCode = 599; // a defect of this file: no test expects it
      response.end(String(error));
    });
  };
  const server = tls === undefined ? createServer(handle) : createTlsServer(tls, handle);
  server.on(tls === undefined ? "connection" : "secureConnection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  return {
    origin: `${tls === undefined ? "http" : "https"}://${tls === undefined ? "127.0.0.1" : "localhost"}:${port}`,
    port,
    region,
    /** What is stored, by whole key. */
    objects,
    /** Uploads that were begun and neither completed nor aborted, by id. */
    uploads,
    /** All requests so far. */
    requests,

    /** Lets the next `times` requests of this kind fail, of those for keys like these. */
    fail(operation: Operation, fault: Fault, times = 1, keys = /(?:)/): void {
      planned.push({ operation, fault, keys, times, state: new Map(objects) });
    },
    /** Faults that have not happened yet are taken back. */
    heal(): void {
      planned.length = 0;
    },
    accept(key: typeof accepted): void {
      accepted = key;
    },
    /** Puts an object there as someone else would. */
    put(key: string, content: string | Uint8Array, more: Partial<StoredObject> = {}): void {
      objects.set(key, store(Buffer.from(content), more));
    },
    setClockOffset(ms: number): void {
      clockOffsetMs = ms;
    },
    count: (operation: Operation) => requests.filter((request) => request.operation === operation).length,
    /** Ends connections that nothing is sent on. */
    closeConnections(): void {
      for (const socket of sockets) socket.destroy();
    },

    async [Symbol.asyncDispose](): Promise<void> {
      server.close();
      for (const socket of sockets) socket.destroy();
      if (server.listening) await once(server, "close");
    },
  };
}

const XML = '<?xml version="1.0" encoding="UTF-8"?>\n';

function readRequest({ method = "", url = "", headers }: IncomingMessage, body: Uint8Array): Request {
  const [path = "", search = ""] = url.split(/\?(.*)/s);
  const byHost = headers.host?.startsWith(`${BUCKET}.`) === true;
  const [bucket, rest] = byHost ? [BUCKET, path.slice(1)] : path.slice(1).split(/\/(.*)/s);
  if (bucket !== BUCKET) return { method, key: undefined, query: new Map([["bucket", "absent"]]), headers, body };
  const query = new Map(
    search
      .split("&")
      .filter((pair) => pair !== "")
      .map((pair) => {
        const [name = "", value = ""] = pair.split(/=(.*)/s);
        return [decodeURIComponent(name), decodeURIComponent(value)] as const;
      }),
  );
  query.delete("x-id"); // AWS's client names its operation so
  const key = decodeURIComponent(rest ?? "");
  return { method, key: key === "" ? undefined : key, query, headers, body };
}

function operationOf({ method, key, query }: Request): Operation | "none" {
  if (query.get("bucket") === "absent") return method === "GET" ? "List" : "Put";
  const uploads = query.has("uploadId");
  if (key === undefined) {
    if (method === "GET" && query.has("uploads")) return "ListUploads";
    if (method === "GET" && (query.get("list-type") === "2" || query.has("prefix"))) return "List";
    return method === "POST" && query.has("delete") ? "DeleteObjects" : "none";
  }
  if (method === "GET") return "Get";
  if (method === "HEAD") return "Head";
  if (method === "PUT") return uploads ? "UploadPart" : "Put";
  if (method === "DELETE") return uploads ? "AbortUpload" : "Delete";
  if (method !== "POST") return "none";
  return uploads ? "CompleteUpload" : query.has("uploads") ? "CreateUpload" : "none";
}

/** Throws unless the request was signed with the accepted key, for this region and time, and has the signed payload. */
function authorize(
  { method, headers, body, query }: Request,
  url: string,
  told: {
    readonly accepted: {
      readonly accessKeyId: string;
      readonly secretAccessKey: string;
      readonly sessionToken?: string;
    };
    readonly region: string;
    readonly nowMs: number;
  },
): void {
  const pattern =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/;
  const [, id, day = "", region = "", names = "", signature] = pattern.exec(headers.authorization ?? "") ?? [];
  if (id === undefined) throw new Refused(403, "AccessDenied");
  if (region !== told.region)
    throw new Refused(400, "AuthorizationHeaderMalformed", { "x-amz-bucket-region": told.region });
  if (id !== told.accepted.accessKeyId) throw new Refused(403, "InvalidAccessKeyId");
  const time = String(headers["x-amz-date"]);
  const [, year, month, date, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(time) ?? [];
  const signedMs = Date.parse(`${year}-${month}-${date}T${hour}:${minute}:${second}Z`);
  if (!time.startsWith(day) || !(Math.abs(signedMs - told.nowMs) <= MAX_SKEW_MS))
    throw new Refused(403, "RequestTimeTooSkewed");
  if (headers["x-amz-security-token"] !== told.accepted.sessionToken) throw new Refused(400, "InvalidToken");

  const signed = names.split(";");
  const unsigned = Object.keys(headers).find(
    (name) => (name === "host" || name.startsWith("x-amz-")) && !signed.includes(name),
  );
  if (unsigned !== undefined || signed.join() !== [...signed].sort().join())
    throw new Refused(403, "SignatureDoesNotMatch");
  const payload = String(headers["x-amz-content-sha256"]);
  const [path = "", search = ""] = url.split(/\?(.*)/s);
  const canonicalQuery = search
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const [name = "", value = ""] = pair.split(/=(.*)/s);
      return `${encode(decodeURIComponent(name))}=${encode(decodeURIComponent(value))}`;
    })
    .sort()
    .join("&");
  const canonicalPath = encode(decodeURIComponent(path)).replaceAll("%2F", "/");
  const lines = signed.map((name) => `${name}:${String(headers[name]).trim().replace(/ +/g, " ")}`);
  const canonical = [method, canonicalPath, canonicalQuery, ...lines, "", names, payload].join("\n");
  const hashed = createHash("sha256").update(canonical).digest("hex");
  const toSign = ["AWS4-HMAC-SHA256", time, `${day}/${region}/s3/aws4_request`, hashed].join("\n");
  const start = Buffer.from(`AWS4${told.accepted.secretAccessKey}`);
  const key = [day, region, "s3", "aws4_request"].reduce<Buffer>((key, part) => hmac(key, part), start);
  if (hmac(key, toSign).toString("hex") !== signature) throw new Refused(403, "SignatureDoesNotMatch");
  if (payload !== createHash("sha256").update(body).digest("hex")) throw new Refused(400, "XAmzContentSHA256Mismatch");
  const md5 = headers["content-md5"];
  if (md5 !== undefined && md5 !== createHash("md5").update(body).digest("base64")) throw new Refused(400, "BadDigest");
  if (query.get("bucket") === "absent") throw new Refused(404, "NoSuchBucket");
}

function get(objects: ReadonlyMap<string, StoredObject>, { key = "", headers }: Request): Answer {
  const found = objects.get(key);
  if (found === undefined) throw new Refused(404, "NoSuchKey");
  const match = headers["if-match"];
  if (match !== undefined && match !== `"${found.etag}"`) throw new Refused(412, "PreconditionFailed");
  const described = {
    etag: `"${found.etag}"`,
    "last-modified": new Date(found.modifiedMs).toUTCString(),
    "accept-ranges": "bytes",
    ...found.metadata,
  };
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
  if (first === undefined)
    return { status: 200, headers: { ...described, "content-length": String(found.sizeBytes) }, body: found.bytes };
  const [start, end] = [Number(first), Math.min(last ? Number(last) + 1 : found.sizeBytes, found.sizeBytes)];
  if (start >= found.sizeBytes) throw new Refused(416, "InvalidRange");
  return {
    status: 206,
    headers: {
      ...described,
      "content-range": `bytes ${start}-${end - 1}/${found.sizeBytes}`,
      "content-length": String(end - start),
    },
    body: found.bytes.subarray(start, end),
  };
}

/** ListObjectsV2, and what Litestream 0.3 asks for: its predecessor, with keys up to a delimiter as one. */
function list(
  objects: ReadonlyMap<string, StoredObject>,
  query: ReadonlyMap<string, string>,
  pageKeys: number,
): Answer {
  const prefix = query.get("prefix") ?? "";
  const delimiter = query.get("delimiter") ?? "";
  const after =
    Buffer.from(query.get("continuation-token") ?? "", "base64").toString() ||
    (query.get("start-after") ?? query.get("marker") ?? "");
  const asked = Math.min(Number(query.get("max-keys") ?? 1000), pageKeys);
  const order = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
  const entryOf = (key: string) => {
    const end = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    return end === -1 ? key : key.slice(0, end + delimiter.length);
  };
  const matching = [...objects.keys()].filter((key) => key.startsWith(prefix)).map(entryOf);
  const all = [...new Set(matching)].filter((entry) => order(entry, after) > 0).sort(order);
  const page = all.slice(0, asked);
  const encoded = query.get("encoding-type") === "url";
  const written = (key: string) =>
    encoded ? encode(key).replaceAll("%2F", "/").replaceAll("%20", "+") : escapeText(key);
  const contents = page.map((key) => {
    const found = objects.get(key);
    if (found === undefined) return `<CommonPrefixes><Prefix>${written(key)}</Prefix></CommonPrefixes>`;
    return `<Contents><Key>${written(key)}</Key><LastModified>${new Date(found.modifiedMs).toISOString()}</LastModified><ETag>&quot;${found.etag}&quot;</ETag><Size>${found.sizeBytes}</Size><StorageClass>STANDARD</StorageClass></Contents>`;
  });
  const last = page.at(-1) ?? "";
  const next = `<NextContinuationToken>${Buffer.from(last).toString("base64")}</NextContinuationToken><NextMarker>${written(last)}</NextMarker>`;
  const more = all.length > page.length ? `<IsTruncated>true</IsTruncated>${next}` : "<IsTruncated>false</IsTruncated>";
  const head = `<Name>${BUCKET}</Name><Prefix>${written(prefix)}</Prefix><KeyCount>${page.length}</KeyCount><MaxKeys>${asked}</MaxKeys>${encoded ? "<EncodingType>url</EncodingType>" : ""}`;
  return {
    status: 200,
    body: `${XML}<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${head}${more}${contents.join("")}</ListBucketResult>`,
  };
}

/** AWS tells much in its answers to wrong signatures, which must not come through to a log. */
function refusal(
  { status, code, more }: Refused,
  { region, secret }: { readonly region: string; readonly secret: string },
): Answer {
  if (code === "") return { status, headers: more };
  const hint = more["x-amz-bucket-region"] === undefined ? "" : `<Region>${region}</Region>`;
  const echo = code === "SignatureDoesNotMatch" ? `<StringToSign>${escapeText(secret)}</StringToSign>` : "";
  const message = `The service says ${code}.`;
  const body = `${XML}<Error><Code>${code}</Code><Message>${message}</Message>${hint}${echo}</Error>`;
  return { status, headers: { "content-type": "application/xml", ...more }, body };
}

function spoil(answer: Answer, fault: Fault | undefined): Answer {
  if (fault?.kind === "wrong-etag") {
    const etag = `"${createHash("md5").update("something else").digest("hex")}"`;
    const body =
      typeof answer.body === "string"
        ? answer.body.replace(/<ETag>.*<\/ETag>/, `<ETag>${escapeText(etag)}</ETag>`)
        : answer.body;
    return { ...answer, headers: { ...answer.headers, etag }, ...(body === undefined ? {} : { body }) };
  }
  if (fault?.kind === "wrong-bytes") {
    const body = Buffer.from(answer.body ?? "");
    body[body.byteLength >> 1] = (body[body.byteLength >> 1] ?? 0) ^ 1;
    return { ...answer, body };
  }
  if (fault?.kind !== "body") return answer;
  const { "content-length": _, ...headers } = answer.headers ?? {};
  const { code = "InternalError" } = fault;
  const bodies = {
    error: `${XML}<Error><Code>${code}</Code><Message>in the body</Message></Error>`,
    garbage: "<html>502 & <br> try again",
    half: String(answer.body ?? "").slice(0, -20),
    "other-root": `${XML}<Something/>`,
  };
  return { status: 200, headers, body: bodies[fault.body] };
}

function metadataOf(headers: IncomingMessage["headers"]): Headers {
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => name.startsWith("x-amz-meta-"))
      .map(([name, value]) => [name, String(value)]),
  );
}

/** The texts of all elements of a name. */
function readTexts(xml: Uint8Array, name: string): readonly string[] {
  const found: string[] = [];
  let inside: string | undefined;
  const parser = new SaxesParser();
  parser.on("error", () => {
    throw new Refused(400, "MalformedXML");
  });
  parser.on("opentag", (tag) => {
    inside = tag.name === name ? "" : undefined;
  });
  parser.on("text", (text) => {
    if (inside !== undefined) inside += text;
  });
  parser.on("closetag", (tag) => {
    if (tag.name === name && inside !== undefined) found.push(inside);
    inside = undefined;
  });
  parser.write(Buffer.from(xml).toString()).close();
  return found;
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function escapeText(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
