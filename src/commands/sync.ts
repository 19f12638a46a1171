// `flysqlite sync`: comes back when everything that was committed before is in the replica.

import { DEFAULT_SYNC_TIMEOUT_MS, MAX_SYNC_TIMEOUT_MS, type SyncAnswer } from "../base/control.ts";
import { describe, FlysqliteError } from "../base/errors.ts";
import { formatDuration } from "../base/format.ts";
import { parseDuration } from "../config/duration.ts";
import { askKeeper } from "./ask-keeper.ts";

/** What an answer may take beyond the time that the keeper has for it, in milliseconds. */
const GRACE_MS = 5000;

export type SyncWords = {
  /** Such as "5s"; undefined for the usual one. */
  readonly timeout: string | undefined;
  readonly json: boolean;
};

/** Throws E_SYNC where not everything is in the replica in time, and E_NO_KEEPER where there is nobody to ask. */
export async function syncCommand(
  { timeout, json }: SyncWords,
  {
    socket,
    print,
    signal,
  }: { readonly socket: string; readonly print: (text: string) => void; readonly signal: AbortSignal },
): Promise<void> {
  const timeoutMs = timeout === undefined ? DEFAULT_SYNC_TIMEOUT_MS : parseTimeout(timeout);
  const path = `/sync?timeout=${Math.ceil(timeoutMs)}ms`;
  const answer = await askKeeper({ socket, method: "POST", path, timeoutMs: timeoutMs + GRACE_MS, signal });
  const { replica, replicated, tookMs } = answer as SyncAnswer;
  if (json) return print(`${JSON.stringify(answer, undefined, 2)}\n`);
  print(`everything is in ${replica}, up to transaction ${replicated}, after ${formatDuration(tookMs)}\n`);
}

function parseTimeout(text: string): number {
  let ms: number;
  try {
    ms = parseDuration(text);
  } catch (error) {
    throw usage(describe(error));
  }
  if (ms > MAX_SYNC_TIMEOUT_MS) throw usage(`"${text}" is more than ${MAX_SYNC_TIMEOUT_MS / 1000}s`);
  return ms;
}

function usage(problem: string): FlysqliteError {
  return new FlysqliteError("E_USAGE", `Cannot sync: --timeout ${problem}`, { hint: "See `flysqlite sync --help`" });
}
