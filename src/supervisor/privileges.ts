// Root's privileges, given up: by PID 1 itself and so by all that it starts, before anything on the volume is
// touched but its ownership. Source: setgroups(2), setgid(2), setuid(2)

import { closeSync, constants, fchownSync, fstatSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, FlysqliteError, systemCode } from "../base/errors.ts";
import { findUser, nameOfUser, type User } from "./user.ts";

/** The calls that change who a process is. */
export type Identity = Required<
  Pick<NodeJS.Process, "getuid" | "getgid" | "setgroups" | "setgid" | "setuid" | "setegid" | "seteuid">
>;

const ROOT = 0;

/** How deep our own directory is: what waits to be uploaded is in ltx/0. */
const STATE_DEPTH = 2;

export function isRoot({ getuid }: Pick<Identity, "getuid">): boolean {
  return getuid() === ROOT;
}

/** True where the volume's directory belongs to root. */
export function belongsToRoot(volume: string): boolean {
  const directory = openQuietly(volume, constants.O_DIRECTORY);
  if (directory === undefined) return false;
  const { uid } = fstatSync(directory);
  closeSync(directory);
  return uid === ROOT;
}

/**
 * Becomes the user that was told, for good. As root, the volume's directory becomes the user's first, if it is
 * root's, and what an earlier start as root has left there; and the standard streams, as Docker does for its USER.
 * Throws E_CONFIG where it can't be done.
 */
export function becomeUser(
  told: string,
  { identity, volume }: { readonly identity: Identity; readonly volume: string },
): User {
  const user = findUser(told, { passwd: readIfPresent("/etc/passwd"), group: readIfPresent("/etc/group") });
  if (user.uid === identity.getuid() && user.gid === identity.getgid()) return user;
  if (!isRoot(identity)) {
    throw new FlysqliteError("E_CONFIG", `Cannot run as "${told}": only root can become another user`, {
      hint: "Start the container as root, or leave --user out",
    });
  }
  for (const stream of [0, 1, 2]) giveStream(stream, user);
  giveVolume(volume, user);
  try {
    // In this order: without root's user id there is no right to change the groups any more.
    identity.setgroups([...user.groups]);
    identity.setgid(user.gid);
    identity.setuid(user.uid);
  } catch (error) {
    throw new FlysqliteError("E_CONFIG", `Cannot run as "${told}": ${describe(error)}`, {
      cause: error,
      hint: "The container needs the capabilities SETUID and SETGID to give up root; or start it as that user",
    });
  }
  if (identity.getuid() !== user.uid || canBeRootAgain(identity)) {
    throw new FlysqliteError("E_INTERNAL", `root's privileges could not be given up for "${told}"`);
  }
  return user;
}

/** Whom becomeUser() would become; without a name, who we are. `isKnown`: whether there is such a user. */
export function lookUpUser(
  told: string | undefined,
  { getuid }: Pick<Identity, "getuid">,
): { readonly name: string; readonly isRoot: boolean; readonly isKnown: boolean } {
  const passwd = readIfPresent("/etc/passwd");
  if (told === undefined) {
    const uid = getuid();
    return { name: nameOfUser(uid, passwd) ?? `uid ${uid}`, isRoot: uid === ROOT, isKnown: true };
  }
  try {
    const { uid } = findUser(told, { passwd, group: readIfPresent("/etc/group") });
    return { name: told, isRoot: uid === ROOT, isKnown: true };
  } catch (error) {
    if (!(error instanceof FlysqliteError)) throw error;
    return { name: told, isRoot: false, isKnown: false };
  }
}

function canBeRootAgain(identity: Identity): boolean {
  if (identity.getuid() === ROOT) return false; // root:group was asked for
  try {
    identity.setuid(ROOT);
    return true;
  } catch {
    return false;
  }
}

/** A pipe of root's could not be opened anew, as /dev/stderr. */
function giveStream(stream: number, user: User): void {
  try {
    const stats = fstatSync(stream);
    if (stats.uid === ROOT && stats.isFIFO()) fchownSync(stream, user.uid, user.gid);
  } catch {
    // closed, or not ours to give
  }
}

/**
 * The directory itself and, of what is in it, only the databases that flysqlite or Litestream have replicated from
 * here, with their side files and our own directory. No link is followed: whoever could write there could have put one
 * to anything there.
 */
function giveVolume(volume: string, user: User): void {
  const directory = openQuietly(volume, constants.O_DIRECTORY);
  if (directory === undefined) return; // the keeper tells that it is missing
  try {
    giveIfRoots(directory, user);
    // By way of the descriptor, so that it is the same directory whatever happens to its path.
    const inside = `/proc/self/fd/${directory}`;
    for (const name of readdirSync(inside)) {
      const [, database] = /^\.(.+)-(?:flysqlite|litestream)$/.exec(name) ?? [];
      if (database === undefined) continue;
      for (const suffix of ["", "-wal", "-shm", "-journal"]) giveFile(join(inside, `${database}${suffix}`), user);
      giveStateDirectory(join(inside, name), user, STATE_DEPTH);
    }
  } finally {
    closeSync(directory);
  }
}

/** With what is in it, and in its directories, `depth` deep. */
function giveStateDirectory(path: string, user: User, depth: number): void {
  const directory = openQuietly(path, constants.O_DIRECTORY);
  if (directory === undefined) return;
  try {
    giveIfRoots(directory, user);
    const inside = `/proc/self/fd/${directory}`;
    for (const name of readdirSync(inside)) {
      giveFile(join(inside, name), user);
      if (depth > 0) giveStateDirectory(join(inside, name), user, depth - 1);
    }
  } finally {
    closeSync(directory);
  }
}

/** Gives a plain file with one name; anything else may be something else by another name. */
function giveFile(path: string, user: User): void {
  const file = openQuietly(path, constants.O_NONBLOCK);
  if (file === undefined) return;
  try {
    const stats = fstatSync(file);
    if (stats.isFile() && stats.nlink === 1) giveIfRoots(file, user);
  } finally {
    closeSync(file);
  }
}

/** Where that is not allowed (no CAP_CHOWN), the keeper tells what can't be written to. */
function giveIfRoots(file: number, { uid, gid }: User): void {
  if (fstatSync(file).uid !== ROOT) return;
  try {
    fchownSync(file, uid, gid);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
  }
}

/** Follows no link at the path's end. Undefined where there is nothing of that kind. */
function openQuietly(path: string, flags: number): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | flags);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}

function readIfPresent(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
