// What `run --dry` tells: the facts that a start would find, the plan, and every problem. Pure: the facts come in, and
// the same value is rendered as text and as JSON. docs/plan.md describes it.

import type { FlysqliteError } from "../base/errors.ts";
import type { SettingRow } from "../config/list-settings.ts";
import { chooseFormat } from "../replica/choose.ts";
import { hasHistory } from "../replica/inspect.ts";
import { standingOf } from "../replica/lease/rules.ts";
import { formatTxid } from "../replica/ltx/txid.ts";
import type { AppCommand, Facts } from "./facts.ts";
import type { PlanLine } from "./plan.ts";

/** What is in a database, as far as a look from outside tells. */
export type Inside = {
  /** "rollback": any of SQLite's modes with a rollback journal, as the file doesn't say which. */
  readonly journalMode: "wal" | "rollback";
  readonly lastMigration?: { readonly name: string; readonly startedAt: string };
};

/** The user that the app would run as. */
export type AppUser = {
  /** Such as "node", or "uid 1000". */
  readonly name: string;
  /** "--user", "FLYSQLITE_USER", or that it is the one who runs this. */
  readonly source: string;
  readonly isRoot: boolean;
  /** False where a name was told that this system does not know. */
  readonly isKnown: boolean;
};

export type ReplicaReport =
  | { readonly state: "none" }
  /** Why is among the problems. */
  | { readonly state: "unknown"; readonly source: string }
  | { readonly state: "not asked" | "empty"; readonly address: string; readonly source: string }
  | {
      readonly state: "history";
      readonly address: string;
      readonly source: string;
      /** In which of Litestream's formats the newest state is: 0.5's LTX files, or the generations of 0.3. */
      readonly format: "ltx" | "v03";
      readonly objects: number;
      /** Bytes of all of them. */
      readonly sizeBytes: number;
      /** Last transaction, 16 hex digits; only LTX files have one. */
      readonly lastTransaction?: string;
      /** When the object with the newest state was written, as ISO 8601. */
      readonly newest: string;
    };

export type LeaseReport =
  | { readonly state: "not asked" | "absent" }
  | {
      readonly state: "released" | "own" | "held";
      readonly machine: string;
      readonly epoch: number;
      /** When it was taken, by the holder's clock, as ISO 8601. */
      readonly since: string;
    };

export type StartReport = {
  /** True where a start would not be refused, as far as was looked. */
  readonly ok: boolean;
  /** Status that the start would be refused with; 0 where it would not. */
  readonly exitStatus: number;
  /** What was left out, and why. */
  readonly notLookedAt: readonly string[];
  readonly settings: readonly { readonly name: string; readonly value: string; readonly source: string }[];
  /** What was set and has no effect. */
  readonly notes: readonly string[];
  /** What does not keep a start from going ahead, and should be known. */
  readonly warnings: readonly string[];
  readonly volume?: Facts["volume"];
  readonly database?: Pick<Facts["database"], "path" | "state" | "sizeBytes"> & Partial<Inside>;
  /** Where the app opens its database, and what is there. */
  readonly link?: {
    readonly path: string;
    readonly source: string;
    readonly variable?: string;
    readonly found: "on the volume" | "nothing" | "link" | "file" | "hard link" | "directory" | "other";
    readonly target?: string;
  };
  readonly replica?: ReplicaReport;
  readonly lease?: LeaseReport;
  readonly migrations?: {
    readonly source: string;
    readonly bundled: number;
    readonly state: "up to date" | "pending" | "refused" | "unknown";
    readonly pending: readonly string[];
  };
  readonly seed?: { readonly command: string; readonly source: string };
  readonly command?: Pick<AppCommand, "file" | "arguments" | "source">;
  readonly user?: AppUser;
  readonly steps: readonly PlanLine[];
  readonly problems: readonly FlysqliteError[];
};

export type ReportSources = {
  readonly found: { readonly [Name in keyof Facts]?: Facts[Name] | undefined };
  readonly inside: Inside | undefined;
  readonly settings: readonly SettingRow[];
  readonly notes: readonly string[];
  /** What the choice of the right copy warns of. */
  readonly warning?: string | undefined;
  readonly user: AppUser;
  readonly steps: readonly PlanLine[];
  readonly problems: readonly FlysqliteError[];
};

/** What can be told where not even the settings could be read. */
export function refusedReport(problems: readonly FlysqliteError[]): StartReport {
  const exitStatus = problems[0]?.exitStatus ?? 0;
  return {
    ok: problems.length === 0,
    exitStatus,
    notLookedAt: [],
    settings: [],
    notes: [],
    warnings: [],
    steps: [],
    problems,
  };
}

