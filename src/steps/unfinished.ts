// What is written down while a database is changed that may have to be put back: the restore point, and what for. It
// stands in the state directory from before the first change until the last one is durable.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { readIfPresent, removeDurably, writeDurably } from "../base/durable-file.ts";
import { FlysqliteError } from "../base/errors.ts";
import { seal, unseal } from "../base/sealed.ts";
import type { RestorePoint } from "../sqlite/restore-point.ts";
import { stateDirectory } from "./places.ts";

/** A database that is to be put back. */
export type Change = {
  readonly phase: "migrate" | "seed";
  /** The migrations that were pending, or the seed's command. */
  readonly names: readonly string[];
  /** Of the migrations: see steps/interruptions.ts. Of a seed it is empty. */
  readonly digest: string;
  readonly point: RestorePoint;
  /** When it began, in milliseconds since the Unix epoch. */
  readonly startedMs: number;
  /** False where the database has a rollback journal, and is in WAL mode only for the time being. */
  readonly wasWal: boolean;
  /** True where nobody has seen the database yet: if all else fails, it is made anew. */
  readonly isNew: boolean;
};

/** Or one whose content is what it is to be, but which is in WAL mode only for the time being. */
export type Unfinished = Change | { readonly phase: "leave WAL" };

const FORMAT_VERSION = 1;

function place(databasePath: string): string {
  return join(stateDirectory(databasePath), "unfinished.json");
}

/** Where the copy is put, where a restore point needs one. */
export function copyPlace(databasePath: string): string {
  return join(stateDirectory(databasePath), "restore-point.db");
}

/** True where there may be something to put back or to clear away: what a start looks at first. */
export function isUnfinished(databasePath: string): boolean {
  return existsSync(place(databasePath)) || existsSync(copyPlace(databasePath));
}

export async function writeUnfinished(databasePath: string, unfinished: Unfinished): Promise<void> {
  const json = JSON.stringify({ version: FORMAT_VERSION, ...unfinished });
  await writeDurably(place(databasePath), seal(json));
}

/** From here on nothing is put back any more. */
export async function removeUnfinished(databasePath: string): Promise<void> {
  await removeDurably(place(databasePath));
  await removeDurably(copyPlace(databasePath));
}

/** Undefined where nothing is unfinished. Throws E_MIGRATE for a file that is not what was written. */
export function readUnfinished(databasePath: string): Unfinished | undefined {
  const path = place(databasePath);
  const text = readIfPresent(path);
  if (text === undefined) return undefined;
  const json = unseal(text);
  const value: unknown = json === undefined ? undefined : JSON.parse(json);
  if (isVersioned(value)) return value;
  throw new FlysqliteError(
    "E_MIGRATE",
    `Cannot tell what "${databasePath}" is to be put back to: "${path}" is damaged`,
    {
      hint: "Restore the database from its replica, or remove that file to go on with the database as it is",
    },
  );
}

/** The checksum vouches for the rest: it was written by this code. */
function isVersioned(value: unknown): value is Unfinished {
  return typeof value === "object" && value !== null && "version" in value && value.version === FORMAT_VERSION;
}
