// An app's database on a volume, migrated by the steps of a start, with a real migrating child.

import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Event } from "../../src/base/events.ts";
import type { Settings } from "../../src/config/settings.ts";
import { decideMigrations, readLedger } from "../../src/prisma/ledger.ts";
import type { Migration } from "../../src/prisma/manifest.ts";
import { checksum } from "../../src/prisma/migrations.ts";
import type { Driver } from "../../src/sqlite/driver.ts";
import type { AppBundle } from "../../src/steps/app-bundle.ts";
import type { StepContext } from "../../src/steps/context.ts";
import { deploy, type Hold, prepareDeployment } from "../../src/steps/deploy.ts";
import { stateDirectory } from "../../src/steps/places.ts";
import { recover } from "../../src/steps/recover.ts";
import { firstStart, settings } from "../unit/plan/facts.ts";
import { ENVIRONMENT, PROGRAM } from "./migrator.ts";
import { stepContext } from "./step-context.ts";

export type World = ReturnType<typeof createWorld>;

/** Nothing is replicated. */
const NO_HOLD: Hold = { sync: async () => undefined, isHeld: () => false, letGo: () => {} };

export type WorldOptions = {
  readonly onMigrationFailure?: Settings["onMigrationFailure"]["value"];
};

/** `path` is the database's, in a directory of its own. */
export function createWorld(path: string, driver: Driver, { onMigrationFailure = "rollback" }: WorldOptions = {}) {
  const directory = dirname(path);
  mkdirSync(stateDirectory(path), { mode: 0o700, recursive: true });
  const events: Event[] = [];
  const stop = new AbortController();
  const told: Settings = { ...settings, onMigrationFailure: { value: onMigrationFailure, source: "a test" } };
  const context = stepContext({
    settings: { ...told, appDirectory: directory },
    environment: ENVIRONMENT,
    log: (event) => void events.push(event),
    signal: stop.signal,
    program: PROGRAM,
    sqlite: async () => driver,
  });
  return {
    directory,
    path,
    context,
    stop,
    told: () => events.map(({ text }) => text),

    /** Runs SQL as the app would, and closes properly. */
    exec(sql: string): void {
      using database = new DatabaseSync(path);
      database.exec(sql);
    },

    /** The rows of a query, read without changing a file. */
    rows(sql: string): readonly unknown[] {
      using database = new DatabaseSync(path, { readOnly: true });
      return database
        .prepare(sql)
        .all()
        .map((row) => ({ ...row }));
    },

    /** Deploys as a start does, on a database that is there. `names` may be wrong, to meet what a look can't foresee. */
    async deploy(
      migrations: readonly Migration[],
      { names, lockFile, hold = NO_HOLD, attended = false, ...more }: DeployMore = {},
    ): Promise<readonly string[]> {
      const bundle: AppBundle = {
        manifest: {
          ...firstStart.manifest,
          migrations: migrations.map(({ name, sql = "" }) => ({ name, checksum: checksum(sql) })),
        },
        source: "a test",
        migrations: async () => ({ migrations, lockFile }),
      };
      const pending = names ?? pendingOf(path, bundle, driver);
      const surroundings = { ...context, ...more };
      const prepared = await prepareDeployment({ path, names: pending, isNew: false }, bundle, surroundings);
      return deploy(prepared, hold, { ...surroundings, attended });
    },

    /** What a start does first. */
    recover: () => recover(path, context),
  };
}

type DeployMore = Partial<StepContext> & {
  readonly names?: readonly string[];
  readonly lockFile?: string | undefined;
  readonly hold?: Hold;
  readonly attended?: boolean;
};

function pendingOf(path: string, { manifest }: AppBundle, driver: Driver): readonly string[] {
  using connection = driver.open(path, { readOnly: true, busyTimeoutMs: 5000 });
  const decision = decideMigrations(manifest.migrations, readLedger(connection));
  return decision.kind === "pending" ? decision.names : [];
}
