// Damages a replica in every way that storage knows, and restores: what comes out must be the exact state that the
// restore says it is, or a refusal.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Random } from "../../src/base/context.ts";
import { FlysqliteError } from "../../src/base/errors.ts";
import { LEVELS, type LtxFileInfo, parseLtxName } from "../../src/replica/ltx/names.ts";
import { planRestore } from "../../src/replica/ltx/plan.ts";
import { type RestoredPosition, type RestorePlan, restoreTo } from "../../src/replica/restore-to.ts";
import { listV03 } from "../../src/replica/v03/names.ts";
import { planV03 } from "../../src/replica/v03/plan.ts";
import { createNodeSqliteDriver } from "../../src/sqlite/node-sqlite.ts";
import { createMemoryStore, type MemoryObject, type MemoryStore } from "./memory-store.ts";

export type Objects = ReadonlyMap<string, MemoryObject>;

export type SweepResult = {
  readonly cases: number;
  readonly exact: number;
  readonly refused: number;
  /** Restores that gave something else than they said, by what was done to the replica. */
  readonly wrong: readonly string[];
  /** Likewise, where nothing in the format could have told: see isBeyondProof. */
  readonly unproved: readonly string[];
  /** Failures that are no refusal by name, likewise. */
  readonly unnamed: readonly string[];
};

const REFUSALS: readonly string[] = ["E_REPLICA_CORRUPT", "E_REPLICA_GAP", "E_RESTORE_SPACE"];

/**
 * Damages in turn: each byte by one random bit (or every `byteStep`-th byte), each object by cutting it off at
 * `cuts` places, by bytes after its end and by deleting it; and each pair of objects by exchanging them, and by
 * putting the first one's bytes in the place of the second.
 */
