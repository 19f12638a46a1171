// Requests to one bucket: signed, tried again where that helps, and told as a failure of ours where it does not.
//
// A request is tried again after network errors, time limits, answers that make no sense, and the statuses and
// codes of failure.ts. What may be stored twice is so with the same bytes; the conditions of put.ts see to the rest.
// Wrong region, wrong clock and expired credentials are each set right once a call, without a pause.

import type { Agent } from "node:http";
import type { Clock, Random } from "../../base/context.ts";
import { debug, type Log, warn } from "../../base/events.ts";
import { formatDuration } from "../../base/format.ts";
import { redact } from "../../base/redact.ts";
import type { Credentials, CredentialsProvider } from "./credentials.ts";
import { type HttpAnswer, type OpenAnswer, openExchange } from "./exchange.ts";
import { failureOfAnswer, failureOfConnection, S3Failure, toReplicaError } from "./failure.ts";
import type { Limits } from "./limits.ts";
import { requestAddress, type S3Place } from "./place.ts";
import { type Provider, providerOf } from "./providers.ts";
import { createSigner, encodePath, type Query } from "./sign.ts";

export type S3Request = {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Whole key; none for requests to the bucket. */
  readonly key?: string;
  readonly query?: Query;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
};

export type CallOptions<Value> = {
  /** What could not be done if it fails: "Cannot list …". */
  readonly what: string;
  readonly signal: AbortSignal;
  /** Makes a value of an answer with status 2xx. What it throws counts as a failed try. */
  readonly read: (answer: OpenAnswer) => Promise<Value>;
  /** Makes a value of a failure that is an answer too, such as 404; undefined leaves it a failure. */
  readonly accept?: (failure: S3Failure, tries: number) => Value | undefined | Promise<Value | undefined>;
};

export type S3Client = {
  readonly provider: Provider;
  readonly limits: Limits;
  call<Value>(request: S3Request, options: CallOptions<Value>): Promise<Value>;
  /** What a failure is told as. */
  failed(what: string, failure: S3Failure, tries?: number): Error;
};

export type ClientOptions = {
  readonly place: S3Place;
  readonly clock: Clock;
  readonly random: Random;
  readonly credentials: CredentialsProvider;
  readonly agent: Agent;
  readonly limits: Limits;
  readonly log?: Log | undefined;
};

/** Credentials that a service answers so may have been replaced by newer ones. */
const STALE_CREDENTIALS = new Set(["ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId"]);

/** Where a service that tells its region is asked first, as AWS's own tools do. */
const FIRST_REGION = "us-east-1";

export function createClient({ place, clock, random, credentials, agent, limits, log }: ClientOptions): S3Client {
  const provider = providerOf(place.endpoint);
  const sign = createSigner();
  let region = place.region ?? FIRST_REGION;
  /** The service's clock minus ours, in milliseconds. */
  let skewMs = 0;

  async function send(request: S3Request, options: { readonly signal: AbortSignal; readonly held: Credentials }) {
    const { origin, host, root } = requestAddress(place, region);
    const { method, key = "", query = [], headers = {}, body } = request;
    const signed = sign(
      { method, path: `${root}${encodePath(key)}`, query, body, headers: { ...provider.headers, ...headers, host } },
      { credentials: options.held, region, nowMs: clock.now() + skewMs },
    );
    const bodyMs = ((body?.byteLength ?? 0) / limits.slowestBytesPerSecond) * 1000;
    const { connectMs, idleMs, requestMs } = limits;
    return openExchange(
      { method, origin, path: signed.path, headers: signed.headers, body },
      { signal: options.signal, agent, connectMs, idleMs, requestMs: Math.round(requestMs + bodyMs) },
    );
  }

  async function attempt<Value>(
    request: S3Request,
    { signal, read, held }: Pick<CallOptions<Value>, "signal" | "read"> & { readonly held: Credentials },
  ): Promise<{ readonly value: Value } | S3Failure> {
    try {
      const answer = await send(request, { signal, held });
      if (answer.status >= 200 && answer.status < 300) return { value: await read(answer) };
      const { status, headers } = answer;
      const body = await answer.bytes().catch(() => new Uint8Array()); // the status says enough
      signal.throwIfAborted();
      return failureOfAnswer({ status, headers, body });
    } catch (error) {
      signal.throwIfAborted();
      return failureOfConnection(error);
    }
  }

  /** Learns from a failure what the next try needs; false where there is nothing to learn. */
  function setRight(failure: S3Failure, held: Credentials, done: Set<string>): boolean {
    const once = (name: string) => !done.has(name) && done.add(name) !== undefined;
    if (failure.code === "RequestTimeTooSkewed" && failure.serverTimeMs !== undefined && once("clock")) {
      skewMs = failure.serverTimeMs - clock.now();
      const ahead = skewMs < 0 ? "ahead of" : "behind";
      log?.(warn("replicate", `this clock is ${formatDuration(Math.abs(skewMs))} ${ahead} that of "${place.bucket}"`));
      return true;
    }
    if (failure.region !== undefined && failure.region !== region && once("region")) {
      region = failure.region;
      log?.(debug("replicate", `"${place.bucket}" is in the region ${region}`));
      return true;
    }
    if (STALE_CREDENTIALS.has(failure.code) && once("credentials")) {
      credentials.refused(held);
      return true;
    }
    return false;
  }

  function pauseMs(failure: S3Failure, tries: number): number {
    if (failure.onKeptConnection && tries === 1) return 0;
    const cap = Math.min(limits.pauseCapMs, limits.pauseMs * 2 ** (tries - 1));
    const asked = Math.min(failure.retryAfterMs ?? 0, limits.retryAfterCapMs);
    return Math.max(asked, cap / 2) + (cap / 2) * random.unit();
  }

  const failed = (what: string, failure: S3Failure, tries = 1, keyId?: string) =>
    toReplicaError(what, failure, { bucket: place.bucket, tries, keyId });

  return {
    provider,
    limits,
    failed,

    async call(request, { what, signal, read, accept }) {
      const done = new Set<string>();
      for (let tries = 1; ; tries += 1) {
        signal.throwIfAborted();
        const held = await credentials.get({ signal });
        const outcome = await attempt(request, { signal, read, held });
        if (!(outcome instanceof S3Failure)) return outcome.value;
        const accepted = await accept?.(outcome, tries);
        if (accepted !== undefined) return accepted;
        if (setRight(outcome, held, done)) {
          tries -= 1;
          continue;
        }
        if (!outcome.retryable || tries >= limits.attempts) {
          throw failed(what, withoutSecrets(outcome, held), tries, held.accessKeyId);
        }
        const ms = pauseMs(outcome, tries);
        const cause = withoutSecrets(outcome, held).message;
        log?.(debug("replicate", `${what}: ${cause}; try ${tries + 1} of ${limits.attempts} in ${formatDuration(ms)}`));
        await clock.sleep(ms, { signal }).catch((error) => {
          throw signal.aborted ? signal.reason : error;
        });
      }
    },
  };
}

/** Reads the whole body. */
export async function wholeAnswer(answer: OpenAnswer): Promise<HttpAnswer> {
  return { status: answer.status, headers: answer.headers, body: await answer.bytes() };
}

/** A service knows the session's token and could echo it. */
function withoutSecrets(failure: S3Failure, { secretAccessKey, sessionToken }: Credentials): S3Failure {
  failure.message = redact(failure.message, [secretAccessKey, sessionToken]);
  return failure;
}
