// `flysqlite seed`: what `prisma db seed` does, on the app's own database.

import { FlysqliteError } from "../base/errors.ts";
import { openBundle } from "../steps/app-bundle.ts";
import type { StepContext } from "../steps/context.ts";
import { seed, seedByHand } from "../steps/seed.ts";
import { type LockAndPlan, withoutApp } from "./database.ts";

export async function seedCommand(
  context: StepContext,
  {
    json,
    print,
    lockAndPlan,
  }: { readonly json: boolean; readonly print: (text: string) => void; readonly lockAndPlan: LockAndPlan },
): Promise<void> {
  const bundle = await openBundle(context);
  const command = context.settings.seed?.value ?? bundle.manifest.seed;
  if (command === undefined) {
    throw new FlysqliteError("E_USAGE", "Cannot seed: no seed is configured", {
      hint: "Name it with --seed, or where Prisma has it: `migrations.seed` in prisma.config.ts, or package.json#prisma.seed",
    });
  }
  const surroundings = withoutApp(context);
  using lock = await lockAndPlan(bundle, surroundings);
  const { planned } = lock;
  const { path } = planned.facts.database;
  if (planned.copy.kind !== "keep") {
    throw new FlysqliteError("E_USAGE", `Cannot seed "${path}": it is not there`, {
      hint: "Make it with `flysqlite migrate`, restore it with `flysqlite restore`, or start the app",
    });
  }
  if (planned.seed === undefined) await seedByHand(command, planned, surroundings);
  else await seed(planned, surroundings);
  if (json) print(`${JSON.stringify({ ok: true, database: path, seed: command }, undefined, 2)}\n`);
}
