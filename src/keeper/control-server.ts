// The control socket: HTTP over a UNIX socket beside the database, for its own user alone. Two routes, no files, no
// secrets. docs/control.md describes it. Loaded once the app is on its way, as node:http takes its time to load.

import { once } from "node:events";
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { DEFAULT_SYNC_TIMEOUT_MS, MAX_SYNC_TIMEOUT_MS, type Status, type SyncAnswer } from "../base/control.ts";
import { describe, type FailureCode, FlysqliteError, toFlysqliteError } from "../base/errors.ts";
import { type SocketWay, wayToSocket } from "../base/unix-socket.ts";
import { parseDuration } from "../config/duration.ts";

/** Callers at the same time; each further one is hung up on. A connection takes some 20 kB. */
const MAX_CONNECTIONS = 128;

/** A request has a line or two, in bytes, and comes at once, in milliseconds. */
const MAX_HEADER_BYTES = 4096;
const MAX_BODY_BYTES = 1024;
const REQUEST_MS = 5000;

/** How long a connection that asks nothing is kept, in milliseconds. */
const KEEP_ALIVE_MS = 5000;

export type Control = {
  readonly status: () => Status;
  /** Comes back when everything committed before the call is in the replica. Rejects with a FlysqliteError. */
  readonly sync: (options: { readonly timeoutMs: number; readonly signal: AbortSignal }) => Promise<SyncAnswer>;
};

/**
 * Serves at `path`, of mode 0600, until disposed. A socket that is there is a dead keeper's, as the database's lock is
 * ours; anything else is somebody's, and is left alone: it throws.
 */
export async function serveControl(path: string, control: Control): Promise<AsyncDisposable> {
  const way = wayToSocket(path);
  try {
    const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, connectionsCheckingInterval: 1000 });
    server.maxConnections = MAX_CONNECTIONS;
    server.headersTimeout = REQUEST_MS;
    server.requestTimeout = REQUEST_MS;
    server.keepAliveTimeout = KEEP_ALIVE_MS;
    server.on("request", (request, response) => void respond(request, response, control));
    server.on("clientError", refuseUnread);
    server.on("error", () => {}); // one caller that could not be let in
    await listen(server, way);
    return {
      async [Symbol.asyncDispose]() {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve)); // removes the socket
        way[Symbol.dispose]();
      },
    };
  } catch (error) {
    way[Symbol.dispose]();
    throw error;
  }
}

async function listen(server: Server, { path }: SocketWay): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isSocket()) throw new Error("in its place is something that is no socket");
  if (found !== undefined) unlinkSync(path);
  server.listen(path);
  await once(server, "listening");
  chmodSync(path, 0o600); // nobody else gets into its directory either
}

type Reply = { readonly status: number; readonly body: unknown; readonly headers?: Readonly<Record<string, string>> };

async function respond(request: IncomingMessage, response: ServerResponse, control: Control): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort(new Error("the caller hung up")));
  const reply = await answer(request, control, gone.signal).catch(failure);
  if (response.destroyed) return;
  const body = `${JSON.stringify(reply.body)}\n`;
  // What is left of a body that was not read would be taken for the next request.
  const connection = request.complete ? {} : { connection: "close" };
  response.writeHead(reply.status, { "content-type": "application/json", ...connection, ...reply.headers });
  response.end(body);
}

async function answer(request: IncomingMessage, control: Control, signal: AbortSignal): Promise<Reply> {
  const url = URL.parse(request.url ?? "", "http://flysqlite");
  switch (url?.pathname) {
    case "/status":
      if (request.method !== "GET") return wrongMethod("GET");
      return { status: 200, body: control.status() };
    case "/sync": {
      if (request.method !== "POST") return wrongMethod("POST");
      const timeoutMs = parseTimeout(url.searchParams, await readBody(request));
      return { status: 200, body: await control.sync({ timeoutMs, signal }) };
    }
    default:
      return failure(usage("there is nothing at that path"), 404);
  }
}

/** From the query, or from a body such as {"timeout": "5s"}. */
function parseTimeout(query: URLSearchParams, body: string): number {
  const told = query.get("timeout") ?? timeoutIn(body);
  if (told === undefined) return DEFAULT_SYNC_TIMEOUT_MS;
  let ms: number;
  try {
    ms = parseDuration(told);
  } catch (error) {
    throw usage(`timeout: ${describe(error)}`);
  }
  if (ms > MAX_SYNC_TIMEOUT_MS) throw usage(`timeout: more than ${MAX_SYNC_TIMEOUT_MS / 1000}s`);
  return ms;
}

function timeoutIn(body: string): string | undefined {
  if (body.trim() === "") return undefined;
  const wrong = usage('the body is not like {"timeout": "5s"}');
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw wrong;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong;
  const { timeout, ...others } = value as { readonly [name: string]: unknown };
  if (Object.keys(others).length > 0 || (timeout !== undefined && typeof timeout !== "string")) throw wrong;
  return timeout;
}

/** Not by iterating: to break out of that would hang up before the caller is told why. */
function readBody(request: IncomingMessage): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const chunks: Uint8Array[] = [];
  let length = 0;
  request.on("data", (chunk: Uint8Array) => {
    length += chunk.byteLength;
    if (length <= MAX_BODY_BYTES) return void chunks.push(chunk);
    request.pause();
    reject(usage(`the body is longer than ${MAX_BODY_BYTES} bytes`));
  });
  request.once("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
  request.once("close", () => reject(usage("the body did not come to its end")));
  return promise;
}

function usage(problem: string): FlysqliteError {
  return new FlysqliteError("E_USAGE", `Cannot answer: ${problem}`, { hint: "There are GET /status and POST /sync" });
}

function wrongMethod(allowed: string): Reply {
  return { ...failure(usage(`this path is for ${allowed}`), 405), headers: { allow: allowed } };
}

const STATUS_OF: { readonly [code in FailureCode]?: number } = {
  E_USAGE: 400,
  E_SYNC: 503,
};

function failure(error: unknown, status?: number): Reply {
  const { code, message, hint } = toFlysqliteError(error);
  return { status: status ?? STATUS_OF[code] ?? 500, body: { code, message, hint } };
}

/** For what is no request, or a too long or too slow one: Node has no answer in JSON. */
function refuseUnread(error: Error & { readonly code?: string }, socket: Socket): void {
  if (!socket.writable) return void socket.destroy();
  const [line, problem] =
    error.code === "HPE_HEADER_OVERFLOW"
      ? ["431 Request Header Fields Too Large", "the request's head is too long"]
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? ["408 Request Timeout", "the request did not come to its end"]
        : ["400 Bad Request", "this is no HTTP"];
  const body = `${JSON.stringify(failure(usage(problem)).body)}\n`;
  socket.end(
    `HTTP/1.1 ${line}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
