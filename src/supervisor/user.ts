// Which user `--user` means, from the image's own files. Pure: the system's libraries for it may not be in the image.
// Source: passwd(5), group(5)

import { FlysqliteError } from "../base/errors.ts";

export type User = {
  readonly uid: number;
  readonly gid: number;
  /** Further groups that the user is a member of. */
  readonly groups: readonly number[];
  readonly home: string;
};

const ROOT = ["root", "x", "0", "0", "", "/root"] as const;

/** Finds `name`, `uid`, `name:group`, `uid:gid`. Throws E_CONFIG where there is no such user or group. */
export function findUser(told: string, files: { readonly passwd: string; readonly group: string }): User {
  const [who = "", which] = told.split(":", 2);
  const known = [...rows(files.passwd), ROOT]; // whom each system has, also an image without the file
  const entry = known.find(([name, , uid]) => (isNumber(who) ? uid === who : name === who));
  const uid = isNumber(who) ? Number(who) : Number(entry?.[2] ?? Number.NaN);
  if (!isId(uid)) throw refused(told, `there is no user "${who}" in /etc/passwd`);
  if (entry === undefined && which === undefined) {
    throw refused(told, `user ${who} is not in /etc/passwd, so its group has to be named too, as in ${who}:${who}`);
  }
  const gid = which === undefined ? Number(entry?.[3] ?? Number.NaN) : findGroup(which, files.group);
  if (!isId(gid)) throw refused(told, `there is no group "${which ?? entry?.[3] ?? ""}" in /etc/group`);
  const name = entry?.[0];
  // As with Docker's USER: who names a group means that one alone.
  const groups =
    which === undefined
      ? rows(files.group)
          .filter(([, , , members = ""]) => name !== undefined && members.split(",").includes(name))
          .map(([, , id]) => Number(id))
          .filter((id) => isId(id) && id !== gid)
      : [];
  return { uid, gid, groups, home: entry?.[5] || "/" };
}

/** Name of a user; undefined where the file has none. */
export function nameOfUser(uid: number, passwd: string): string | undefined {
  return [...rows(passwd), ROOT].find(([, , id]) => id === String(uid))?.[0];
}

function findGroup(told: string, file: string): number {
  if (isNumber(told)) return Number(told);
  return Number(rows(file).find(([name]) => name === told)?.[2] ?? Number.NaN);
}

function rows(file: string): readonly (readonly string[])[] {
  return file
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"));
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}

/** The last number stands for "none" in system calls. */
function isId(id: number): boolean {
  return Number.isInteger(id) && id >= 0 && id < 0xffff_ffff;
}

function refused(told: string, why: string): FlysqliteError {
  return new FlysqliteError("E_CONFIG", `Cannot run as "${told}": ${why}`, {
    hint: "Name a user of the image, such as --user node, or its numbers, such as --user 1000:1000",
  });
}
