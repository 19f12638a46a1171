// The migrating child: takes one task over IPC, does it, answers, ends. It ends without closing what it opened, where
// closing would checkpoint a log that a restore point needs.

import { randomUUID } from "node:crypto";
import { describe, FlysqliteError } from "../base/errors.ts";
import { copyDatabase, type DatabaseCopy } from "../sqlite/copy-database.ts";
import { type Connection, type Driver, isBusy } from "../sqlite/driver.ts";
import { createNodeSqliteDriver } from "../sqlite/node-sqlite.ts";
import { openAlone, openForGood, putBack, type RestorePoint, whyLost } from "../sqlite/restore-point.ts";
import { applyMigrations, asPrismaHasIt, BUSY_TIMEOUT_MS, deploy, isLockDisabled } from "./deploy.ts";
import { type FailedStatement, PrismaError } from "./errors.ts";
import type { Migration } from "./manifest.ts";

export type MigratorTask =
  /**
   * Makes sure that nobody else has the database open, as Prisma's lock would, and sets WAL mode if it is asked to and
   * if that can be had.
   */
  | { readonly kind: "prepare"; readonly path: string; readonly setWal: boolean }
  /** Copies the database, its log included, to a file that does not exist. */
  | { readonly kind: "copy"; readonly path: string; readonly to: string }
  | {
      readonly kind: "deploy";
      readonly path: string;
      readonly migrations: readonly Migration[];
      readonly lockFile?: string | undefined;
      /** True where the keeper holds the database meanwhile. */
      readonly held: boolean;
    }
  | {
      readonly kind: "put back";
      readonly path: string;
      readonly point: RestorePoint;
      /** True where the restore point was held up to now. */
      readonly held: boolean;
      /** Where what a copy takes the place of is kept. */
      readonly aside?: string | undefined;
    }
  /** Sets the rollback journal again. */
  | { readonly kind: "leave WAL"; readonly path: string };

export type MigratorAnswer =
  | { readonly kind: "prepared"; readonly isWal: boolean }
  | ({ readonly kind: "copied" } & DatabaseCopy)
  | { readonly kind: "applied"; readonly names: readonly string[] }
  | { readonly kind: "done" }
  /** Another process has the database open. */
  | { readonly kind: "busy" }
  /** The database can't be put back any more. */
  | { readonly kind: "lost"; readonly reason: string }
  | {
      readonly kind: "failed";
      /** Prisma's, such as "P3018", where it has one. */
      readonly code: string | undefined;
      readonly message: string;
      readonly statement: FailedStatement | undefined;
      /** The way out, where it is not the usual one. */
      readonly hint: string | undefined;
    };

/** Told on the way. */
export type MigratorNews = { readonly kind: "began"; readonly migration: string };

/** What of the process the tasks depend on. */
export type MigratorSurroundings = {
  readonly environment: NodeJS.ProcessEnv;
  readonly tell: (news: MigratorNews) => void;
  /** True when the keeper is gone, and with it the restore point that it held. */
  readonly isOrphan: () => boolean;
};

/** Does the task, on node:sqlite. Never throws. */
export async function runTask(task: MigratorTask, surroundings: MigratorSurroundings): Promise<MigratorAnswer> {
  const driver = createNodeSqliteDriver({ doubleQuotedStrings: true });
  try {
    return await perform(task, driver, surroundings);
  } catch (error) {
    const known = error instanceof PrismaError ? error : undefined;
    const hint = error instanceof FlysqliteError ? error.hint : undefined;
    return { kind: "failed", code: known?.code, message: describe(error), statement: known?.statement, hint };
  }
}

async function perform(
  task: MigratorTask,
  driver: Driver,
  surroundings: MigratorSurroundings,
): Promise<MigratorAnswer> {
  const { path } = task;
  switch (task.kind) {
    case "prepare":
      return { kind: "prepared", isWal: prepare(task, driver, surroundings) };
    case "copy":
      asPrismaHasIt(() => openWithoutLog(path, driver));
      return { kind: "copied", ...(await copyDatabase(path, task.to)) };
    case "deploy":
      return { kind: "applied", names: deployPending(task, driver, surroundings) };
    case "put back": {
      if (!isAlone(path, driver)) return { kind: "busy" };
      const reason = whyLost(path, task.point, task);
      if (reason !== undefined) return { kind: "lost", reason };
      await putBack(path, task.point, task.aside);
      return { kind: "done" };
    }
    case "leave WAL": {
      using connection = driver.open(path, { busyTimeoutMs: BUSY_TIMEOUT_MS });
      connection.exec("PRAGMA journal_mode=DELETE");
      return { kind: "done" };
    }
  }
}

/** True where the database is in WAL mode then. Prisma's own words where somebody else has it. */
function prepare(
  { path, setWal }: Extract<MigratorTask, { kind: "prepare" }>,
  driver: Driver,
  { environment }: MigratorSurroundings,
): boolean {
  return asPrismaHasIt(() => {
    const options = { busyTimeoutMs: BUSY_TIMEOUT_MS };
    const connection = isLockDisabled(environment)
      ? openForGood(path, driver, options)
      : openAlone(path, driver, options);
    if (isWal(connection.all("PRAGMA journal_mode"))) return true;
    if (!setWal) return false;
    const set = isWal(connection.all("PRAGMA journal_mode=WAL"));
    connection.close(); // there is no log yet that a close could take away
    return set;
  });
}

function isWal(rows: readonly { readonly [column: string]: unknown }[]): boolean {
  return rows[0]?.["journal_mode"] === "wal";
}

/** Puts what the log holds into the database file, of which nobody else can know then. */
function openWithoutLog(path: string, driver: Driver): Connection {
  const connection = openAlone(path, driver, { busyTimeoutMs: BUSY_TIMEOUT_MS });
  connection.all("PRAGMA wal_checkpoint(TRUNCATE)");
  return connection;
}

function deployPending(
  { path, migrations, lockFile, held }: Extract<MigratorTask, { kind: "deploy" }>,
  driver: Driver,
  { environment, tell, isOrphan }: MigratorSurroundings,
): readonly string[] {
  const options = {
    migrations,
    lockFile,
    now: Date.now,
    uuid: randomUUID,
    onBegin: (migration: string) => {
      if (isOrphan()) throw new Error("the keeper is gone");
      tell({ kind: "began", migration });
    },
  };
  if (!held) return applyMigrations({ path, driver, ...options, exclusive: !isLockDisabled(environment) });
  const connection = asPrismaHasIt(() => openForGood(path, driver, { busyTimeoutMs: BUSY_TIMEOUT_MS }));
  connection.exec("PRAGMA wal_autocheckpoint=0"); // or a restore point would not outlive its holder
  return deploy(connection, { ...options, exclusive: false });
}

/** True when nobody else has the database open, nor will while this process lives. */
function isAlone(path: string, driver: Driver): boolean {
  try {
    openAlone(path, driver, { busyTimeoutMs: BUSY_TIMEOUT_MS });
    return true;
  } catch (error) {
    if (isBusy(error)) return false;
    // Damaged, or gone: whoever would have it open could do no more with it than we.
    return true;
  }
}
