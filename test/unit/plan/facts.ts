// Facts of a usual start, for the tests to change one thing in.

import { DEFAULT_LEVELS } from "../../../src/base/level-settings.ts";
import type { Settings } from "../../../src/config/settings.ts";
import type { Facts } from "../../../src/plan/facts.ts";
import type { LeaseContent } from "../../../src/replica/lease/content.ts";
import type { LeaseFacts } from "../../../src/replica/lease/rules.ts";
import type { LtxHeader } from "../../../src/replica/ltx/header.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import { markOf, type ReplicatedPosition, type ReplicationState } from "../../../src/replica/state.ts";
import { listV03 } from "../../../src/replica/v03/names.ts";
import type { PageSize } from "../../../src/sqlite/page.ts";

const PAGE_SIZE = 4096 as PageSize;
const OTHER_TAKING = "00000000-0000-4000-8000-00000000000b";

export const DATABASE = "/data/app.db";
export const REPLICA = "file:///backup/app";

/** An app that starts for the first time: an empty volume, no replica, a database that is to be linked. */
export const firstStart: Facts = {
  manifest: {
    formatVersion: 1,
    flysqliteVersion: "0.1.0",
    prismaMajor: 7,
    database: { literal: "file:./app.db", baseDirectory: "." },
    migrations: [
      { name: "1_init", checksum: "a".repeat(64) },
      { name: "2_more", checksum: "b".repeat(64) },
    ],
    seed: "node seed.js",
  },
  manifestSource: "the executable",
  volume: { path: "/data", source: "default", isMountPoint: true },
  url: { path: "/app/app.db", fileName: "app.db", source: "the schema", variable: undefined },
  database: { path: DATABASE, state: "absent", sizeBytes: 0, orphans: [] },
  entry: { kind: "nothing" },
  canLink: true,
  replica: undefined,
  lease: undefined,
  state: undefined,
  newest: undefined,
  litestream: undefined,
  unborn: false,
  unfinished: undefined,
  migrations: undefined,
  command: { file: "/usr/bin/node", arguments: ["server.js"], environment: {}, source: "the command line" },
};

/** The same app at a later start. */
export const laterStart: Facts = {
  ...firstStart,
  database: { path: DATABASE, state: "present", sizeBytes: 40_960, orphans: [] },
  entry: { kind: "link", target: DATABASE },
  migrations: { kind: "up-to-date", changed: [], unknown: [] },
};

export const settings: Settings = {
  appDirectory: "/app",
  volume: undefined,
  databaseUrl: undefined,
  replica: undefined,
  syncIntervalMs: { value: 1000, source: "default" },
  levels: DEFAULT_LEVELS,
  stopTimeoutMs: { value: 4500, source: "default" },
  seedTimeoutMs: { value: 600_000, source: "default" },
  seed: undefined,
  onMigrationFailure: { value: "rollback", source: "default" },
  hooks: { "before-migrate": undefined, "after-migrate": undefined, "before-launch": undefined },
  hookTimeoutMs: { value: 600_000, source: "default" },
  fence: { value: "auto", source: "default" },
  onStaleVolume: { value: "refuse", source: "default" },
  log: { value: "text", source: "default" },
  restart: { value: "never", source: "default" },
  shareAws: { value: true, source: "default" },
  keepPackageManager: { value: false, source: "default" },
  command: [],
  notes: [],
};

export const emptyReplica: NonNullable<Facts["replica"]> = {
  address: REPLICA,
  source: "--replica",
  files: [],
  v03: { snapshots: [], segments: [], betaKey: undefined },
  databaseId: undefined,
  lastTxid: toTxid(0n),
};

/** A replica whose history goes up to `last`. */
export function replicaUpTo(last: bigint, databaseId = "mine"): NonNullable<Facts["replica"]> {
  const [min, max] = [toTxid(1n), toTxid(last)];
  const file = { level: 0, min, max, key: "ltx/0/some.ltx", sizeBytes: 100, modifiedMs: 0 };
  return { ...emptyReplica, files: [file], databaseId, lastTxid: max };
}

export function position(txid: bigint): ReplicatedPosition {
  return { txid: toTxid(txid), pageCount: 10, position: { kind: "file", sizeBytes: 40_960, modifiedMs: 0 } };
}

/** The header of the replica's newest file, as this volume writes it for `txid`; `changed` is what somebody else's has otherwise. */
export function newestFile(txid: bigint, changed: Partial<LtxHeader> = {}): LtxHeader {
  const [min, max] = [toTxid(txid), toTxid(txid)];
  const wal = { offsetBytes: 32, sizeBytes: 0, salts: [0, 0] } as const;
  return { pageSize: PAGE_SIZE, commit: 10, min, max, timestampMs: 1000, wal, ...changed };
}

/** A lease as a machine left it; "mine" is this volume's, as it remembers it. */
export function lease(
  held: Partial<LeaseContent> & { readonly by: "mine" | "another"; readonly remembered?: boolean },
): LeaseFacts {
  const { by, remembered = true, ...changed } = held;
  const mine: LeaseContent = {
    epoch: 4,
    owner: "00000000-0000-4000-8000-000000000001",
    taking: "00000000-0000-4000-8000-00000000000a",
    renewal: 7,
    state: "held",
    ttlMs: 45_000,
    sinceMs: Date.UTC(2026, 10, 24, 9, 30),
    machine: "m1",
  };
  const others = { epoch: 5, owner: "00000000-0000-4000-8000-000000000002", taking: OTHER_TAKING, machine: "m2" };
  const content = { ...mine, ...(by === "another" ? others : {}), ...changed };
  return { seen: { content, version: "v" }, memory: remembered ? mine : undefined, owner: mine.owner };
}

/** A replica that Litestream wrote: it names no database. */
export function litestreamReplicaUpTo(last: bigint): NonNullable<Facts["replica"]> {
  return { ...replicaUpTo(last), databaseId: undefined };
}

/** A replica that Litestream 0.3 wrote: its generations, oldest first. */
export function v03Replica(...generations: readonly string[]): NonNullable<Facts["replica"]> {
  const objects = generations.flatMap((generation, at) =>
    ["snapshots/00000000.snapshot.lz4", "wal/00000000_00000000.wal.lz4"].map((name) => ({
      key: `generations/${generation}/${name}`,
      sizeBytes: 100,
      modifiedMs: at,
    })),
  );
  return { ...emptyReplica, v03: listV03(objects) };
}

/** What a volume remembers of the replica of database "mine". */
export function remembers(known: {
  readonly acked?: bigint;
  readonly pending?: bigint;
  readonly databaseId?: string;
}): ReplicationState {
  return {
    databaseId: known.databaseId ?? "mine",
    replica: REPLICA,
    acked: known.acked === undefined ? undefined : position(known.acked),
    pending: known.pending === undefined ? undefined : position(known.pending),
    ...(known.pending === undefined ? {} : { begun: [markOf(newestFile(known.pending))] }),
  };
}