export async function sweepReplica({
  objects,
  format,
  random,
  cuts,
  byteStep = 1,
}: {
  readonly objects: Objects;
  readonly format: RestorePlan["format"];
  readonly random: Random;
  readonly cuts: number;
  readonly byteStep?: number;
}): Promise<SweepResult> {
  // In memory, where there is a disk for that: some ten thousand restores need no durability.
  const directory = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "flysqlite-sweep-"));
  try {
    const states = await allStates({ objects, format, directory });
    let [cases, exact, refused] = [0, 0, 0];
    const wrong: string[] = [];
    const unproved: string[] = [];
    const unnamed: string[] = [];
    for (const { what, damaged, kind, keys } of damages({ objects, random, cuts, byteStep })) {
      cases += 1;
      try {
        const { bytes, position } = await restoreLatest({ objects: damaged, format, directory });
        if (states.get(describePosition(position))?.equals(bytes) === true) exact += 1;
        else if (isBeyondProof({ kind, keys, objects })) unproved.push(what);
        else wrong.push(what);
      } catch (error) {
        if (error instanceof FlysqliteError && REFUSALS.includes(error.code)) refused += 1;
        else unnamed.push(`${what}: ${String(error)}`);
      }
    }
    return { cases, exact, refused, wrong, unproved, unnamed };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

type Damage = {
  readonly kind: "changed" | "deleted" | "exchanged";
  readonly keys: readonly string[];
  readonly what: string;
  readonly damaged: Objects;
};

/**
 * Litestream 0.3 writes nowhere where a log ends, and nothing into a snapshot that says which one it is. So nobody can
 * tell that the last segment of a log is gone which another log follows, and that a snapshot is another one.
 */
function isBeyondProof({
  kind,
  keys,
  objects,
}: Pick<Damage, "kind" | "keys"> & { readonly objects: Objects }): boolean {
  if (kind === "exchanged") return keys.every((key) => key.includes("/snapshots/"));
  const [key] = keys;
  if (kind !== "deleted" || key === undefined || !key.includes("/wal/")) return false;
  const log = key.slice(0, key.lastIndexOf("_"));
  const all = [...objects.keys()].filter((other) => other.includes("/wal/")).sort();
  const last = all.filter((other) => other.startsWith(log)).at(-1);
  return key === last && key !== all.at(-1);
}

function* damages({
  objects,
  random,
  cuts,
  byteStep,
}: {
  readonly objects: Objects;
  readonly random: Random;
  readonly cuts: number;
  readonly byteStep: number;
}): Generator<Damage> {
  const change = (key: string, bytes: Uint8Array): Objects => {
    const { modifiedMs = 0 } = objects.get(key) ?? {};
    return new Map(objects).set(key, { bytes, modifiedMs });
  };
  for (const [key, { bytes }] of objects) {
    for (let at = Math.floor(random.unit() * byteStep); at < bytes.byteLength; at += byteStep) {
      const flipped = bytes.slice();
      flipped[at] = (flipped[at] ?? 0) ^ (1 << Math.floor(random.unit() * 8));
      yield {
        kind: "changed",
        keys: [key],
        what: `${key}: byte ${at} ${bytes[at]} became ${flipped[at]}`,
        damaged: change(key, flipped),
      };
    }
    for (let cut = 0; cut < cuts; cut += 1) {
      const size = Math.floor(random.unit() * bytes.byteLength);
      yield {
        kind: "changed",
        keys: [key],
        what: `${key}: cut off at ${size}`,
        damaged: change(key, bytes.subarray(0, size)),
      };
    }
    yield {
      kind: "changed",
      keys: [key],
      what: `${key}: bytes follow`,
      damaged: change(key, new Uint8Array(Buffer.concat([bytes, Buffer.of(0)]))),
    };
    yield {
      kind: "changed",
      keys: [key],
      what: `${key}: twice`,
      damaged: change(key, new Uint8Array(Buffer.concat([bytes, bytes]))),
    };
    const without = new Map(objects);
    without.delete(key);
    yield { kind: "deleted", keys: [key], what: `${key}: deleted`, damaged: without };
  }
  const entries = [...objects];
  for (const [i, [a, { bytes: bytesOfA }]] of entries.entries()) {
    for (const [b, { bytes: bytesOfB }] of entries.slice(i + 1)) {
      const exchanged = new Map(change(a, bytesOfB)).set(b, {
        bytes: bytesOfA,
        modifiedMs: objects.get(b)?.modifiedMs ?? 0,
      });
      yield { kind: "exchanged", keys: [a, b], what: `${a} and ${b}: exchanged`, damaged: exchanged };
      yield { kind: "exchanged", keys: [a, b], what: `${b}: overwritten by ${a}`, damaged: change(b, bytesOfA) };
      yield { kind: "exchanged", keys: [a, b], what: `${a}: overwritten by ${b}`, damaged: change(a, bytesOfB) };
    }
  }
}

/** Every state that a restore of the sound replica, or of a part of it, may end in, by position. */
async function allStates({
  objects,
  format,
  directory,
}: {
  readonly objects: Objects;
  readonly format: RestorePlan["format"];
  readonly directory: string;
}): Promise<ReadonlyMap<string, Buffer>> {
  const states = new Map<string, Buffer>();
  for (const plan of await allPlans(objects, format)) {
    const { bytes, position } = await restore({ store: createMemoryStore(objects), plan, directory });
    states.set(describePosition(position), bytes);
  }
  return states;
}

async function allPlans(objects: Objects, format: RestorePlan["format"]): Promise<readonly RestorePlan[]> {
  const listed = await createMemoryStore(objects).list("", { signal: new AbortController().signal });
  if (format === "v03") {
    const files = listV03(listed);
    return files.snapshots.flatMap((snapshot) => {
      const { generation, index } = snapshot;
      const segments = files.segments.filter((other) => other.generation === generation && other.index >= index);
      return [undefined, ...segments].map((_, count) => {
        const plan = {
          generation,
          snapshot,
          segments: segments.slice(0, count),
          behind: [],
          isFollowed: count < segments.length && segments[count]?.index !== segments[count - 1]?.index,
          earlier: undefined,
          notes: [],
        };
        return { format, plan } as const;
      });
    });
  }
  const files = await listLtx(createMemoryStore(objects));
  return [...new Set(files.map(({ max }) => max))].flatMap((txid) => {
    try {
      return [{ format, files: planRestore(files, { kind: "txid", txid }) } as const];
    } catch {
      return []; // not every transaction can be reached
    }
  });
}

/** The LTX files of a store. */
export async function listLtx(store: MemoryStore): Promise<readonly LtxFileInfo[]> {
  const files: LtxFileInfo[] = [];
  for (const level of LEVELS) {
    const directory = `${store.levelDirectory(level)}/`;
    for (const { key, sizeBytes, modifiedMs } of await store.list(directory, {
      signal: new AbortController().signal,
    })) {
      const range = parseLtxName(key.slice(directory.length));
      if (range !== undefined) files.push({ level, ...range, key, sizeBytes, modifiedMs });
    }
  }
  return files;
}

async function restoreLatest({
  objects,
  format,
  directory,
}: {
  readonly objects: Objects;
  readonly format: RestorePlan["format"];
  readonly directory: string;
}) {
  const store = createMemoryStore(objects);
  const plan: RestorePlan =
    format === "ltx"
      ? { format, files: planRestore(await listLtx(store), { kind: "latest" }) }
      : {
          format,
          plan: planV03(listV03(await store.list("", { signal: new AbortController().signal })), { kind: "latest" }),
        };
  return restore({ store, plan, directory });
}

async function restore({
  store,
  plan,
  directory,
}: {
  readonly store: MemoryStore;
  readonly plan: RestorePlan;
  readonly directory: string;
}) {
  const target = join(directory, "restored.db");
  rmSync(target, { force: true });
  const { position } = await restoreTo({
    store,
    plan,
    target,
    driver: createNodeSqliteDriver(),
    clock: { now: () => 0 },
    signal: new AbortController().signal,
    integrity: "none", // what the formats don't prove shall show
  });
  return { bytes: readFileSync(target), position };
}

function describePosition(position: RestoredPosition): string {
  return position.format === "ltx" ? `${position.txid}` : `${position.generation} ${position.index} ${position.offset}`;
}
