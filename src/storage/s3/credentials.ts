// Who we are to a bucket: keys that are set, or those that a platform lends for some hours.
// Source: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html

import type { Clock } from "../../base/context.ts";
import { describe, FlysqliteError } from "../../base/errors.ts";
import { findSource } from "./credential-sources.ts";
import { type Exchange, exchange } from "./exchange.ts";

export type Credentials = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** When they end, in milliseconds since the Unix epoch; undefined for never. */
  readonly expiresMs?: number;
};

export type CredentialsProvider = {
  /** Those that hold now. Throws E_REPLICA_DENIED where there are none, E_CONFIG where they are half set. */
  get(options: { readonly signal: AbortSignal }): Promise<Credentials>;
  /** Says that the service refused these; the next get() looks again. */
  refused(credentials: Credentials): void;
};

export type CredentialsOptions = {
  /** Keys from a configuration: they go before everything else. */
  readonly settings?: Credentials | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Gives a file's text. */
  readonly readFile: (path: string) => Promise<string>;
  readonly clock: Clock;
  /** Sends a request; for tests. */
  readonly send?: Exchange;
};

/** Lent credentials are renewed this long before they end, in milliseconds. */
const RENEW_BEFORE_MS = 5 * 60_000;

/** Where renewing failed and they still hold, it is tried again after this time, in milliseconds. */
const RENEW_AGAIN_MS = 30_000;

/** Longest time that looking for credentials may take, in milliseconds. */
const FETCH_LIMIT_MS = 20_000;

/** Finds credentials at the first get(), keeps them, and renews them before they end. */
export function createCredentials(options: CredentialsOptions): CredentialsProvider {
  const { settings, clock, send = exchange } = options;
  let held: Credentials | undefined;
  let renewFromMs = 0;
  let running: Promise<Credentials> | undefined;

  /** One search at a time, whoever asks. It has a time limit of its own: the first one to ask may give up. */
  function renew(): Promise<Credentials> {
    running ??= (async () => {
      try {
        const found = await findSource({ ...options, send })({ signal: AbortSignal.timeout(FETCH_LIMIT_MS) });
        held = found;
        renewFromMs = found.expiresMs === undefined ? Number.POSITIVE_INFINITY : found.expiresMs - RENEW_BEFORE_MS;
        return found;
      } catch (error) {
        if (held !== undefined && holds(held, clock.now())) {
          renewFromMs = clock.now() + RENEW_AGAIN_MS;
          return held;
        }
        if (error instanceof FlysqliteError) throw error;
        throw new FlysqliteError("E_REPLICA_DENIED", `Cannot get credentials: ${describe(error)}`, { cause: error });
      } finally {
        running = undefined;
      }
    })();
    return running;
  }

  return {
    async get({ signal }) {
      if (settings !== undefined) return settings;
      if (held !== undefined && clock.now() < renewFromMs) return held;
      return abortable(renew(), signal);
    },
    refused(credentials) {
      if (held === credentials) held = undefined;
    },
  };
}

function holds({ expiresMs }: Credentials, nowMs: number): boolean {
  return expiresMs === undefined || nowMs < expiresMs;
}

/** Waits no longer than until `signal` is aborted; what was waited for goes on. */
async function abortable<Value>(waited: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([waited, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
