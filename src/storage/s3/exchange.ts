// One HTTP request and its answer, over node:http and node:https. No retries, no S3.
//
// Never over the global fetch(): it keeps tens of megabytes after some hundred uploads, see ../README.md.
// Certificates are always verified: the option stands here because NODE_TLS_REJECT_UNAUTHORIZED could lift the default.

import {
  type ClientRequest,
  Agent as HttpAgent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as overHttp,
} from "node:http";
import { Agent as HttpsAgent, request as overHttps } from "node:https";
import { KEEP_CONNECTION_MS, LIMITS, MAX_ANSWER_BYTES, MAX_CONNECTIONS } from "./limits.ts";

export type HttpRequest = {
  readonly method: string;
  /** Origin of the server: "https://host:port". */
  readonly origin: string;
  /** Path and query, encoded; sent as it is. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
};

export type HttpAnswer = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
};

/** An answer whose body is still to come. One of its three methods must be called. */
export type OpenAnswer = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The whole body, within the request's time limit. Fails where it is larger than an answer may be. */
  bytes(): Promise<Uint8Array>;
  /** The body in chunks. Bounded by idle time only, which doesn't count while the reader is busy. */
  stream(): AsyncGenerator<Uint8Array, void, void>;
  /** Gives up the body, and the connection with it. */
  discard(): void;
};

export type ExchangeOptions = {
  readonly signal: AbortSignal;
  readonly agent?: HttpAgent | undefined;
  readonly connectMs?: number;
  readonly idleMs?: number;
  /** For the whole exchange, up to the end of bytes(). */
  readonly requestMs?: number;
};

export type Exchange = (request: HttpRequest, options: ExchangeOptions) => Promise<HttpAnswer>;

/** A time limit that was reached. */
export class TimeoutError extends Error {
  readonly code = "ETIMEDOUT";
}

/** Keeps connections for the next request. `ca`: certificates in PEM, to be trusted in place of the usual ones. */
export function createAgent({ tls, ca }: { readonly tls: boolean; readonly ca?: string | undefined }): HttpAgent {
  const options = {
    keepAlive: true,
    maxSockets: MAX_CONNECTIONS,
    scheduling: "lifo",
    timeout: KEEP_CONNECTION_MS,
  } as const;
  if (!tls) return new HttpAgent(options);
  return new HttpsAgent({
    ...options,
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
    ...(ca === undefined ? {} : { ca }),
  });
}

/** Sends a request and reads the whole answer. */
export const exchange: Exchange = async (request, options) => {
  const answer = await openExchange(request, options);
  return { status: answer.status, headers: answer.headers, body: await answer.bytes() };
};

/** Sends a request; settles when the head of the answer is there. */
export async function openExchange(request: HttpRequest, options: ExchangeOptions): Promise<OpenAnswer> {
  const { signal, connectMs = LIMITS.connectMs, idleMs = LIMITS.idleMs, requestMs = LIMITS.requestMs } = options;
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = start(request, options.agent);

  /** Why we ended it ourselves, which tells more than the broken connection that follows. */
  let ended: unknown;
  const end = (reason: unknown) => {
    ended ??= reason;
    outgoing.destroy();
    reject(reason);
  };
  const late = (what: string, ms: number) => end(new TimeoutError(`${what} within ${ms} ms`));
  const onAbort = () => end(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const whole = setTimeout(() => late("no whole answer", requestMs), requestMs);
  let connecting: NodeJS.Timeout | undefined;
  const settle = () => {
    signal.removeEventListener("abort", onAbort);
    clearTimeout(whole);
    clearTimeout(connecting);
  };

  outgoing.once("socket", (socket) => {
    if (!socket.connecting) return;
    connecting = setTimeout(() => late("no connection", connectMs), connectMs);
    socket.once("encrypted" in socket ? "secureConnect" : "connect", () => clearTimeout(connecting));
  });
  outgoing.setTimeout(idleMs, () => late("nothing sent or received", idleMs));
  outgoing.on("error", (error) => reject(Object.assign(error, { onKeptConnection: outgoing.reusedSocket })));
  outgoing.once("response", (message) => {
    message.once("error", () => {}); // readers see it too; without one it must not end the process
    resolve(message);
  });
  outgoing.end(request.body);

  let message: IncomingMessage;
  try {
    message = await promise;
  } catch (error) {
    settle();
    throw error;
  }

  return {
    status: message.statusCode ?? 0,
    headers: message.headers,
    async bytes() {
      const chunks: Uint8Array[] = [];
      let sizeBytes = 0;
      try {
        for await (const chunk of message as AsyncIterable<Uint8Array>) {
          sizeBytes += chunk.byteLength;
          if (sizeBytes > MAX_ANSWER_BYTES) throw new Error(`an answer of more than ${MAX_ANSWER_BYTES} bytes`);
          chunks.push(chunk);
        }
        return Buffer.concat(chunks, sizeBytes);
      } catch (error) {
        throw ended ?? error;
      } finally {
        settle();
      }
    },
    async *stream() {
      clearTimeout(whole);
      outgoing.setTimeout(0);
      const chunks: AsyncIterator<Uint8Array> = message[Symbol.asyncIterator]();
      try {
        for (;;) {
          const idle = setTimeout(() => late("nothing received", idleMs), idleMs);
          let next: IteratorResult<Uint8Array>;
          try {
            next = await chunks.next();
          } finally {
            clearTimeout(idle);
          }
          if (next.done === true) return;
          yield next.value;
          if (ended !== undefined) throw ended; // while the reader was busy: what is buffered is of no use
        }
      } catch (error) {
        throw ended ?? error;
      } finally {
        settle();
        await chunks.return?.(); // ends the connection unless all was read
      }
    },
    discard() {
      settle();
      outgoing.destroy();
    },
  };
}

function start({ method, origin, path, headers, body }: HttpRequest, agent: HttpAgent | undefined): ClientRequest {
  const { protocol, hostname, port } = new URL(origin);
  const options = {
    method,
    path,
    hostname: hostname.replace(/^\[|\]$/g, ""), // an IPv6 address stands in brackets in a url only
    ...(port === "" ? {} : { port }),
    headers: { ...headers, ...(body === undefined ? {} : { "content-length": String(body.byteLength) }) },
    ...(agent === undefined ? {} : { agent }),
  };
  return protocol === "https:"
    ? overHttps({ ...options, rejectUnauthorized: true, minVersion: "TLSv1.2" })
    : overHttp(options);
}