export function makeReport({
  found,
  inside,
  settings,
  notes,
  warning,
  user,
  steps,
  problems,
}: ReportSources): StartReport {
  const { volume, unasked } = found;
  const database = databaseOf(found, inside);
  const link = linkOf(found);
  const lease = leaseOf(found, settings);
  const migrations = migrationsOf(found);
  const seed = seedOf(found, settings);
  const command = commandOf(found);
  return {
    ...refusedReport(problems),
    notLookedAt: unasked === undefined ? [] : [`the replica ${unasked.address}: --offline`],
    settings,
    notes,
    warnings: warningsOf(found, warning),
    ...(volume === undefined ? {} : { volume }),
    ...(database === undefined ? {} : { database }),
    ...(link === undefined ? {} : { link }),
    replica: replicaOf(found, settings),
    ...(lease === undefined ? {} : { lease }),
    ...(migrations === undefined ? {} : { migrations }),
    ...(seed === undefined ? {} : { seed }),
    ...(command === undefined ? {} : { command }),
    user,
    steps,
  };
}

type Found = ReportSources["found"];

function warningsOf({ migrations }: Found, warning: string | undefined): readonly string[] {
  const changed = migrations?.kind === "up-to-date" ? migrations.changed : [];
  return [
    ...(warning === undefined ? [] : [warning]),
    ...(changed.length === 0 ? [] : [`changed since they were applied: ${changed.join(", ")}`]),
  ];
}

function databaseOf({ database }: Found, inside: Inside | undefined): StartReport["database"] {
  if (database === undefined) return undefined;
  const { path, state, sizeBytes } = database;
  return { path, state, sizeBytes, ...inside };
}

function commandOf({ command }: Found): StartReport["command"] {
  return command && { file: command.file, arguments: command.arguments, source: command.source };
}

function linkOf({ url, entry }: Found): StartReport["link"] {
  if (url === undefined || entry === undefined) return undefined;
  const { path, source, variable } = url;
  return {
    path,
    source,
    ...(variable === undefined ? {} : { variable }),
    found: entry === "on the volume" ? entry : entry.kind,
    ...(entry !== "on the volume" && entry.kind === "link" ? { target: entry.target } : {}),
  };
}

function replicaOf({ replica, unasked }: Found, settings: readonly SettingRow[]): ReplicaReport {
  if (unasked !== undefined) return { state: "not asked", ...unasked };
  const setting = settings.find(({ name }) => name === "replica");
  if (replica === undefined)
    return setting === undefined ? { state: "none" } : { state: "unknown", source: setting.source };
  const { address, source, files, v03, lastTxid } = replica;
  if (!hasHistory(replica)) return { state: "empty", address, source };
  const old = [...v03.snapshots, ...v03.segments];
  const objects = [...files, ...old];
  if (objects.length === 0) return { state: "unknown", source }; // in a layout that nothing reads
  const { format } = chooseFormat({ ltx: files, v03, target: { kind: "latest" } });
  // A merge of what was there before is a newer object, and no newer state.
  const times =
    format === "ltx"
      ? [files.filter(({ max }) => max === lastTxid).toSorted((a, b) => a.level - b.level)[0]?.modifiedMs ?? 0]
      : old.map(({ createdMs }) => createdMs);
  return {
    state: "history",
    address,
    source,
    format,
    objects: objects.length,
    sizeBytes: objects.reduce((sum, object) => sum + object.sizeBytes, 0),
    ...(format === "ltx" ? { lastTransaction: formatTxid(lastTxid) } : {}),
    newest: new Date(times.reduce((newest, time) => Math.max(newest, time), 0)).toISOString(),
  };
}

function leaseOf({ lease, replica, unasked }: Found, settings: readonly SettingRow[]): LeaseReport | undefined {
  const isOff = settings.some(({ name, value }) => name === "fence" && value === "off");
  if (unasked !== undefined || (replica !== undefined && isOff)) return { state: "not asked" };
  if (lease === undefined) return undefined;
  const standing = standingOf(lease);
  if (standing.kind === "absent") return { state: "absent" };
  const { machine, epoch, sinceMs } = standing.content;
  return { state: standing.kind, machine, epoch, since: new Date(sinceMs).toISOString() };
}

function migrationsOf({ manifest, manifestSource, migrations, database, replica, unasked, unborn }: Found) {
  if (manifest === undefined || manifestSource === undefined) return undefined;
  const told = { source: manifestSource, bundled: manifest.migrations.length };
  if (migrations?.kind === "up-to-date") return { ...told, state: "up to date", pending: [] } as const;
  if (migrations?.kind === "pending") return { ...told, state: "pending", pending: migrations.names } as const;
  if (migrations?.kind === "refused") return { ...told, state: "refused", pending: [] } as const;
  const mayBeRestored = unasked !== undefined || (replica !== undefined && hasHistory(replica));
  const isNew = database !== undefined && (database.state !== "present" || unborn === true) && !mayBeRestored;
  const all = manifest.migrations.map(({ name }) => name);
  return isNew
    ? ({ ...told, state: "pending", pending: all } as const)
    : ({ ...told, state: "unknown", pending: [] } as const);
}

function seedOf({ manifest, manifestSource = "" }: Found, settings: readonly SettingRow[]): StartReport["seed"] {
  const told = settings.find(({ name }) => name === "seed");
  if (told !== undefined) return { command: told.value, source: told.source };
  return manifest?.seed === undefined ? undefined : { command: manifest.seed, source: manifestSource };
}
