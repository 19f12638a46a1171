// `flysqlite migrate resolve`: says what became of a migration that failed, or that the database has from elsewhere.

import { dirname } from "node:path";
import { FlysqliteError } from "../base/errors.ts";
import { info } from "../base/events.ts";
import { PrismaError } from "../prisma/errors.ts";
import { type Resolution, resolveMigration } from "../prisma/resolve.ts";
import { openForGood } from "../sqlite/restore-point.ts";
import { openBundle } from "../steps/app-bundle.ts";
import type { StepContext } from "../steps/context.ts";
import { lockDatabase } from "../steps/lock.ts";
import { locateDatabase } from "../steps/observe.ts";
import { recover } from "../steps/recover.ts";

export async function resolveCommand(
  resolution: Resolution,
  context: StepContext,
  { json, print }: { readonly json: boolean; readonly print: (text: string) => void },
): Promise<void> {
  const bundle = await openBundle(context);
  const { migrations } = await bundle.migrations();
  const path = locateDatabase(bundle, context);
  const driver = await context.sqlite(dirname(path));
  using _lock = await lockDatabase(path, driver);
  await recover(path, context);
  const { now } = context.clock;
  try {
    // The process ends without closing it: being the last, it would take away the log that replication continues from.
    const connection = openForGood(path, driver, { busyTimeoutMs: 5000 });
    resolveMigration(connection, resolution, { migrations, now, uuid: context.random.uuid });
  } catch (error) {
    if (!(error instanceof PrismaError)) throw error;
    const code = error.code === undefined ? "" : `${error.code} `;
    const hint = "See which there are with `flysqlite migrate --dry`";
    throw new FlysqliteError("E_MIGRATE", `Cannot resolve ${resolution.migration}: ${code}${error.message}`, { hint });
  }
  context.log(info("migrate", `${resolution.migration} is marked as ${resolution.as} in ${path}`));
  if (json) print(`${JSON.stringify({ ok: true, database: path, ...resolution }, undefined, 2)}\n`);
}
