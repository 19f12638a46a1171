// What the steps are handed: settings, the store, SQLite, and the real clock, randomness and environment.

import { isSea } from "node:sea";
import { addonDirectories } from "../base/addon.ts";
import { seaAssets } from "../base/sea.ts";
import { systemClock, systemRandom } from "../base/system.ts";
import type { Driver } from "../sqlite/driver.ts";
import type { StepContext } from "../steps/context.ts";
import { processLog } from "./streams.ts";
import type { Run } from "./words.ts";

/** How this program is started in another role. Run by Node, the script's path comes first. */
export const program: readonly [string, ...string[]] = isSea()
  ? [process.execPath]
  : [process.execPath, "--disable-sigusr1", process.argv[1] ?? ""];

export async function createContext(run: Pick<Run, "flags" | "command">, signal: AbortSignal): Promise<StepContext> {
  const { readSettings } = await import("../config/settings.ts");
  const { createReplicaStore } = await import("../steps/replica-store.ts");
  const { loadDriver } = await import("../sqlite/load-driver.ts");
  const environment = process.env;
  const settings = await readSettings({ ...run, environment, workingDirectory: process.cwd() });
  const log = processLog(settings.log.value);
  let driver: ReturnType<StepContext["sqlite"]> | undefined;
  return {
    settings,
    environment,
    assets: seaAssets,
    clock: systemClock,
    random: systemRandom,
    log,
    at: () => {},
    signal,
    asApp: (start) => start(),
    program,
    replica: createReplicaStore({ settings, environment, clock: systemClock, random: systemRandom, log }),
    sqlite: (databaseDirectory) => {
      const temporaryDirectories = addonDirectories({ tmpdir: environment["TMPDIR"], databaseDirectory });
      driver ??= loadDriver({ assets: seaAssets, temporaryDirectories, log });
      return driver;
    },
  };
}

/** Node's own SQLite reads a database without leaving side files beside it. */
export async function builtInSqlite(): Promise<Driver> {
  const { createNodeSqliteDriver } = await import("../sqlite/node-sqlite.ts");
  return createNodeSqliteDriver();
}
