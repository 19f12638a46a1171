// Which replica a command is about, and which database: what `run` would take, but for what the words name.

import { basename } from "node:path";
import { FlysqliteError } from "../base/errors.ts";
import { hasHistory, inspectReplica, type ReplicaContent } from "../replica/inspect.ts";
import { openBundle } from "../steps/app-bundle.ts";
import type { StepContext } from "../steps/context.ts";
import { toldPath } from "../steps/find-database.ts";
import { locateDatabase } from "../steps/observe.ts";
import type { ObjectStore } from "../storage/store.ts";

/** Path of the app's database on the volume. */
export async function findDatabase(context: StepContext): Promise<string> {
  return locateDatabase(await openBundle(context), context);
}

export type FoundReplica = { readonly store: ObjectStore; readonly content: ReplicaContent };

/**
 * Opens the configured replica and lists it. Its path may depend on the database's name: `output`, where it is
 * given, spares looking for the app.
 */
export async function findReplica(
  context: StepContext,
  { output }: { readonly output?: string | undefined } = {},
): Promise<FoundReplica> {
  const { settings, signal } = context;
  const place = settings.replica?.value;
  if (place === undefined) {
    throw new FlysqliteError("E_CONFIG", "Cannot look at the replica: none is configured", {
      hint: "Name it with --replica, FLYSQLITE_REPLICA, BUCKET_NAME or litestream.yml",
    });
  }
  const needsName = place.kind === "s3" && place.pathByName;
  const name = needsName || output === undefined ? await findName(context, { required: needsName }) : basename(output);
  const { store } = (await context.replica(name)) ?? {};
  if (store === undefined) throw new FlysqliteError("E_INTERNAL", "the configured replica was not opened");
  return { store, content: await inspectReplica(store, { signal }) };
}

/** Refuses a replica that holds nothing. */
export function requireHistory({ store, content }: FoundReplica): void {
  if (hasHistory(content)) return;
  throw new FlysqliteError("E_REPLICA_GAP", `Cannot restore from "${store.address}": it answers, and it is empty`, {
    hint: "Check the replica's path; nothing was ever replicated to this one",
  });
}

/**
 * The database's file name: of the one that is told, wherever that is, or the app's. Where nothing depends on it, an app
 * that can't be found is no reason to fail.
 */
async function findName(context: StepContext, { required }: { readonly required: boolean }): Promise<string> {
  const told = toldPath(context);
  if (told !== undefined) return basename(told);
  try {
    return basename(await findDatabase(context));
  } catch (error) {
    if (required) throw error;
    return "";
  }
}
