// Runs the app's seed command, once in the life of a database, and without npm.

import { spawn } from "node:child_process";
import { delimiter, join } from "node:path";
import { removeDurably } from "../base/durable-file.ts";
import { describe, FlysqliteError } from "../base/errors.ts";
import { info } from "../base/events.ts";
import { formatDuration } from "../base/format.ts";
import { appEnvironment } from "../plan/app-environment.ts";
import type { Plan } from "../plan/plan.ts";
import { splitSeedCommand } from "../prisma/seed-command.ts";
import { changeSafely, writeUnseeded } from "./change-safely.ts";
import { signalGroup, waitForEnd } from "./child.ts";
import type { StepContext } from "./context.ts";
import { askMigrator, requireAnswer } from "./migrator-child.ts";
import { unbornMark } from "./places.ts";
import { removeUnfinished } from "./unfinished.ts";

/**
 * Seeds a database that was made in this start, or in one that did not come to the seed's end, and then lets it count
 * as made. A seed that fails, is cut off, or takes too long leaves it migrated and unseeded.
 */
export async function seed(plan: Plan, context: StepContext): Promise<void> {
  const { copy, facts } = plan;
  const { path } = facts.database;
  const isMade = () => removeDurably(unbornMark(path));
  if (plan.seed === undefined) {
    if (copy.kind === "create") await isMade();
    if (facts.unfinished?.what === "seed") await removeUnfinished(path); // the release has no seed any more
    return;
  }
  const command = plan.seed;
  const run = async () => {
    await isMade(); // but for its seed, which is now written down as unfinished
    await runSeed(command, plan, context);
  };
  const change = { ...seedOf(path, command), isNew: true, copyBecause: "the database is new", run };
  await changeSafely(change, context);
}

/** What all seeds are as changes. */
function seedOf(path: string, command: string) {
  return { step: "seed", path, names: [command], digest: "", wasWal: true, letGo: () => {} } as const;
}

/** Leaves a database that was just made for a later start to seed, or for `flysqlite seed`. */
export async function postponeSeed(plan: Plan, context: StepContext): Promise<void> {
  const { path } = plan.facts.database;
  if (plan.seed !== undefined) await writeUnseeded(path, plan.seed, context);
  await removeDurably(unbornMark(path));
}

/** Seeds a database that has data. It is put back too where the seed fails; but nothing runs it again. */
export async function seedByHand(command: string, plan: Plan, context: StepContext): Promise<void> {
  const { path } = plan.facts.database;
  const answer = await askMigrator({ kind: "prepare", path, setWal: false }, context);
  const { isWal } = requireAnswer(answer, "prepared", "Cannot seed the database");
  const copyBecause = isWal ? undefined : "it has a rollback journal";
  const run = () => runSeed(command, plan, context);
  await changeSafely({ ...seedOf(path, command), isNew: false, copyBecause, run }, context);
}

async function runSeed(
  command: string,
  plan: Plan,
  { settings, environment, clock, log, signal, asApp }: StepContext,
): Promise<void> {
  const { appDirectory, seedTimeoutMs } = settings;
  const [file = "", ...args] = splitSeedCommand(command);
  const env = appEnvironment(environment, { placement: plan.placement, shareAws: settings.shareAws.value });
  // Seed commands are written for `npx prisma db seed`, which finds the app's own tools.
  const path = [join(appDirectory, "node_modules/.bin"), environment["PATH"] ?? ""].join(delimiter);
  const startedMs = clock.monotonic();
  const child = asApp(() =>
    spawn(file, args, {
      cwd: appDirectory,
      env: { ...env, PATH: path },
      stdio: ["ignore", 2, 2],
      detached: true,
    }),
  );
  const timeout = AbortSignal.timeout(seedTimeoutMs.value);
  let exitStatus: number;
  try {
    ({ exitStatus } = await waitForEnd(child, { signal: AbortSignal.any([signal, timeout]) }));
  } catch (error) {
    signal.throwIfAborted();
    const why = timeout.aborted ? `it took longer than ${formatDuration(seedTimeoutMs.value)}` : describe(error);
    throw new FlysqliteError("E_SEED", `Cannot seed the database: "${command}": ${why}`, { cause: error });
  } finally {
    signalGroup(child, "SIGKILL"); // what it left behind would go on writing
  }
  if (exitStatus !== 0)
    throw new FlysqliteError("E_SEED", `Cannot seed the database: "${command}" ended with status ${exitStatus}`);
  log(info("seed", `${command}: done in ${formatDuration(clock.monotonic() - startedMs)}`));
}
