// Looks at everything a start depends on, and changes nothing. Each thing that makes a start impossible is told,
// not only the first.

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { describe, FlysqliteError, systemCode, toFlysqliteError } from "../base/errors.ts";
import { debug } from "../base/events.ts";
import type { Settings } from "../config/settings.ts";
import { DEFAULT_VOLUME } from "../config/volume.ts";
import type { AppUrl, DatabaseFile, Entry, Facts } from "../plan/facts.ts";
import { resolveDatabaseUrl } from "../prisma/database-url.ts";
import type { Manifest } from "../prisma/manifest.ts";
import { hasState, readState } from "../replica/state.ts";
import { DATABASE_HEADER_SIZE, decodeDatabaseHeader } from "../sqlite/header.ts";
import type { AppBundle } from "./app-bundle.ts";
import { findCommand } from "./command.ts";
import type { StepContext } from "./context.ts";
import { hasContent } from "./has-content.ts";
import { readLitestreamState } from "./litestream-state.ts";
import { observeNewest, observeReplica } from "./observe-replica.ts";
import { findPending } from "./pending.ts";
import { SIDE_FILE_SUFFIXES, stateDirectory, unbornMark } from "./places.ts";
import { readUnfinished } from "./unfinished.ts";

/** As many of the facts as could be had. */
export type FoundFacts = { readonly [Name in keyof Facts]?: Facts[Name] | undefined };

export type Observed =
  | { readonly facts: Facts; readonly problems: readonly [] }
  | { readonly facts: undefined; readonly found: FoundFacts; readonly problems: readonly FlysqliteError[] };

/** The facts; or, where some could not be had, all the reasons. */
export async function observe(bundle: AppBundle, context: StepContext): Promise<Facts | readonly FlysqliteError[]> {
  const { facts, problems } = await observeAll(bundle, context);
  return facts ?? problems;
}

/** The same; where some facts could not be had, with the others. */
export async function observeAll(bundle: AppBundle, context: StepContext): Promise<Observed> {
  const { settings, environment, log } = context;
  const { manifest } = bundle;
  const problems: FlysqliteError[] = [];
  const attempt = async <Value>(look: () => Value | Promise<Value>): Promise<Value | undefined> => {
    try {
      return await look();
    } catch (error) {
      context.signal.throwIfAborted();
      problems.push(toFlysqliteError(error));
      return undefined;
    }
  };

  const command = await attempt(() =>
    findCommand({
      command: settings.command,
      manifest,
      appDirectory: settings.appDirectory,
      environment,
      keepPackageManager: settings.keepPackageManager.value,
    }),
  );
  const url = await attempt(() => findUrl(manifest, context));
  const volume = await attempt(() => findVolume(settings));
  const place = url && volume && (await attempt(() => findDatabase(url, volume.path)));
  const names = { fileName: url?.fileName, databasePath: place?.database.path };
  const { replica, lease, unasked } = (await attempt(() => observeReplica(names, context))) ?? {};
  log(debug("config", "files and replica were looked at"));
  const early: FoundFacts = { manifest, manifestSource: bundle.source, command, url, volume, replica, lease, unasked };
  if (!command || !url || !volume || !place || problems.length > 0)
    return { facts: undefined, found: { ...early, ...place }, problems };

  const { database, entry } = place;
  const isUnmade = existsSync(unbornMark(database.path));
  const unfinished = isUnmade ? undefined : await attempt(() => findUnfinished(database));
  const ready = database.state === "present" && !isUnmade && unfinished?.what !== "migrate";
  const migrations = ready ? await attempt(() => findPending(database.path, bundle, context)) : undefined;
  // One that was not seeded yet has no data: with other migrations than this release's it is made anew.
  const isUnseeded = unfinished?.what === "seed" && unfinished.isNew;
  const unborn = isUnmade || (isUnseeded && migrations?.kind !== "up-to-date");
  // Where scripts may have to be applied, a damaged bundle is told now, and not half way through the start.
  if (migrations?.kind !== "up-to-date") {
    await attempt(async () => {
      const isWhole = database.state !== "present" && bundle.template?.() !== undefined;
      if (!isWhole) await bundle.migrations();
    });
  }
  const state = await attempt(() => readState(stateDirectory(database.path)));
  const newest = await attempt(() => observeNewest({ replica, state, databasePath: database.path }, context));
  const litestream = await attempt(() => readLitestreamState(database.path));
  log(debug("config", "the database was looked at"));
  if (problems.length > 0) return { facts: undefined, found: { ...early, database, entry, migrations }, problems };
  const facts: Facts = {
    manifest,
    manifestSource: bundle.source,
    volume,
    url,
    database,
    entry,
    canLink: canWriteBelow(dirname(url.path)),
    replica,
    ...(unasked === undefined ? {} : { unasked }),
    lease,
    state,
    newest,
    litestream,
    unborn,
    unfinished: unborn ? undefined : unfinished,
    migrations: unborn ? undefined : migrations,
    command,
  };
  return { facts, problems: [] };
}

