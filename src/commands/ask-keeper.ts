// Asks the keeper over its control socket, as docs/control.md describes it.

import { type IncomingMessage, request } from "node:http";
import { type ControlFailure, SOCKET_VARIABLE } from "../base/control.ts";
import { describe, FAILURES, type FailureCode, FlysqliteError, systemCode } from "../base/errors.ts";
import { wayToSocket } from "../base/unix-socket.ts";

/** Longest answer that is read, in bytes. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/** What a connection to a socket fails with where nobody listens, and where we may not ask. */
const NOBODY = new Set(["ENOENT", "ECONNREFUSED", "ENOTDIR", "ENOTSOCK"]);
const NOT_ALLOWED = new Set(["EACCES", "EPERM"]);

export type Question = {
  /** Path of the socket. */
  readonly socket: string;
  readonly method: "GET" | "POST";
  readonly path: string;
  /** How long the whole answer may take, in milliseconds. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
};

/**
 * Gives the answer. Throws what the keeper says that it can't, and E_NO_KEEPER where none answers.
 */
export async function askKeeper(question: Question): Promise<unknown> {
  const { status, text } = await exchange(question).catch((error: unknown) => {
    question.signal.throwIfAborted();
    throw noKeeper(question, error);
  });
  const answer = parse(text);
  if (status === 200 && answer !== undefined) return answer;
  if (isFailure(answer)) throw toError(answer);
  throw new FlysqliteError("E_NO_KEEPER", `Cannot understand what answers at "${question.socket}": status ${status}`);
}

/** Path of the socket that the app was told, where we are started by it. */
export function toldSocket(environment: NodeJS.ProcessEnv): string | undefined {
  return environment[SOCKET_VARIABLE];
}

async function exchange({
  socket,
  method,
  path,
  timeoutMs,
  signal,
}: Question): Promise<{ readonly status: number; readonly text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly status: number; readonly text: string }>();
  using way = wayToSocket(socket);
  const asked = request({
    socketPath: way.path,
    method,
    path,
    headers: { host: "flysqlite", connection: "close" },
    agent: false,
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  });
  asked.once("error", reject);
  asked.once("response", (response: IncomingMessage) => {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      text += chunk;
      if (text.length > MAX_ANSWER_BYTES) asked.destroy(new Error("the answer does not end"));
    });
    response.once("error", reject);
    response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
  });
  asked.end();
  return await promise;
}

function noKeeper({ socket }: Question, error: unknown): FlysqliteError {
  const code = systemCode(error) ?? "";
  if (NOBODY.has(code)) {
    return new FlysqliteError("E_NO_KEEPER", `Cannot ask at "${socket}": no flysqlite runs there`, { cause: error });
  }
  const why = NOT_ALLOWED.has(code) ? "it belongs to another user" : `the keeper did not answer (${describe(error)})`;
  return new FlysqliteError("E_NO_KEEPER", `Cannot ask at "${socket}": ${why}`, { cause: error });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isFailure(value: unknown): value is ControlFailure {
  if (typeof value !== "object" || value === null) return false;
  const { code, message, hint } = value as { readonly [name: string]: unknown };
  return typeof code === "string" && typeof message === "string" && typeof hint === "string";
}

function toError({ code, message, hint }: ControlFailure): FlysqliteError {
  const known = Object.hasOwn(FAILURES, code) ? (code as FailureCode) : "E_INTERNAL";
  return new FlysqliteError(known, message, { hint });
}
