// `flysqlite migrate`: what `prisma migrate deploy` and `prisma migrate status` do, on the app's own database.

import { statSync } from "node:fs";
import { dirname } from "node:path";
import { FlysqliteError } from "../base/errors.ts";
import { info } from "../base/events.ts";
import { formatCount } from "../base/format.ts";
import { migrationsRefused, type Plan } from "../plan/plan.ts";
import { decideMigrations, type Ledger, LITESTREAM_TABLES, readLedger } from "../prisma/ledger.ts";
import { type Lease, RELEASE_LIMIT_MS } from "../replica/lease/hold.ts";
import { openForGood } from "../sqlite/restore-point.ts";
import { type AppBundle, openBundle } from "../steps/app-bundle.ts";
import type { StepContext } from "../steps/context.ts";
import { deploy, holdBy, prepareDeployment } from "../steps/deploy.ts";
import { hasContent } from "../steps/has-content.ts";
import { lockDatabase } from "../steps/lock.ts";
import { lookForMigrations } from "../steps/migrate.ts";
import { locateDatabase } from "../steps/observe.ts";
import { openToLook } from "../steps/pending.ts";
import { recover } from "../steps/recover.ts";
import { replicate } from "../steps/replicate.ts";
import { restore } from "../steps/restore.ts";
import { postponeSeed } from "../steps/seed.ts";
import { readUnfinished } from "../steps/unfinished.ts";
import { type LockAndPlan, withoutApp } from "./database.ts";

export type MigrateTelling = {
  readonly json: boolean;
  /** Takes text for stdout. */
  readonly print: (text: string) => void;
  readonly lockAndPlan: LockAndPlan;
};

/** Applies what is pending, as a start would. */
export async function migrateCommand(
  { dropLitestreamTables }: { readonly dropLitestreamTables: boolean },
  context: StepContext,
  { json, print, lockAndPlan }: MigrateTelling,
): Promise<void> {
  const bundle = await openBundle(context);
  if (dropLitestreamTables) await dropTables(bundle, context);
  const surroundings = withoutApp(context);
  using lock = await lockAndPlan(bundle, surroundings);
  const { planned, lease } = lock;
  try {
    requireHere(planned);
    const { path } = planned.facts.database;
    await restore(planned, surroundings); // makes room for a new one
    const names = await lookForMigrations(planned, bundle, surroundings);
    const applied =
      names === undefined ? [] : await apply(names, { planned, bundle, context: { ...surroundings, lease } });
    if (planned.copy.kind === "create") await postponeSeed(planned, surroundings);
    if (names === undefined) context.log(info("migrate", `nothing is pending for ${path}`));
    if (json) print(`${JSON.stringify({ ok: true, database: path, applied }, undefined, 2)}\n`);
  } finally {
    await lease?.release({ signal: AbortSignal.timeout(RELEASE_LIMIT_MS) });
  }
}

async function apply(
  names: readonly string[],
  {
    planned,
    bundle,
    context,
  }: {
    readonly planned: Plan;
    readonly bundle: AppBundle;
    readonly context: StepContext & { readonly lease: Lease | undefined };
  },
): Promise<readonly string[]> {
  const { path } = planned.facts.database;
  const isNew = planned.copy.kind === "create";
  const deployment = await prepareDeployment({ path, names, isNew }, bundle, context);
  const isUnseeded = isNew || planned.facts.unfinished !== undefined;
  const attach = (plan: Plan) => replicate(plan, { ...context, restored: undefined });
  const replication = isUnseeded ? undefined : await attach(planned);
  const hold = holdBy(planned, { replication, replicateAgain: attach });
  const applied = await deploy(deployment, hold, { ...context, attended: true });
  await (await hold.takeUpAgain())?.replicator.sync(context);
  return applied;
}