async function findUnfinished({ path, state }: DatabaseFile): Promise<Facts["unfinished"]> {
  const unfinished = state === "present" ? readUnfinished(path) : undefined;
  if (unfinished === undefined || unfinished.phase === "leave WAL") return undefined;
  const { phase, names, isNew } = unfinished;
  return { what: phase, names, isNew };
}

/** Path of the database on the volume, whether there is one or not. Throws where url or volume are wrong. */
export function locateDatabase({ manifest }: AppBundle, context: StepContext): string {
  return findPlace(findUrl(manifest, context), findVolume(context.settings).path).path;
}

function findUrl(manifest: Manifest, { settings, environment }: StepContext): AppUrl {
  const { path, query, from } = resolveDatabaseUrl({
    rule: manifest.database,
    prismaMajor: manifest.prismaMajor,
    environment,
    ...(settings.databaseUrl === undefined ? {} : { override: settings.databaseUrl.value }),
    cwd: settings.appDirectory,
  });
  // The app reads the variable also where its value comes from elsewhere, so it can always be told by it.
  const variable = manifest.database.variable ?? (from.kind === "variable" ? from.name : undefined);
  const source = {
    flag: settings.databaseUrl?.source ?? "--database",
    variable: from.name ?? "a variable",
    literal: variable === undefined ? "the schema" : `the project, where ${variable} is not set,`,
  }[from.kind];
  // With Prisma 7 the adapter opens a file whose name has the query in it; before, Prisma's engine cut it off.
  const opened = query !== undefined && manifest.prismaMajor >= 7 ? `${path}?${query}` : path;
  return { path: opened, fileName: basename(path), source, variable };
}

/** Throws E_VOLUME where it can't be used. */
export function findVolume(settings: Pick<Settings, "volume">): Facts["volume"] {
  const { value: path, source } = settings.volume ?? { value: DEFAULT_VOLUME, source: "default" };
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new FlysqliteError("E_VOLUME", `Cannot find the volume: there is no "${path}" (${source})`);
  if (!stats.isDirectory())
    throw new FlysqliteError("E_VOLUME", `Cannot use "${path}" as the volume (${source}): it is not a directory`);
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    const why = systemCode(error) === "EROFS" ? "it is mounted read-only" : describe(error);
    throw new FlysqliteError("E_VOLUME", `Cannot write to the volume "${path}" (${source}): ${why}`, { cause: error });
  }
  const real = realpathSync(path);
  return { path: real, source, isMountPoint: statSync(dirname(real)).dev !== stats.dev || real === "/" };
}

/** Where the database is on the volume, and what stands where the app looks for it. */
function findDatabase(
  url: AppUrl,
  volume: string,
): { readonly database: DatabaseFile; readonly entry: Facts["entry"] } {
  const { path, onVolume } = findPlace(url, volume);
  const database = lookAtDatabase(path);
  if (onVolume) return { database, entry: "on the volume" };
  const entry = lookAtEntry(url.path, database);
  const mayBeMoved = url.variable === undefined && entry.kind === "file" && database.state !== "present";
  if (mayBeMoved && entry.sizeBytes > 0) requireDatabase(url.path, entry.sizeBytes);
  return { database, entry };
}

/** The database's path on the volume, and whether the app's url leads there by itself. */
function findPlace(url: AppUrl, volume: string): { readonly path: string; readonly onVolume: boolean } {
  const directory = realpathAsFarAsPresent(dirname(url.path));
  const appPath = join(directory, basename(url.path));
  const below = isBelow(appPath, volume);
  const onVolume = below && basename(appPath) === url.fileName;
  return { path: onVolume ? appPath : join(below ? directory : volume, url.fileName), onVolume };
}

