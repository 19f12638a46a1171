// What every step is handed: the settings, and the world outside.

import type { Assets } from "../base/assets.ts";
import type { At, Clock, Random } from "../base/context.ts";
import type { Log } from "../base/events.ts";
import type { Settings } from "../config/settings.ts";
import type { LeaseTimes } from "../replica/lease/rules.ts";
import type { Driver } from "../sqlite/driver.ts";
import type { ReplicaStore } from "./replica-store.ts";

export type StepContext = {
  readonly settings: Settings;
  readonly environment: NodeJS.ProcessEnv;
  readonly assets: Assets;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly at: At;
  readonly signal: AbortSignal;
  /** Starts what is the app's own, such as its seed, with the file mode mask that the app has. */
  readonly asApp: <Started>(start: () => Started) => Started;
  /** How to start this program in another role: its file and first arguments. */
  readonly program: readonly [string, ...string[]];
  /** The replica's store, opened at the first call; undefined where none is configured. */
  readonly replica: (databaseFileName: string) => Promise<ReplicaStore | undefined>;
  /** No network: a replica in a bucket is not asked. For plans that nobody performs. */
  readonly isOffline?: boolean;
  /** Other times than the usual ones, for tests. */
  readonly leaseTimes?: LeaseTimes;
  /** SQLite, loaded at the first call. `databaseDirectory` is where its addon may be put if nowhere else. */
  readonly sqlite: (databaseDirectory: string) => Promise<Driver>;
};
