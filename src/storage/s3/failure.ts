// What can go wrong between us and a bucket: read from answers and errors, and told as ours.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html

import type { IncomingHttpHeaders } from "node:http";
import { describe, FlysqliteError, systemCode } from "../../base/errors.ts";
import { lastFour } from "../../base/redact.ts";
import type { HttpAnswer } from "./exchange.ts";
import { childText, type Element, parseXml } from "./xml.ts";

/** One try that failed. Holds nothing that is secret: no headers, no body. */
export class S3Failure extends Error {
  /** S3's code ("SlowDown"), a system's ("ECONNRESET") or "". */
  readonly code: string;
  /** HTTP status; 0 where no answer came. */
  readonly status: number;
  /** Whether the same request may fare better. */
  readonly retryable: boolean;
  /** Pause that the service asks for, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** Region that the service names. */
  readonly region: string | undefined;
  /** The service's clock, in milliseconds since the Unix epoch. */
  readonly serverTimeMs: number | undefined;
  /** A kept connection had been closed meanwhile: no sign of trouble. */
  readonly onKeptConnection: boolean;

  constructor(
    message: string,
    told: {
      readonly code?: string;
      readonly status?: number;
      readonly retryable: boolean;
      readonly retryAfterMs?: number | undefined;
      readonly region?: string | undefined;
      readonly serverTimeMs?: number | undefined;
      readonly onKeptConnection?: boolean;
      readonly cause?: unknown;
    },
  ) {
    super(message, told.cause === undefined ? undefined : { cause: told.cause });
    this.name = "S3Failure";
    this.code = told.code ?? "";
    this.status = told.status ?? 0;
    this.retryable = told.retryable;
    this.retryAfterMs = told.retryAfterMs;
    this.region = told.region;
    this.serverTimeMs = told.serverTimeMs;
    this.onKeptConnection = told.onKeptConnection ?? false;
  }
}

const RETRYABLE_STATUSES = new Set([408, 429, 500, 502, 503, 504]);

/** Worth a retry whatever their status, which differs from service to service. */
const RETRYABLE_CODES = new Set([
  "BadDigest", // the body was damaged on its way
  "XAmzContentSHA256Mismatch",
  "IncompleteBody",
  "ConditionalRequestConflict",
  "OperationAborted",
  "InternalError",
  "RequestCanceled",
  "RequestLimitExceeded",
  "RequestTimeout",
  "RequestTimeoutException",
  "ServiceUnavailable",
  "SlowDown",
  "Throttling",
  "ThrottlingException",
  "TooManyRequests",
]);

/** Refusals that come with other statuses than 401 and 403 too. */
const DENIALS = new Set([
  "AccessDenied",
  "AllAccessDisabled",
  "ExpiredToken",
  "InvalidAccessKeyId",
  "InvalidToken",
  "RequestTimeTooSkewed",
  "SignatureDoesNotMatch",
  "TokenRefreshRequired",
]);

/** Certificates that don't convince. Never taken for a network that is down: someone may stand in between. */
const DISTRUST =
  /^(CERT_|UNABLE_TO_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH|PATH_LENGTH_EXCEEDED|ERR_TLS_CERT_ALTNAME_INVALID|ERR_TLS_CERT_SIGNATURE)/;

/** Longest text of a service that is told on, in characters. */
const MAX_TOLD = 200;

/** An error's code that stands for what was wrong with an answer that came with status 200. */
export const BAD_ANSWER = "BadAnswer";

/** The failure that an answer tells: every status but 2xx, and an error in the body of a 200. */
export function failureOfAnswer({ status, headers, body }: HttpAnswer): S3Failure {
  const told = readError(body);
  const code = told.code ?? "";
  const what = [status === 200 ? undefined : String(status), code === "" ? undefined : code].filter(Boolean).join(" ");
  return new S3Failure(told.message === undefined ? what : `${what}: ${told.message}`, {
    code,
    status,
    retryable: RETRYABLE_STATUSES.has(status) || RETRYABLE_CODES.has(code),
    retryAfterMs: readRetryAfter(headers),
    region: readRegion(headers["x-amz-bucket-region"]) ?? readRegion(told.region),
    serverTimeMs: readTime(headers.date),
  });
}

