// The first thing of a start, before anything opens the database: what an earlier one left half changed is put back.

import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { writeDurably } from "../base/durable-file.ts";
import { FlysqliteError } from "../base/errors.ts";
import { info, warn } from "../base/events.ts";
import type { StepContext } from "./context.ts";
import { countInterruption } from "./interruptions.ts";
import { unbornMark } from "./places.ts";
import { leaveWal, putBack } from "./put-back.ts";
import { type Change, copyPlace, readUnfinished, removeUnfinished } from "./unfinished.ts";

/**
 * Puts the database at `path` back where that is unfinished business. Under the lock.
 *
 * Throws E_MIGRATE where it can't be done: rather than guess, nothing is touched.
 */
export async function recover(path: string, context: StepContext): Promise<void> {
  const unfinished = readUnfinished(path);
  if (unfinished === undefined) return rm(copyPlace(path), { force: true }); // of a restore point that was never used
  if (existsSync(unbornMark(path)) || !existsSync(path)) {
    // It is made anew, or is not there to be put back: somebody removed it.
    await removeUnfinished(path);
    return;
  }
  if (unfinished.phase === "leave WAL") return leaveWal(path, context);
  const { phase, names, digest, startedMs } = unfinished;
  if (phase === "migrate") {
    const since = new Date(startedMs).toISOString();
    context.log(warn("migrate", `${names.join(", ")} was begun at ${since} and cut off`));
  }
  const outcome = await putBack(path, unfinished, { ...context, held: false });
  if (outcome.kind === "stuck") throw stuck(path, outcome.why);
  if (outcome.kind === "lost") await dealWithLoss(path, unfinished, outcome.why, context);
  else if (phase === "migrate") await countInterruption(path, digest);
}

async function dealWithLoss(
  path: string,
  { phase, names, isNew }: Change,
  why: string,
  { log, settings }: StepContext,
): Promise<void> {
  if (isNew) {
    log(info(phase, `${path} is made anew: it can't be put back, and nobody has used it`));
    await writeDurably(unbornMark(path), "");
    await removeUnfinished(path);
    return;
  }
  if (settings.onMigrationFailure.value === "keep") {
    log(warn("migrate", `${path} stays as it is, half changed: ${why}`));
    await removeUnfinished(path);
    return;
  }
  const [first = ""] = names;
  const inReplica = `The replica, where there is one, has the state before: \`flysqlite restore --before-migration ${first} --force\``;
  throw new FlysqliteError(
    "E_MIGRATE",
    `Cannot put "${path}" back to what it was before ${names.join(", ")}, which was cut off: ${why}`,
    {
      problems: [
        "Something else opened it after that and before flysqlite, so that its log can't be cut any more",
        ...(phase === "migrate" ? [inReplica] : []),
      ],
      hint: "Restore it, or go on with it as it is: look at it with `flysqlite migrate --dry`, then start with --on-migration-failure=keep",
    },
  );
}

function stuck(path: string, why: string): FlysqliteError {
  return new FlysqliteError("E_MIGRATE", `Cannot put "${path}" back to what it was: ${why}`, {
    hint: "End what has it open, then start again",
  });
}
