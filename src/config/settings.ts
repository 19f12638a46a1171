// What we were told, from all sources, as one value. Highest rank first: flags, FLYSQLITE_*, litestream.yml, the
// bucket that Fly's variables name, defaults. Pure but for reading litestream.yml.

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { SOCKET_VARIABLE } from "../base/control.ts";
import { describe, FlysqliteError, systemCode } from "../base/errors.ts";
import { DEFAULT_LEVELS, type LevelSettings } from "../base/level-settings.ts";
import type { RestartPolicy } from "../base/messages.ts";
import { redact } from "../base/redact.ts";
import { parseDuration } from "./duration.ts";
import { type DatabaseEntry, parseLitestreamYml } from "./litestream-yml.ts";
import { parseReplicaUrl, placeFromFly, placeFromKeys, type ReplicaPlace } from "./replica-place.ts";

/** A value, and where it was set: "--volume", "FLYSQLITE_VOLUME", "litestream.yml:4". */
export type Sourced<Value> = { readonly value: Value; readonly source: string };

export type LogFormat = "text" | "json" | "quiet" | "debug";

/**
 * Whether one machine at a time may write to a replica: "auto" where the bucket can tell them apart, "required" for no
 * start without that, "off" for no look at it.
 */
export type Fence = "auto" | "required" | "off";

/** What a start does where the volume's database is older than its replica. */
export type OnStaleVolume = "refuse" | "restore";

export type OnMigrationFailure = "rollback" | "keep";

export type Hook = "before-migrate" | "after-migrate" | "before-launch";

export type Settings = {
  /** Directory of the app: where its command runs and what relative paths count from. Absolute. */
  readonly appDirectory: string;
  /** Directory of the volume, absolute; undefined where only the default is left. */
  readonly volume: Sourced<string> | undefined;
  /** Url of the database, in place of the one that the schema names. */
  readonly databaseUrl: Sourced<string> | undefined;
  /** The database that litestream.yml names, for who replicates one where it is; `run` asks the app. */
  readonly litestreamPath?: Sourced<string>;
  /** Where to replicate to; undefined for nowhere. */
  readonly replica: Sourced<ReplicaPlace> | undefined;
  /** Least time between two uploads, in milliseconds. */
  readonly syncIntervalMs: Sourced<number>;
  /** How the replica's levels are kept. */
  readonly levels: LevelSettings;
  /** Time from the first stop signal to our exit, in milliseconds. */
  readonly stopTimeoutMs: Sourced<number>;
  /** Time that a seed may take, in milliseconds. */
  readonly seedTimeoutMs: Sourced<number>;
  readonly seed: Sourced<string> | undefined;
  readonly fence: Sourced<Fence>;
  readonly onStaleVolume: Sourced<OnStaleVolume>;
  /** "rollback" puts the database back to what it was; "keep" leaves it as Prisma would. */
  readonly onMigrationFailure: Sourced<OnMigrationFailure>;
  /** Commands that a start runs at these points, each time. */
  readonly hooks: { readonly [hook in Hook]: Sourced<string> | undefined };
  /** Time that each of them may take, in milliseconds. */
  readonly hookTimeoutMs: Sourced<number>;
  readonly log: Sourced<LogFormat>;
  /** Whether an app that failed is started again. */
  readonly restart: Sourced<RestartPolicy>;
  /** Whether the app gets the bucket's variables, `AWS_*`, as its own. */
  readonly shareAws: Sourced<boolean>;
  /** Whether a package manager in the command is started, also where it would only start something else. */
  readonly keepPackageManager: Sourced<boolean>;
  /** The app's command; empty where the bundle's start command is meant. */
  readonly command: readonly string[];
  /** What was set and has no effect, each with its source. */
  readonly notes: readonly string[];
};

export const FLAGS = [
  "volume",
  "database",
  "replica",
  "config",
  "sync-interval",
  "stop-timeout",
  "seed",
  "seed-timeout",
  "fence",
  "on-stale-volume",
  "on-migration-failure",
  "before-migrate",
  "after-migrate",
  "before-launch",
  "hook-timeout",
  "log",
  "restart",
  "user",
  "share-aws",
  "swap",
] as const;

/** Those that need no value on the command line. */
export const SWITCHES = ["keep-package-manager"] as const;

export type Flag = (typeof FLAGS)[number] | (typeof SWITCHES)[number];

