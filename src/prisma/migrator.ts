// The migrating child: takes one task over IPC, applies it, answers, ends.

import { randomUUID } from "node:crypto";
import { describe } from "../base/errors.ts";
import { createNodeSqliteDriver } from "../sqlite/node-sqlite.ts";
import { applyMigrations, isLockDisabled } from "./deploy.ts";
import { PrismaError } from "./errors.ts";
import type { Migration } from "./manifest.ts";

export type MigratorTask = {
  readonly path: string;
  readonly migrations: readonly Migration[];
  readonly lockFile?: string;
};

export type MigratorAnswer =
  | { readonly kind: "applied"; readonly names: readonly string[] }
  /** `code` is Prisma's, such as "P3018", where it has one. */
  | { readonly kind: "failed"; readonly code: string | undefined; readonly message: string };

/** Does the task, with what Prisma's own variable says of its lock. Never throws. */
export function runTask({ path, migrations, lockFile }: MigratorTask, environment: NodeJS.ProcessEnv): MigratorAnswer {
  try {
    const names = applyMigrations({
      path,
      driver: createNodeSqliteDriver({ doubleQuotedStrings: true }),
      migrations,
      ...(lockFile === undefined ? {} : { lockFile }),
      now: Date.now,
      uuid: randomUUID,
      exclusive: !isLockDisabled(environment),
    });
    return { kind: "applied", names };
  } catch (error) {
    return { kind: "failed", code: error instanceof PrismaError ? error.code : undefined, message: describe(error) };
  }
}
