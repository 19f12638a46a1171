// Applies what is pending, in a child of its own. A database with data is put back to what it was before where that
// fails or is cut off, unless the settings say to leave it as Prisma would.

import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { dirname } from "node:path";
import { assert } from "../base/assert.ts";
import { removeDurably, syncDirectory } from "../base/durable-file.ts";
import { withNote } from "../base/errors.ts";
import { info } from "../base/events.ts";
import { open } from "../base/files.ts";
import { formatCount, formatDuration } from "../base/format.ts";
import type { Plan } from "../plan/plan.ts";
import { findJournalPragma } from "../prisma/journal-pragmas.ts";
import type { BundledMigration, Migration } from "../prisma/manifest.ts";
import type { Txid } from "../replica/ltx/txid.ts";
import { readState } from "../replica/state.ts";
import { DATABASE_HEADER_SIZE, decodeDatabaseHeader } from "../sqlite/header.ts";
import type { AppBundle } from "./app-bundle.ts";
import { changeSafely } from "./change-safely.ts";
import type { StepContext } from "./context.ts";
import { makeFromTemplate } from "./from-template.ts";
import { countInterruption, digestOf, forgetInterruptions, refuseAfterInterruptions } from "./interruptions.ts";
import { askMigrator, requireAnswer } from "./migrator-child.ts";
import { stateDirectory, unbornMark } from "./places.ts";
import type { Replication } from "./replicate.ts";
import { syncBeforeMigration } from "./sync-before-migration.ts";
import { isUnfinished, removeUnfinished, writeUnfinished } from "./unfinished.ts";

/** What is to be done, as `prepare` found it. */
export type Deployment = {
  /** The database's. */
  readonly path: string;
  /** The pending ones. */
  readonly names: readonly string[];
  readonly migrations: readonly Migration[];
  readonly lockFile: string | undefined;
  /** True where there is no database yet: it has nothing to be put back to, and is made anew by the next start. */
  readonly isNew: boolean;
  /** False where it has a rollback journal, and is in WAL mode only for this. */
  readonly wasWal: boolean;
  /** Why nobody may have the database open meanwhile, not even this process; undefined where it may be held. */
  readonly aloneBecause: string | undefined;
  /** A new database begins with this one, which has all migrations. */
  readonly template?: { readonly bytes: Uint8Array; readonly migrations: readonly BundledMigration[] };
};

/** What this process has open of the database meanwhile. */
export type Hold = {
  /** Brings the replica up to date, and notes that these migrations follow; says where it has that state. */
  readonly sync: (names: readonly string[], context: StepContext) => Promise<string | undefined>;
  readonly isHeld: () => boolean;
  /** Closes what is open. */
  readonly letGo: () => void;
};

/** A hold by the replication that is attached already, if there is one. */
export function holdBy(
  plan: Plan,
  {
    replication,
    replicateAgain,
  }: {
    readonly replication: Replication | undefined;
    readonly replicateAgain: (plan: Plan) => Promise<Replication | undefined>;
  },
): Hold & { readonly takeUpAgain: () => Promise<Replication | undefined> } {
  const { path } = plan.facts.database;
  let isHeld = replication !== undefined;
  return {
    sync: async (names, context) =>
      replication && syncBeforeMigration({ replicator: replication.replicator, path, names }, context),
    isHeld: () => isHeld,
    letGo: () => {
      if (isHeld) replication?.close();
      isHeld = false;
    },
    takeUpAgain: async () => {
      if (replication === undefined || isHeld) return replication;
      return replicateAgain(await planAfter(plan, replication.replicator.lastTxid));
    },
  };
}

/** The plan of a replication that was let go after transaction `lastTxid`: it goes on with a copy of the database. */
async function planAfter({ facts, copy, ...plan }: Plan, lastTxid: Txid): Promise<Plan> {
  const { replica } = facts;
  assert(replica !== undefined, "there is a replica where there was a replication");
  const state = readState(stateDirectory(facts.database.path));
  const databaseId = state?.databaseId ?? replica.databaseId;
  const why = "its log was let go for a migration";
  return {
    ...plan,
    facts: { ...facts, state, replica: { ...replica, lastTxid, databaseId } },
    copy: copy.kind === "keep" ? { ...copy, why, position: undefined } : copy,
  };
}

/** Makes sure that nobody else has the database open, and sets WAL mode where a restore point is wanted. */
export async function prepareDeployment(
  { path, names, isNew }: Pick<Deployment, "path" | "names" | "isNew">,
  bundle: AppBundle,
  context: StepContext,
): Promise<Deployment> {
  const template = isNew ? bundle.template?.() : undefined;
  if (template !== undefined) {
    const none = { migrations: [], lockFile: undefined, wasWal: true, aloneBecause: undefined };
    return { path, names, isNew, ...none, template: { bytes: template, migrations: bundle.manifest.migrations } };
  }
  const { migrations, lockFile } = await bundle.migrations();
  const deployment = { path, names, migrations, lockFile, isNew };
  if (isNew) return { ...deployment, wasWal: true, aloneBecause: undefined };
  const { settings } = context;
  const pragma = pendingOf(deployment)
    .map(({ name, sql = "" }) => ({ name, found: findJournalPragma(sql) }))
    .find(({ found }) => found !== undefined);
  const wantsWal = pragma === undefined && settings.onMigrationFailure.value === "rollback";
  // With a replica it stays in WAL mode anyway. Written down before, as a crash may follow.
  const leavesWal = wantsWal && settings.replica === undefined && !isInWalMode(path);
  if (leavesWal) await writeUnfinished(path, { phase: "leave WAL" });
  const answer = await askMigrator({ kind: "prepare", path, setWal: wantsWal }, context);
  const { isWal } = requireAnswer(answer, "prepared", "Cannot migrate");
  if (wantsWal && !isWal) {
    await removeUnfinished(path);
    return { ...deployment, wasWal: true, aloneBecause: "the database can't be in WAL mode here" };
  }
  const aloneBecause = pragma && `${pragma.name} sets ${pragma.found}`;
  return { ...deployment, wasWal: !leavesWal, aloneBecause };
}