/** The failure that stands in a body of status 200, or undefined. */
function failureInBody(root: Element, answer: HttpAnswer): S3Failure | undefined {
  return root.name === "Error" ? failureOfAnswer(answer) : undefined;
}

/** An answer that should have been another one: half of one, or from something that isn't S3. */
export function badAnswer(what: string, cause?: unknown): S3Failure {
  return new S3Failure(what, { code: BAD_ANSWER, retryable: true, cause });
}

/** The failure behind an error of a connection. */
export function failureOfConnection(error: unknown): S3Failure {
  if (error instanceof S3Failure) return error;
  const code = systemCode(error) ?? "";
  // Several addresses were tried: each has its own error, and the group's message is empty.
  const text = describe(error) === "" ? code : describe(error);
  const onKeptConnection = error instanceof Error && "onKeptConnection" in error && error.onKeptConnection === true;
  return new S3Failure(printable(text), { code, retryable: !DISTRUST.test(code), onKeptConnection, cause: error });
}

/** What a user reads of it. */
export function toReplicaError(
  what: string,
  failure: S3Failure,
  {
    bucket,
    keyId,
    tries = 1,
  }: { readonly bucket: string; readonly keyId?: string | undefined; readonly tries?: number },
): FlysqliteError {
  const after = tries > 1 ? `, after ${tries} tries` : "";
  if (failure.code === "NoSuchBucket") {
    return new FlysqliteError(
      "E_REPLICA_UNREACHABLE",
      `${what}: the bucket "${bucket}" does not exist (NoSuchBucket)`,
      {
        cause: failure,
        hint: "Make the bucket, or check its name and the endpoint",
      },
    );
  }
  if (DISTRUST.test(failure.code)) {
    return new FlysqliteError(
      "E_REPLICA_DENIED",
      `${what}: the server's certificate is not trusted: ${failure.message} (${failure.code})`,
      { cause: failure, hint: "Check the endpoint, and that the image has CA certificates" },
    );
  }
  const denied = failure.status === 401 || failure.status === 403 || DENIALS.has(failure.code);
  const key = denied && keyId !== undefined ? `, with the key ${lastFour(keyId)}` : "";
  return new FlysqliteError(
    denied ? "E_REPLICA_DENIED" : "E_REPLICA_UNREACHABLE",
    `${what}: ${failure.message}${key}${after}`,
    { cause: failure, ...(denied ? {} : { hint: "Check the bucket's endpoint and that it can be reached" }) },
  );
}

type ToldError = {
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  readonly region?: string | undefined;
};

function readError(body: Uint8Array): ToldError {
  if (body.byteLength === 0) return {};
  try {
    const root = parseXml(body);
    if (root.name !== "Error") return {};
    const code = childText(root, "Code") ?? "";
    const message = childText(root, "Message");
    return {
      code: /^[A-Za-z0-9.]{1,64}$/.test(code) ? code : undefined,
      message: message === undefined ? undefined : printable(message).replace(/\.$/, ""),
      region: childText(root, "Region"),
    };
  } catch {
    return {}; // from a proxy, in HTML; the status has to tell enough
  }
}

/** In seconds, or a date. */
function readRetryAfter(headers: IncomingHttpHeaders): number | undefined {
  const text = headers["retry-after"];
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const untilMs = readTime(text);
  const nowMs = readTime(headers.date);
  return untilMs === undefined || nowMs === undefined ? undefined : Math.max(0, untilMs - nowMs);
}

function readRegion(text: string | readonly string[] | undefined): string | undefined {
  return typeof text === "string" && /^[a-z0-9-]{1,63}$/.test(text) ? text : undefined;
}

function readTime(text: string | undefined): number | undefined {
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

/** One line, without what moves a terminal's cursor, and not too long. */
function printable(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\s]+/gu, " ").trim();
  return line.length > MAX_TOLD ? `${line.slice(0, MAX_TOLD)}…` : line;
}

/** The XML of an answer. Throws where it is none, and where a failure hides in a success. */
export function readXmlAnswer(answer: HttpAnswer): Element {
  let root: Element;
  try {
    root = parseXml(answer.body);
  } catch (error) {
    throw badAnswer("an answer that is no XML", error);
  }
  const failure = failureInBody(root, answer);
  if (failure !== undefined) throw failure;
  return root;
}
