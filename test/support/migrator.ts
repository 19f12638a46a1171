// The migrating child, as the keeper starts it: the program itself, in that role.

import { join } from "node:path";
import process from "node:process";
import type { MigratorTask } from "../../src/prisma/migrator.ts";
import { type Answer, askMigrator } from "../../src/steps/migrator-child.ts";

/** How the program is started in another role, from its sources. */
export const PROGRAM = [process.execPath, join(import.meta.dirname, "../../src/main.ts")] as const;

/** Its environment. Node keeps what it makes of the sources, so that only the first one takes a second to start. */
export const ENVIRONMENT: NodeJS.ProcessEnv = {
  ...process.env,
  NODE_COMPILE_CACHE: join(import.meta.dirname, "../../node_modules/.cache/flysqlite-tests"),
};

export function ask(
  task: MigratorTask,
  {
    environment = {},
    signal = new AbortController().signal,
    onBegan = () => {},
  }: {
    readonly environment?: NodeJS.ProcessEnv;
    readonly signal?: AbortSignal;
    readonly onBegan?: (migration: string) => void;
  } = {},
): Promise<Answer> {
  const surroundings = { program: PROGRAM, environment: { ...ENVIRONMENT, ...environment }, signal };
  return askMigrator(task, surroundings, { onBegan });
}