function pendingOf({ migrations, names }: Pick<Deployment, "migrations" | "names">): readonly Migration[] {
  return migrations.filter(({ name }) => names.includes(name));
}

/** Looked up in the file's header, which nobody has open yet. */
function isInWalMode(path: string): boolean {
  const bytes = new Uint8Array(DATABASE_HEADER_SIZE);
  const file = openSync(path, "r");
  const length = readSync(file, bytes, 0, bytes.byteLength, 0);
  closeSync(file);
  const header = decodeDatabaseHeader(bytes.subarray(0, length));
  return typeof header !== "string" && header.walMode;
}

/** Applies, and gives the names of what was applied. Throws E_MIGRATE. */
export async function deploy(
  deployment: Deployment,
  hold: Hold,
  context: StepContext & { readonly attended?: boolean },
): Promise<readonly string[]> {
  const { path, isNew, template } = deployment;
  const { clock, log } = context;
  const startedMs = clock.monotonic();
  const took = () => formatDuration(clock.monotonic() - startedMs);
  if (template !== undefined) {
    const { bytes, migrations } = template;
    const use = { driver: await context.sqlite(dirname(path)), migrations, now: clock.now, uuid: context.random.uuid };
    await makeFromTemplate(path, bytes, use);
    log(
      info(
        "migrate",
        `made ${path} with ${formatCount(migrations.length, "migration")}, from the template, in ${took()}`,
      ),
    );
    return migrations.map(({ name }) => name);
  }
  const applied = isNew ? await applyToNew(deployment, context) : await applyToExisting(deployment, hold, context);
  log(info("migrate", `applied ${applied.length === 0 ? "nothing" : applied.join(", ")} in ${took()}`));
  return applied;
}

async function applyToExisting(
  deployment: Deployment,
  hold: Hold,
  { attended = false, ...context }: StepContext & { readonly attended?: boolean },
): Promise<readonly string[]> {
  const { path, names, isNew, wasWal, aloneBecause } = deployment;
  const rollsBack = context.settings.onMigrationFailure.value === "rollback";
  const digest = digestOf(pendingOf(deployment));
  if (!attended) await refuseAfterInterruptions(path, { digest, names });
  const inReplica = await hold.sync(names, context);
  if (aloneBecause !== undefined) hold.letGo();
  const held = aloneBecause === undefined && (rollsBack || hold.isHeld());
  let wasCutOff = false;
  const onCutOff = () => {
    wasCutOff = true;
  };
  const run = () => apply(deployment, { held, onCutOff }, context);
  const change = { step: "migrate", path, names, digest, wasWal, isNew, copyBecause: aloneBecause, run } as const;
  try {
    const applied = rollsBack ? await changeSafely({ ...change, letGo: hold.letGo }, context) : await run();
    await forgetInterruptions(path);
    return applied;
  } catch (error) {
    // What could not be put back is counted by the start that does.
    if (wasCutOff && rollsBack && !isUnfinished(path)) await countInterruption(path, digest);
    throw inReplica === undefined ? error : withNote(error, `The replica has that state too: ${inReplica}`);
  }
}

/** What fails on a new database is no loss: the next start makes it anew. */
async function applyToNew(deployment: Deployment, context: StepContext): Promise<readonly string[]> {
  const { path } = deployment;
  await makeIfAbsent(path);
  try {
    return await apply(deployment, { held: false, onCutOff: () => {} }, context);
  } catch (error) {
    const keeps = context.settings.onMigrationFailure.value === "keep";
    if (keeps) await removeDurably(unbornMark(path)); // it counts as made, as it does for Prisma
    const note = keeps
      ? `"${path}" is new, and stays as it is: half made`
      : `"${path}" is new and has no data; the next start makes it anew`;
    throw withNote(error, note);
  }
}

async function apply(
  { path, migrations, lockFile }: Deployment,
  { held, onCutOff }: { readonly held: boolean; readonly onCutOff: () => void },
  context: StepContext,
): Promise<readonly string[]> {
  let begun: string | undefined;
  const answer = await askMigrator({ kind: "deploy", path, migrations, lockFile, held }, context, {
    onBegan: (migration) => {
      begun = migration;
    },
  });
  if (answer.kind === "died") onCutOff();
  return requireAnswer(answer, "applied", begun === undefined ? "Cannot migrate" : `Cannot apply ${begun}`).names;
}

async function makeIfAbsent(path: string): Promise<void> {
  if (existsSync(path)) return;
  await using file = await open(path, "wx", 0o640);
  await file.sync();
  await syncDirectory(dirname(path));
}
