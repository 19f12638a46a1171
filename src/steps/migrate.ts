// Applies what is pending, in a child of its own: another SQLite library than the keeper's, and a crash there
// leaves the keeper whole.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "../base/durable-file.ts";
import { FlysqliteError } from "../base/errors.ts";
import { info, warn } from "../base/events.ts";
import { formatDuration } from "../base/format.ts";
import { MIGRATOR_ROLE } from "../base/roles.ts";
import { migrationsRefused, type Plan } from "../plan/plan.ts";
import type { MigratorAnswer, MigratorTask } from "../prisma/migrator.ts";
import type { AppBundle } from "./app-bundle.ts";
import { waitForEnd } from "./child.ts";
import type { StepContext } from "./context.ts";
import { findPending } from "./pending.ts";

/** Gives the names of the migrations that were applied. */
export async function migrate(plan: Plan, bundle: AppBundle, context: StepContext): Promise<readonly string[]> {
  const { path } = plan.facts.database;
  const { clock, log } = context;
  const known = plan.copy.kind === "keep" ? plan.facts.migrations : undefined;
  const decision = plan.copy.kind === "create" ? undefined : (known ?? (await findPending(path, bundle, context)));
  if (decision?.kind === "refused") throw migrationsRefused(decision);
  if (decision?.kind === "up-to-date") {
    for (const name of decision.changed)
      log(warn("migrate", `${name} was edited after it was applied; Prisma goes by names, and so it stays`));
    if (decision.unknown.length > 0) {
      const names = decision.unknown.join(", ");
      log(
        warn("migrate", `the database is ahead of this release, which does not have ${names}; it runs on it as it is`),
      );
    }
    return [];
  }
  await makeIfAbsent(path);
  const { migrations, lockFile } = await bundle.migrations();
  const startedMs = clock.monotonic();
  const applied = await runMigrator({ path, migrations, ...(lockFile === undefined ? {} : { lockFile }) }, context);
  const what = applied.length === 0 ? "nothing" : applied.join(", ");
  log(info("migrate", `applied ${what} in ${formatDuration(clock.monotonic() - startedMs)}`));
  return applied;
}

async function makeIfAbsent(path: string): Promise<void> {
  if (existsSync(path)) return;
  await using file = await open(path, "wx", 0o640);
  await file.sync();
  await syncDirectory(dirname(path));
}

async function runMigrator(task: MigratorTask, { program, signal }: StepContext): Promise<readonly string[]> {
  const [file, ...first] = program;
  const child = spawn(file, [...first, MIGRATOR_ROLE], {
    stdio: ["ignore", 2, 2, "ipc"],
    detached: true,
    serialization: "advanced",
  });
  let answer: MigratorAnswer | undefined;
  child.on("message", (message: MigratorAnswer) => {
    answer = message;
  });
  child.send(task);
  const { exitStatus } = await waitForEnd(child, { signal });
  if (answer?.kind === "applied") return answer.names;
  if (answer?.kind === "failed") {
    const [first = "", ...rest] = answer.message.split("\n").filter((line) => line !== "");
    throw new FlysqliteError(
      "E_MIGRATE",
      `Cannot migrate: ${answer.code === undefined ? "" : `${answer.code} `}${first}`,
      { problems: rest },
    );
  }
  throw new FlysqliteError(
    "E_MIGRATE",
    `Cannot migrate: the migrating process ended with status ${exitStatus} and no answer`,
  );
}