/** The variable that says the same as a flag. */
export function variableOf(flag: Flag): string {
  return `FLYSQLITE_${flag.toUpperCase().replaceAll("-", "_")}`;
}

/** Fly's `kill_timeout` is 5 s unless set: half a second is left for the machine itself. */
export const DEFAULT_STOP_TIMEOUT = "4500ms";
export const DEFAULT_SYNC_INTERVAL = "1s"; // Litestream's
/** Of a seed, and of each hook. */
export const DEFAULT_TIME_LIMIT = "10m";

/** Where litestream.yml is looked for when nothing names it. The second is Litestream's own default. */
const YML_PLACES = ["litestream.yml", "/etc/litestream.yml"];

/** Never told, also where litestream.yml puts them in a wrong place. */
const SECRETS = [
  ...["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
  ...["LITESTREAM_SECRET_ACCESS_KEY", "LITESTREAM_SESSION_TOKEN"],
];

export type Told = {
  readonly flags: { readonly [flag in Flag]?: string | undefined };
  readonly command: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly workingDirectory: string;
};

/** Reads all sources. Throws one E_CONFIG that lists every problem, each with its source. */
export async function readSettings({ flags, command, environment, workingDirectory }: Told): Promise<Settings> {
  const problems: string[] = [];
  const look = <Value>(flag: Flag, parse: (text: string) => Value): Sourced<Value> | undefined => {
    const name = variableOf(flag);
    const found =
      flags[flag] !== undefined
        ? { text: flags[flag], source: `--${flag}` }
        : environment[name] !== undefined
          ? { text: environment[name], source: name }
          : undefined;
    if (found === undefined) return undefined;
    try {
      return { value: parse(found.text), source: found.source };
    } catch (error) {
      problems.push(`${found.source}: ${describe(error)}`);
      return undefined;
    }
  };
  const otherwise = <Value>(value: Value): Sourced<Value> => ({ value, source: "default" });

  problems.push(...unknownVariables(environment));
  const absolute = (text: string) => resolve(workingDirectory, nonEmpty(text));
  const named = look("config", absolute) ?? ymlFromEnvironment(environment, workingDirectory);
  const yml = await readYml(named, { environment, workingDirectory, problems });

  const settings: Settings = {
    appDirectory: workingDirectory,
    volume: look("volume", absolute),
    databaseUrl: look("database", nonEmpty),
    ...(yml?.path === undefined ? {} : { litestreamPath: yml.path }),
    replica: findReplica({
      told: look("replica", (text) => parseReplicaUrl(nonEmpty(text), { workingDirectory, environment })),
      yml,
      environment,
      problems,
    }),
    syncIntervalMs:
      look("sync-interval", parseDuration) ?? yml?.syncInterval ?? otherwise(parseDuration(DEFAULT_SYNC_INTERVAL)),
    levels: { ...DEFAULT_LEVELS, ...yml?.levels },
    stopTimeoutMs: look("stop-timeout", parseDuration) ?? otherwise(parseDuration(DEFAULT_STOP_TIMEOUT)),
    seedTimeoutMs: look("seed-timeout", parseDuration) ?? otherwise(parseDuration(DEFAULT_TIME_LIMIT)),
    seed: look("seed", nonEmpty),
    onMigrationFailure: look("on-migration-failure", oneOf("rollback", "keep")) ?? otherwise("rollback"),
    hooks: {
      "before-migrate": look("before-migrate", nonEmpty),
      "after-migrate": look("after-migrate", nonEmpty),
      "before-launch": look("before-launch", nonEmpty),
    },
    hookTimeoutMs: look("hook-timeout", parseDuration) ?? otherwise(parseDuration(DEFAULT_TIME_LIMIT)),
    fence: look("fence", oneOf("auto", "required", "off")) ?? otherwise("auto"),
    onStaleVolume: look("on-stale-volume", oneOf("refuse", "restore")) ?? otherwise("refuse"),
    log: look("log", oneOf("text", "json", "quiet", "debug")) ?? otherwise("text"),
    restart: look("restart", oneOf("never", "on-failure")) ?? otherwise("never"),
    shareAws: look("share-aws", parseSwitch) ?? otherwise(true),
    keepPackageManager: look("keep-package-manager", parseSwitch) ?? otherwise(false),
    command,
    notes: yml?.notes ?? [],
  };
  if (problems.length > 0) {
    const many = problems.length === 1 ? "a setting is" : `${problems.length} settings are`;
    const secrets = SECRETS.map((name) => environment[name]);
    throw new FlysqliteError("E_CONFIG", `Cannot start: ${many} wrong`, {
      problems: problems.map((problem) => redact(problem, secrets)),
    });
  }
  return settings;
}

function nonEmpty(text: string): string {
  if (text.trim() === "") throw new Error("it is empty");
  return text;
}

function oneOf<Word extends string>(...words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const word = words.find((word) => word === text);
    if (word === undefined) throw new Error(`"${text}" is none of ${words.join(", ")}`);
    return word;
  };
}