/** The database must be on the volume, or nowhere: getting it there is what a start is for. */
function requireHere({ copy, placement, facts }: Plan): void {
  const { path } = facts.database;
  if (copy.kind === "restore") {
    throw new FlysqliteError("E_USAGE", `Cannot migrate "${path}": it is not there, and its replica is`, {
      hint: "Restore it first with `flysqlite restore`, or start the app, which restores and migrates",
    });
  }
  if (placement.kind === "link" && placement.before === "move the file to the volume") {
    throw new FlysqliteError("E_USAGE", `Cannot migrate "${path}": it is still "${placement.from}"`, {
      hint: "Start the app, which moves it to the volume and migrates",
    });
  }
}

/** Drops what Litestream made, which is nothing to flysqlite, and makes Prisma refuse a database without a ledger. */
async function dropTables(bundle: AppBundle, context: StepContext): Promise<void> {
  const path = locateDatabase(bundle, context);
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return;
  const driver = await context.sqlite(dirname(path));
  using _lock = await lockDatabase(path, driver);
  await recover(path, context);
  const connection = openForGood(path, driver, { busyTimeoutMs: 5000 });
  for (const table of LITESTREAM_TABLES) connection.exec(`DROP TABLE IF EXISTS "${table}"`);
  context.log(info("migrate", `dropped Litestream's tables of ${path}, where there were any`));
}

export type MigrationStatus = {
  readonly ok: boolean;
  readonly database: string;
  readonly state: "absent" | "present" | "unfinished";
  readonly applied: readonly string[];
  readonly pending: readonly string[];
  /** Applied by a newer release. */
  readonly unknown: readonly string[];
  /** Edited after they were applied. */
  readonly edited: readonly string[];
};

/** Tells what is applied and what is pending, and changes nothing. Throws E_MIGRATE where deploying would be refused. */
export async function migrateStatus(
  context: StepContext,
  { json, print }: Pick<MigrateTelling, "json" | "print">,
): Promise<void> {
  const bundle = await openBundle(context);
  const path = locateDatabase(bundle, context);
  const status = await readStatus(path, bundle, context);
  print(json ? `${JSON.stringify(status, undefined, 2)}\n` : renderStatus(status, bundle));
}

async function readStatus(path: string, bundle: AppBundle, { sqlite }: StepContext): Promise<MigrationStatus> {
  const { migrations } = bundle.manifest;
  const all = migrations.map(({ name }) => name);
  const status = {
    ok: true,
    database: path,
    state: "present",
    applied: [],
    pending: [],
    unknown: [],
    edited: [],
  } as const;
  if (!hasContent(path)) return { ...status, state: "absent", pending: all };
  const unfinished = readUnfinished(path);
  if (unfinished?.phase === "migrate") return { ...status, state: "unfinished", pending: unfinished.names };
  const ledger = readLedgerOf(path, await sqlite(dirname(path)));
  const scripts = new Map((await bundle.migrations()).migrations.map(({ name, sql }) => [name, sql]));
  const decision = decideMigrations(migrations, ledger, (name) => scripts.get(name));
  if (decision.kind === "refused") throw migrationsRefused(decision);
  const pending = decision.kind === "pending" ? decision.names : [];
  const { unknown, changed: edited } = decision.kind === "pending" ? { unknown: [], changed: [] } : decision;
  const applied = all.filter((name) => !pending.includes(name));
  return { ...status, applied, pending, unknown, edited };
}

function readLedgerOf(path: string, driver: Awaited<ReturnType<StepContext["sqlite"]>>): Ledger {
  using connection = openToLook(path, driver);
  return readLedger(connection);
}

function renderStatus(status: MigrationStatus, { manifest }: AppBundle): string {
  const { database, state, applied, pending, unknown, edited } = status;
  const total = manifest.migrations.length;
  const head = {
    absent: `${database}: it does not exist yet, and would get ${formatCount(total, "migration")}`,
    present: `${database}: ${applied.length} of ${total} migrations are applied`,
    unfinished: `${database}: a start was cut off while it migrated; the next one puts it back first, then applies these`,
  }[state];
  const list = (what: string, names: readonly string[]) => names.map((name) => `  ${what.padEnd(9)} ${name}`);
  const lines = [head, ...list("pending", pending), ...list("unknown", unknown), ...list("edited", edited)];
  return `${lines.join("\n")}\n`;
}
