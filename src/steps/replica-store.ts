// The store that the settings name as the replica, opened once.

import { readFile } from "node:fs/promises";
import type { Clock, Random } from "../base/context.ts";
import type { Log } from "../base/events.ts";
import { withPathByName } from "../config/replica-place.ts";
import type { Settings } from "../config/settings.ts";
import { openFileStore } from "../storage/file.ts";
import type { ObjectStore } from "../storage/store.ts";

export type ReplicaStore = {
  readonly store: ObjectStore;
  /** Where the replica was configured. */
  readonly source: string;
};

/** Gives the replica's store; undefined where none is configured. The database's name may be part of its path. */
export function createReplicaStore({
  settings,
  environment,
  clock,
  random,
  log,
}: {
  readonly settings: Settings;
  readonly environment: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}): (databaseFileName: string) => Promise<ReplicaStore | undefined> {
  let opened: Promise<ObjectStore> | undefined;
  return async (databaseFileName) => {
    if (settings.replica === undefined) return undefined;
    const { value, source } = settings.replica;
    const replica = withPathByName(value, databaseFileName);
    opened ??= (async () => {
      if (replica.kind === "file") return openFileStore(replica.path, { random });
      const { openS3Store } = await import("../storage/s3/store.ts"); // only where there is a bucket
      const { createCredentials } = await import("../storage/s3/credentials.ts");
      const readText = (path: string) => readFile(path, "utf8");
      const credentials = createCredentials({ settings: replica.credentials, environment, readFile: readText, clock });
      return openS3Store(replica.place, { clock, random, credentials, log });
    })();
    return { store: await opened, source };
  };
}