function parseSwitch(text: string): boolean {
  if (text === "on") return true;
  if (text === "off") return false;
  throw new Error(`"${text}" is none of on, off`);
}

const KNOWN_VARIABLES = new Set([...FLAGS, ...SWITCHES].map(variableOf));

/** A misspelt setting is as bad as a wrong one: it would silently not hold. */
function unknownVariables(environment: NodeJS.ProcessEnv): string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith("FLYSQLITE_") && name !== SOCKET_VARIABLE && !KNOWN_VARIABLES.has(name))
    .map((name) => `${name}: no such setting; there are ${[...KNOWN_VARIABLES].sort().join(", ")}`);
}

function ymlFromEnvironment(environment: NodeJS.ProcessEnv, workingDirectory: string): Sourced<string> | undefined {
  const path = environment["LITESTREAM_CONFIG"];
  return path === undefined ? undefined : { value: resolve(workingDirectory, path), source: "LITESTREAM_CONFIG" };
}

type Yml = {
  readonly path: Sourced<string> | undefined;
  readonly replica: Sourced<ReplicaPlace> | undefined;
  readonly syncInterval: Sourced<number> | undefined;
  readonly levels: Partial<LevelSettings>;
  readonly notes: readonly string[];
};

async function readYml(
  named: Sourced<string> | undefined,
  {
    environment,
    workingDirectory,
    problems,
  }: { readonly environment: NodeJS.ProcessEnv; readonly workingDirectory: string; readonly problems: string[] },
): Promise<Yml | undefined> {
  const places = named === undefined ? YML_PLACES.map((place) => resolve(workingDirectory, place)) : [named.value];
  for (const file of places) {
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (error) {
      if (named === undefined && systemCode(error) === "ENOENT") continue;
      problems.push(`${named?.source ?? file}: cannot read "${file}": ${describe(error)}`);
      return undefined;
    }
    const report = await parseLitestreamYml(text, { file, environment });
    problems.push(...report.problems);
    const { entries, levels, notes } = report;
    return { ...fromEntries(entries, { workingDirectory, environment, problems }), levels, notes };
  }
  return undefined;
}

function fromEntries(
  [entry, another]: readonly DatabaseEntry[],
  {
    problems,
    ...surroundings
  }: { readonly workingDirectory: string; readonly environment: NodeJS.ProcessEnv; readonly problems: string[] },
): Omit<Yml, "levels" | "notes"> {
  if (another !== undefined)
    problems.push(`${another.source}: this release replicates one database, and more are named`);
  const syncInterval = entry?.syncInterval;
  const path = entry?.path;
  if (entry?.replica === undefined) return { path, replica: undefined, syncInterval };
  const { value, source } = entry.replica;
  try {
    return { path, replica: { value: placeFromKeys(value, surroundings), source }, syncInterval };
  } catch (error) {
    problems.push(`${source}: ${describe(error)}`);
    return { path, replica: undefined, syncInterval };
  }
}

function findReplica({
  told,
  yml,
  environment,
  problems,
}: {
  readonly told: Sourced<ReplicaPlace | "none"> | undefined;
  readonly yml: Yml | undefined;
  readonly environment: NodeJS.ProcessEnv;
  readonly problems: string[];
}): Sourced<ReplicaPlace> | undefined {
  if (told !== undefined) return told.value === "none" ? undefined : { value: told.value, source: told.source };
  // It usually takes the bucket's name from the same variables, and it knows the path.
  if (yml?.replica !== undefined) return yml.replica;
  try {
    const place = placeFromFly(environment);
    return place && { value: place, source: "BUCKET_NAME" };
  } catch (error) {
    problems.push(`BUCKET_NAME: ${describe(error)}`);
    return undefined;
  }
}
