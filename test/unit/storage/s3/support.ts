// A store on the tests' own S3 server, with limits that make failing quick.

import { expect, onTestFinished } from "vitest";
import type { Event } from "../../../../src/base/events.ts";
import { systemClock, systemRandom } from "../../../../src/base/system.ts";
import type { CredentialsProvider } from "../../../../src/storage/s3/credentials.ts";
import type { Limits } from "../../../../src/storage/s3/limits.ts";
import { makeS3Place, type S3Place } from "../../../../src/storage/s3/place.ts";
import { openS3Store, type S3Options, type S3Store } from "../../../../src/storage/s3/store.ts";
import type { ObjectStore } from "../../../../src/storage/store.ts";
import { BUCKET, KEY, type S3Server, type ServerOptions, startS3Server } from "../../../support/s3-server.ts";

export const signal = new AbortController().signal;
export const options = { signal };
export const unreachable = expect.objectContaining({ code: "E_REPLICA_UNREACHABLE" });
export const denied = expect.objectContaining({ code: "E_REPLICA_DENIED" });

export const PART_BYTES = 64 * 1024;

export const QUICK: Partial<Limits> = {
  attempts: 3,
  pauseMs: 1,
  pauseCapMs: 4,
  retryAfterCapMs: 20,
  connectMs: 20_000,
  idleMs: 20_000,
  requestMs: 20_000,
  partBytes: PART_BYTES,
};

export const bytes = (text: string) => new TextEncoder().encode(text);

/** Bytes that differ all along, so that none can be missing or in another's place. */
export function pattern(sizeBytes: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  for (let index = 0; index < words.length; index += 1) words[index] = Math.imul(index + 1, 2_654_435_761);
  return new Uint8Array(words.buffer, 0, sizeBytes);
}

export function fixedCredentials(key = KEY): CredentialsProvider {
  return { get: async () => key, refused: () => {} };
}

export type Tested = { readonly server: S3Server; readonly store: S3Store; readonly events: readonly Event[] };

/** A server of the test's own and a store on it; both end with the test. */
export async function newStore(
  told: { readonly server?: ServerOptions; readonly place?: Partial<S3Place> } & Partial<S3Options> = {},
): Promise<Tested> {
  const { server: serverOptions, place, limits, ...more } = told;
  const server = await startS3Server({ minPartBytes: PART_BYTES, ...serverOptions });
  onTestFinished(() => server[Symbol.asyncDispose]());
  const events: Event[] = [];
  const store = openS3Store(
    {
      ...makeS3Place({ bucket: BUCKET, path: "my/db", endpoint: server.origin, region: server.region }),
      ...place,
    },
    {
      clock: systemClock,
      random: systemRandom,
      credentials: fixedCredentials(),
      log: (event) => events.push(event),
      limits: { ...QUICK, ...limits },
      ...more,
    },
  );
  onTestFinished(() => store[Symbol.dispose]());
  return { server, store, events };
}

export async function collect(body: AsyncIterable<Uint8Array> | undefined): Promise<Buffer | undefined> {
  if (body === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function readText(store: ObjectStore, key: string): Promise<string | undefined> {
  return (await collect(await store.get(key, options)))?.toString();
}

export async function keysOf(store: ObjectStore, prefix = ""): Promise<readonly string[]> {
  return (await store.list(prefix, options)).map(({ key }) => key);
}
