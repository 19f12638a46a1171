// Where a database is that is replicated, or asked about, as it stands: at its own url, wherever that leads.

import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, FlysqliteError } from "../base/errors.ts";
import { resolveDatabaseUrl } from "../prisma/database-url.ts";
import { type AppBundle, openBundle } from "./app-bundle.ts";
import type { StepContext } from "./context.ts";
import { locateDatabase, realpathAsFarAsPresent } from "./observe.ts";
import { stateDirectory } from "./places.ts";

/** Path of the database that is told by --database or in litestream.yml; else of the app's, on the volume. */
export async function findDatabaseInPlace(context: StepContext): Promise<string> {
  return toldPath(context) ?? appsDatabase(context);
}

/**
 * Path of the database that `run` or `replicate` has taken, where either may be running. `replicate` takes it where it
 * is told to be, and `run` a file of that name on the volume: where nothing is at one of them, it is the other.
 */
export async function findRunningDatabase(context: StepContext): Promise<string> {
  const told = toldPath(context);
  if (told !== undefined && isInUse(told)) return told;
  try {
    const onVolume = await appsDatabase(context);
    return told === undefined || isInUse(onVolume) ? onVolume : told;
  } catch (error) {
    if (told === undefined) throw error;
    return told; // there is no app, or no volume
  }
}

/** On the volume, as a start has it. */
async function appsDatabase(context: StepContext): Promise<string> {
  let bundle: AppBundle;
  try {
    bundle = await openBundle(context);
  } catch (error) {
    throw new FlysqliteError(
      "E_CONFIG",
      `Cannot tell which database is meant: none is named, and no app is found (${describe(error)})`,
      {
        cause: error,
        hint: "Name it with --database, FLYSQLITE_DATABASE, or in litestream.yml",
      },
    );
  }
  return locateDatabase(bundle, context);
}

function isInUse(path: string): boolean {
  return existsSync(path) || existsSync(stateDirectory(path));
}

/**
 * The place that --database or litestream.yml tells; undefined where neither does. SQLite puts its side files beside the
 * file that a link leads to, and so do we.
 */
export function toldPath({ settings }: StepContext): string | undefined {
  const override = (settings.databaseUrl ?? settings.litestreamPath)?.value;
  if (override === undefined) return undefined;
  const { path } = resolveDatabaseUrl({
    rule: { baseDirectory: "." },
    prismaMajor: 7,
    environment: {},
    override,
    cwd: settings.appDirectory,
  });
  return existsSync(path) ? realpathAsFarAsPresent(path) : join(realpathAsFarAsPresent(dirname(path)), basename(path));
}
