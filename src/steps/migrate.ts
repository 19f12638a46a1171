// Applies what is pending, in a child of its own: another SQLite library than the keeper's, and a crash there
// leaves the keeper whole.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "../base/durable-file.ts";
import { FlysqliteError } from "../base/errors.ts";
import { info, warn } from "../base/events.ts";
import type { Plan } from "../plan/plan.ts";
import type { MigrationDecision } from "../prisma/ledger.ts";
import { decideMigrations, readLedger } from "../prisma/ledger.ts";
import type { MigratorAnswer, MigratorTask } from "../prisma/migrator.ts";
import type { AppBundle } from "./app-bundle.ts";
import { waitForEnd } from "./child.ts";
import type { StepContext } from "./context.ts";

/** The word that starts this program as the migrating child. */
export const MIGRATOR_ROLE = "@migrate";

/** Gives the names of the migrations that were applied. */
export async function migrate(plan: Plan, bundle: AppBundle, context: StepContext): Promise<readonly string[]> {
  const { path } = plan.facts.database;
  const { clock, log } = context;
  const decision = await decide(plan, context);
  if (decision?.kind === "refused") {
    throw new FlysqliteError("E_MIGRATE", `Cannot migrate: ${decision.code} ${decision.message}`);
  }
  if (decision?.kind === "up-to-date") {
    for (const name of decision.changed)
      log(warn("migrate", `${name} was edited after it was applied; Prisma goes by names, and so it stays`));
    return [];
  }
  await makeIfAbsent(path);
  const { migrations, lockFile } = await bundle.migrations();
  const startedMs = clock.monotonic();
  const applied = await runMigrator({ path, migrations, ...(lockFile === undefined ? {} : { lockFile }) }, context);
  log(
    info(
      "migrate",
      `applied ${applied.length === 0 ? "nothing" : applied.join(", ")} in ${Math.round(clock.monotonic() - startedMs)} ms`,
    ),
  );
  return applied;
}

/** What is pending; undefined for a database that is still to be made. */
async function decide({ copy, facts }: Plan, { sqlite }: StepContext): Promise<MigrationDecision | undefined> {
  if (copy.kind === "create") return undefined;
  if (copy.kind === "keep" && facts.migrations !== undefined) return facts.migrations;
  const driver = await sqlite(dirname(facts.database.path));
  using connection = driver.open(facts.database.path, { readOnly: true, busyTimeoutMs: 5000 });
  return decideMigrations(facts.manifest.migrations, readLedger(connection));
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