export function lookAtDatabase(path: string): DatabaseFile {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats !== undefined && (!stats.isFile() || stats.nlink > 1)) {
    const what = stats.isFile() ? "has several names (hard links)" : "is not a regular file";
    throw new FlysqliteError("E_VOLUME", `Cannot use "${path}": it ${what}`, {
      hint: "The database must be one plain file on the volume",
    });
  }
  const sizeBytes = stats?.size ?? 0;
  const state = stats === undefined ? "absent" : sizeBytes === 0 ? "empty" : "present";
  // What is still being made is made anew, whatever it looks like.
  if (state === "present" && !existsSync(unbornMark(path))) requireDatabase(path, sizeBytes);
  const orphans =
    state === "present"
      ? []
      : SIDE_FILE_SUFFIXES.map((suffix) => `${path}${suffix}`).filter((side) => existsSync(side));
  const others = state === "present" ? [] : findOthers(path);
  return { path, state, sizeBytes, orphans, ...(others.length === 0 ? {} : { others }) };
}

/** Databases beside the one at `path` that have flysqlite's state, were finished, and are there or were replicated. */
function findOthers(path: string): readonly string[] {
  const directory = dirname(path);
  const names = existsSync(directory) ? readdirSync(directory) : [];
  return names
    .map((name) => /^\.(.+)-flysqlite$/.exec(name)?.[1] ?? basename(path))
    .map((name) => join(directory, name))
    .filter((other) => other !== path && !existsSync(unbornMark(other)))
    .filter((other) => existsSync(other) || hasState(stateDirectory(other)));
}

/** Throws E_DB_INVALID for a file that is no whole database. Nobody has it open yet, so it may be opened and closed. */
function requireDatabase(path: string, sizeBytes: number): void {
  const bytes = new Uint8Array(DATABASE_HEADER_SIZE);
  const file = openSync(path, "r");
  const length = readSync(file, bytes, 0, bytes.byteLength, 0);
  closeSync(file);
  const header = decodeDatabaseHeader(bytes.subarray(0, length));
  if (typeof header === "string") throw new FlysqliteError("E_DB_INVALID", `Cannot use "${path}": ${header}`);
  // A process that was killed in a checkpoint, or in a commit, leaves a file that SQLite makes whole of its log or journal.
  const isUnfinished = ["-wal", "-journal"].some((suffix) => hasContent(`${path}${suffix}`));
  const expectedBytes = header.pageCount * header.pageSize;
  if (!isUnfinished && header.pageCountIsCurrent && sizeBytes < expectedBytes) {
    throw new FlysqliteError(
      "E_DB_INVALID",
      `Cannot use "${path}": it has ${sizeBytes} bytes, and its header says ${expectedBytes}`,
    );
  }
}

function lookAtEntry(path: string, database: DatabaseFile): Entry {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return { kind: "nothing" };
  if (stats.isSymbolicLink()) {
    const target = resolve(dirname(path), readlinkSync(path));
    return { kind: "link", target: join(realpathAsFarAsPresent(dirname(target)), basename(target)) };
  }
  if (stats.isDirectory()) return { kind: "directory" };
  if (!stats.isFile()) return { kind: "other" };
  if (stats.nlink > 1) return { kind: "hard link" };
  const sameAsDatabase =
    database.state === "present" &&
    stats.size === database.sizeBytes &&
    ["", "-wal", "-journal"].every((suffix) => addsNothing(`${path}${suffix}`, `${database.path}${suffix}`));
  return { kind: "file", sizeBytes: stats.size, sameAsDatabase };
}

/** True where `path` is absent or empty, or a copy of `other`. Files that could get into an image by mistake are small. */
function addsNothing(path: string, other: string): boolean {
  const sizeBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (sizeBytes === 0) return true;
  return existsSync(other) && readFileSync(path).equals(readFileSync(other));
}

/** The path with its links followed, up to where it exists. */
export function realpathAsFarAsPresent(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (systemCode(error) !== "ENOENT" || path === dirname(path)) throw error;
    return join(realpathAsFarAsPresent(dirname(path)), basename(path));
  }
}

function isBelow(path: string, directory: string): boolean {
  const way = relative(directory, path);
  return way !== "" && way !== ".." && !way.startsWith("../");
}

/** True where `directory`, or the nearest one above it that exists, can be written to. */
function canWriteBelow(directory: string): boolean {
  for (let place = directory; ; place = dirname(place)) {
    try {
      accessSync(place, constants.W_OK);
      return true;
    } catch (error) {
      if (systemCode(error) !== "ENOENT" || place === dirname(place)) return false;
    }
  }
}
