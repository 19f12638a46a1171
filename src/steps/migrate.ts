// Finds out whether something is pending, through a read-only connection: all that most starts do of migrating.
// Applying it is in steps/deploy.ts, which is loaded only then.

import { warn } from "../base/events.ts";
import { migrationsRefused, type Plan } from "../plan/plan.ts";
import type { AppBundle } from "./app-bundle.ts";
import type { StepContext } from "./context.ts";
import { findPending } from "./pending.ts";

/** The names of the migrations that are to be applied; undefined where nothing is to be done, not even to a ledger. */
export async function lookForMigrations(
  plan: Plan,
  bundle: AppBundle,
  context: StepContext,
): Promise<readonly string[] | undefined> {
  const { path } = plan.facts.database;
  const { log } = context;
  if (plan.copy.kind === "create") return bundle.manifest.migrations.map(({ name }) => name);
  const known = plan.copy.kind === "keep" ? plan.facts.migrations : undefined;
  const decision = known ?? (await findPending(path, bundle, context));
  if (decision.kind === "refused") throw migrationsRefused(decision);
  if (decision.kind === "pending") return decision.names;
  for (const name of decision.changed)
    log(warn("migrate", `${name} was edited after it was applied; Prisma goes by names, and so it stays`));
  if (decision.unknown.length > 0) {
    const names = decision.unknown.join(", ");
    log(warn("migrate", `the database is ahead of this release, which does not have ${names}; it runs on it as it is`));
  }
  return undefined;
}
