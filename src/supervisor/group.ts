// Whether anything of a process group still runs.

import { readdirSync, readFileSync } from "node:fs";
import { systemCode } from "../base/errors.ts";

/**
 * True while a process of the group runs. One that has ended and was not waited for yet, a zombie, does not: it
 * writes nothing any more.
 */
export function groupIsAlive(leader: number): boolean {
  try {
    process.kill(-leader, 0);
  } catch (error) {
    if (systemCode(error) === "ESRCH") return false;
  }
  try {
    return readdirSync("/proc").some((name) => /^\d+$/.test(name) && runsIn(leader, name));
  } catch {
    return true; // without /proc zombies can't be told from the living
  }
}

/** Source: proc(5), /proc/pid/stat: pid, (name), state, parent, group. The name may hold anything. */
function runsIn(leader: number, pid: string): boolean {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return false; // gone meanwhile
  }
  const [state = "", , group] = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return Number(group) === leader && state !== "Z" && state !== "X";
}
