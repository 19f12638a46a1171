// Puts the database's place in the app's tree in touch with the volume. A crash between any two calls leaves
// something that the next start brings to the same end.

import { copyFile, mkdir, open, readFile, rename, rm, symlink } from "node:fs/promises";
import { dirname } from "node:path";
import { removeDurably, syncDirectory } from "../base/durable-file.ts";
import { FlysqliteError, systemCode } from "../base/errors.ts";
import { info } from "../base/events.ts";
import type { Plan } from "../plan/plan.ts";
import type { StepContext } from "./context.ts";
import { moveAside } from "./move-aside.ts";
import { SIDE_FILE_SUFFIXES, unbornMark } from "./places.ts";

export async function link(
  { placement, facts }: Plan,
  { log, clock }: Pick<StepContext, "log" | "clock">,
): Promise<void> {
  if (placement.kind === "direct") return;
  if (placement.kind === "variable") {
    log(info("link", `the app is told ${placement.name}=${placement.url}`));
    return;
  }
  const { from, to, before } = placement;
  if (before === "already linked") return;
  if (before === "move the file to the volume") {
    const { database, unborn } = facts;
    // A stale log would be replayed into the file that is moved beside it.
    await moveAside(database.orphans, { clock, log, step: "link" });
    if (unborn) await removeDurably(unbornMark(to)); // with it the next start would take the file for unmade
    await moveToVolume(from, to);
  }
  if (before === "replace an empty file" || before === "replace a copy") await moveSideFilesAway(from);
  await mkdir(dirname(from), { recursive: true });
  const temporary = `${from}.flysqlite-link`;
  await rm(temporary, { force: true });
  await symlink(to, temporary);
  await rename(temporary, from); // replaces what is there in one step
  log(info("link", `${from} -> ${to}`));
}

/** Copies a database and its log or journal to the volume, each whole and durable, the database last. */
async function moveToVolume(from: string, to: string): Promise<void> {
  for (const suffix of ["-wal", "-journal", ""]) {
    const temporary = `${to}.moving${suffix}`;
    try {
      await copyFile(`${from}${suffix}`, temporary);
    } catch (error) {
      if (suffix !== "" && systemCode(error) === "ENOENT") continue;
      throw error;
    }
    await using file = await open(temporary, "r+");
    await file.sync();
    if (!(await readFile(temporary)).equals(await readFile(`${from}${suffix}`))) {
      throw new FlysqliteError("E_LINK", `Cannot move "${from}${suffix}" to the volume: the copy differs`);
    }
    await rename(temporary, `${to}${suffix}`);
  }
  await syncDirectory(dirname(to));
  await moveSideFilesAway(from);
}

/** A log beside the link would be taken for the database's own. */
async function moveSideFilesAway(path: string): Promise<void> {
  for (const suffix of SIDE_FILE_SUFFIXES) await rm(`${path}${suffix}`, { force: true });
}
