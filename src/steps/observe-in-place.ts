// Looks at a database that is replicated where it is, and at its replica. Changes nothing.

import { existsSync } from "node:fs";
import { basename } from "node:path";
import type { Facts } from "../plan/facts.ts";
import { readState } from "../replica/state.ts";
import type { StepContext } from "./context.ts";
import { readLitestreamState } from "./litestream-state.ts";
import { lookAtDatabase } from "./observe.ts";
import { observeNewest, observeReplica } from "./observe-replica.ts";
import { stateDirectory, unbornMark } from "./places.ts";

export type InPlaceFacts = Pick<Facts, "database" | "replica" | "lease" | "state" | "newest" | "litestream" | "unborn">;

/** Throws where the database is none, and where the replica does not answer. */
export async function observeInPlace(path: string, context: StepContext): Promise<InPlaceFacts> {
  const database = lookAtDatabase(path);
  const { replica, lease } = await observeReplica({ fileName: basename(path), databasePath: path }, context);
  const state = readState(stateDirectory(path));
  return {
    database,
    replica,
    lease,
    state,
    newest: await observeNewest({ replica, state, databasePath: path }, context),
    litestream: readLitestreamState(path),
    unborn: existsSync(unbornMark(path)),
  };
}
