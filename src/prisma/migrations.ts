// The migrations of an app, as Prisma finds them on a disk.
// Source: Prisma 7.10, `migrate deploy`

import { createHash } from "node:crypto";
import { type Dirent, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../base/errors.ts";
import type { Migration } from "./manifest.ts";

export const LOCK_FILE = "migration_lock.toml";
export const SCRIPT = "migration.sql";

export type MigrationsDirectory = {
  /** In the order in which Prisma applies them. */
  readonly migrations: readonly Migration[];
  /** Text of migration_lock.toml, where there is one. */
  readonly lockFile?: string;
};

/**
 * Reads a migrations directory. One that does not exist is an empty one.
 *
 * Each real directory is a migration, hidden ones too; a file or a link to a directory is none. Invalid UTF-8 in a
 * script becomes U+FFFD, in what is executed as in its checksum.
 */
export function listMigrations(directory: string): MigrationsDirectory {
  const migrations = readEntries(directory)
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ name, sql: readIfReadable(join(directory, name, SCRIPT)) }))
    // Prisma takes the order of the machine's locale; a fixed one keeps a build from depending on its machine.
    .sort((a, b) => a.name.localeCompare(b.name, "en"));
  const lockFile = readIfReadable(join(directory, LOCK_FILE));
  return lockFile === undefined ? { migrations } : { migrations, lockFile };
}

/** SHA-256 of a script as text, 64 lower case hex digits. */
export function checksum(sql: string): string {
  return createHash("sha256").update(sql).digest("hex");
}

/**
 * The provider that a lock file names.
 *
 * By Prisma's comparison of text, which is not TOML: `provider="sqlite"` names a provider of that whole text.
 */
export function lockedProvider(lockFile: string): string {
  const line = lockFile.split(/\r?\n/).find((text) => text.startsWith("provider"));
  return line?.replace(/^(?:provider = )+/, "").replace(/^"+|"+$/g, "") ?? "<PROVIDER NOT FOUND>";
}

function readEntries(directory: string): readonly Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}

/** The file's text; undefined where it can't be read, whatever the reason, as Prisma has it. */
function readIfReadable(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}
