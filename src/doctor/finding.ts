// What a probe found, as a value. Pure.

import { type FailureCode, type FlysqliteError, toFlysqliteError } from "../base/errors.ts";

export type Finding = {
  /** What was looked at, in a word or two. */
  readonly probe: string;
  /** "skipped": it could not be looked at, or there is nothing to look at. */
  readonly result: "ok" | "warning" | "failed" | "skipped";
  /** What was found: one line, no full stop. */
  readonly text: string;
  /** What to do about a warning or a failure. */
  readonly wayOut?: string;
  /** Names a failure, and with it the exit status. */
  readonly code?: FailureCode;
};

export function ok(probe: string, text: string): Finding {
  return { probe, result: "ok", text };
}

export function skipped(probe: string, text: string): Finding {
  return { probe, result: "skipped", text };
}

export function warning(probe: string, text: string, wayOut: string): Finding {
  return { probe, result: "warning", text, wayOut };
}

/** A failure of ours on one line, with its own way out. */
export function failed(probe: string, { code, message, problems, hint }: FlysqliteError): Finding {
  const parts = problems.length === 0 ? "" : `: ${problems.join("; ")}`;
  return { probe, result: "failed", text: `${message}${parts}`, wayOut: hint, code };
}

/** Runs a probe. What it throws is what it found; but for the signal's reason, which goes on. */
export async function attempt(
  probe: string,
  look: () => Finding | Promise<Finding>,
  { signal }: { readonly signal: AbortSignal },
): Promise<Finding> {
  try {
    return await look();
  } catch (error) {
    signal.throwIfAborted();
    return failed(probe, toFlysqliteError(error));
  }
}
