// Puts a database back to what it was before a change that did not come to its end.

import { existsSync } from "node:fs";
import { describe, withNote } from "../base/errors.ts";
import { info, warn } from "../base/events.ts";
import { formatDuration } from "../base/format.ts";
import type { StepContext } from "./context.ts";
import { askMigrator, failureOf } from "./migrator-child.ts";
import { type Change, removeUnfinished, writeUnfinished } from "./unfinished.ts";

export type PutBack =
  | { readonly kind: "done" }
  /** It can't be done any more. */
  | { readonly kind: "lost"; readonly why: string }
  /** It can't be done now. */
  | { readonly kind: "stuck"; readonly why: string };

/**
 * Puts it back; nobody may have the database open in this process. What is unfinished stays written down where it can't
 * be put back, and after the seed of a new database, which the next start is to run again.
 *
 * `held` says that the restore point was held up to now.
 */
export async function putBack(
  path: string,
  { phase, point, wasWal, isNew }: Change,
  { held, ...context }: Pick<StepContext, "program" | "environment" | "clock" | "log"> & { readonly held: boolean },
): Promise<PutBack> {
  const startedMs = context.clock.monotonic();
  // Not to be broken off: it takes less time than a stop leaves.
  const asking = { ...context, signal: new AbortController().signal };
  const time = new Date(context.clock.now()).toISOString().replace(/[-:]/g, "").replace(/\..*/, "Z");
  // Who had the database since a copy was made of it, if anybody had, can't be told.
  const aside =
    point.kind === "copy" && !held && !isNew && existsSync(point.path) ? `${path}.half-changed-${time}` : undefined;
  const answer = await askMigrator({ kind: "put back", path, point, held, aside }, asking);
  if (answer.kind === "lost") return { kind: "lost", why: answer.reason };
  if (answer.kind === "busy") return { kind: "stuck", why: "another process has it open" };
  if (answer.kind !== "done") return { kind: "stuck", why: describe(failureOf(answer, "it failed")) };
  const took = formatDuration(context.clock.monotonic() - startedMs);
  context.log(info(phase, `${path} is put back to what it was before, in ${took}`));
  if (aside !== undefined) context.log(warn(phase, `what it was until now is kept as ${aside}`));
  if (phase === "seed" && isNew) return { kind: "done" };
  if (wasWal) await removeUnfinished(path);
  else await leaveWal(path, asking);
  return { kind: "done" };
}

/** Sets the journal mode that the database had. Its content is what it is to be, whether this works or not. */
export async function leaveWal(
  path: string,
  context: Pick<StepContext, "program" | "environment" | "signal" | "log">,
): Promise<void> {
  await writeUnfinished(path, { phase: "leave WAL" });
  const answer = await askMigrator({ kind: "leave WAL", path }, context);
  const failure = failureOf(answer, `Cannot set the rollback journal of "${path}" again, so that it stays in WAL mode`);
  if (failure !== undefined) context.log(warn("migrate", failure.message));
  await removeUnfinished(path);
}

/** An error with what became of the database. */
export function withOutcome(error: unknown, path: string, outcome: PutBack): unknown {
  switch (outcome.kind) {
    case "done":
      return withNote(error, `"${path}" is as it was before`);
    case "lost":
      return withNote(error, `"${path}" is half changed, and can't be put back: ${outcome.why}`);
    case "stuck":
      return withNote(
        error,
        `"${path}" is half changed, and can't be put back now: ${outcome.why}; the next start does it`,
      );
  }
}
