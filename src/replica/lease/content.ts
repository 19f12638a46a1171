// The object by which one writer at a time has a replica, as text. Pure. Litestream passes over it, as its name is no
// LTX file's and it lies outside of `generations/`.
//
// It is never deleted: its epoch grows with each taking, and so tells two writers apart for as long as the replica is.

import { FlysqliteError } from "../../base/errors.ts";

export const LEASE_KEY = "flysqlite/lease.json";

export type LeaseContent = {
  /** Counts the takings, from 1. Never falls. */
  readonly epoch: number;
  /** The volume that took it: a UUID that its state directory keeps. */
  readonly owner: string;
  /** This taking: a UUID. A volume and a copy of it are one owner; their takings differ. */
  readonly taking: string;
  /** Counts the renewals of a taking. With it no two versions have the same bytes, which S3 takes for one version. */
  readonly renewal: number;
  /** "released": nobody writes, and the next may begin at once. */
  readonly state: "held" | "released";
  /** Who sees it unchanged for so long, in milliseconds of a clock that never jumps, may take it. */
  readonly ttlMs: number;
  /** For people: when it was taken, by the holder's clock, in milliseconds since the Unix epoch. */
  readonly sinceMs: number;
  /** For people: the holder's machine. */
  readonly machine: string;
};

/** A lease as it was read, with what replacing it takes. */
export type SeenLease = { readonly content: LeaseContent; readonly version: string };

const FORMAT_VERSION = 1;

/** More than a lease ever needs, in bytes. */
const MAX_LEASE_BYTES = 4096;

/** A lease that claims to hold for longer would lock everybody out. In milliseconds. */
const MAX_TTL_MS = 10 * 60_000;

/** Takings that no replica comes to. Above it, adding 1 would stop to make a difference. */
const MAX_EPOCH = 2 ** 48;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function formatLease({ sinceMs, ...content }: LeaseContent): string {
  const stored = { version: FORMAT_VERSION, ...content, since: new Date(sinceMs).toISOString() };
  return `${JSON.stringify(stored, undefined, 2)}\n`;
}

/** Reads what formatLease() wrote. Throws E_REPLICA_CORRUPT; `address` is told in it. */
export function parseLease(bytes: Uint8Array, address: string): LeaseContent {
  const content = bytes.byteLength > MAX_LEASE_BYTES ? `it has ${bytes.byteLength} bytes` : contentOf(bytes);
  if (typeof content !== "string") return content;
  throw new FlysqliteError("E_REPLICA_CORRUPT", `Cannot read "${LEASE_KEY}" of "${address}": ${content}`, {
    hint: "It says who may write; where surely no other machine does, delete it",
  });
}

/** The content, or what is wrong with it. */
function contentOf(bytes: Uint8Array): LeaseContent | string {
  const stored = recordOf(bytes);
  if (stored === undefined) return "it is no JSON object";
  if (stored["version"] !== FORMAT_VERSION) return `its format is ${JSON.stringify(stored["version"])?.slice(0, 40)}`;
  const { epoch, owner, taking, renewal, state, ttlMs, since, machine } = stored;
  const sinceMs = typeof since === "string" ? Date.parse(since) : Number.NaN;
  if (!isCount(epoch, { from: 1, to: MAX_EPOCH })) return "it has no epoch";
  if (typeof owner !== "string" || !UUID.test(owner)) return "it names no owner";
  if (typeof taking !== "string" || !UUID.test(taking)) return "it names no taking";
  if (!isCount(renewal, { from: 0, to: MAX_EPOCH })) return "it counts no renewals";
  if (state !== "held" && state !== "released") return "it is neither held nor released";
  if (!isCount(ttlMs, { from: 1, to: MAX_TTL_MS })) return `it holds for no time between 1 and ${MAX_TTL_MS} ms`;
  if (Number.isNaN(sinceMs)) return "it tells no time";
  if (typeof machine !== "string") return "it names no machine";
  return { epoch, owner, taking, renewal, state, ttlMs, sinceMs, machine };
}

function recordOf(bytes: Uint8Array): Readonly<Partial<Record<string, unknown>>> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function isCount(value: unknown, { from, to }: { readonly from: number; readonly to: number }): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= from && value <= to;
}
