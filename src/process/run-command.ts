// What is done by hand: with the replica, with the database, and with what a keeper is asked.

import { tmpdir } from "node:os";
import { toFlysqliteError } from "../base/errors.ts";
import { systemClock } from "../base/system.ts";
import type { LockAndPlan } from "../commands/database.ts";
import type { StepContext } from "../steps/context.ts";
import { builtInSqlite, createContext } from "./context.ts";
import { stopOnSignals } from "./stop.ts";
import { print } from "./streams.ts";
import { asRefusal, type ControlCommand, type DatabaseCommand, type ReplicaCommand } from "./words.ts";

export async function runReplicaCommand(words: ReplicaCommand): Promise<number> {
  const stop = stopOnSignals();
  const { createProgress } = await import("../cli/progress.ts");
  const progress = createProgress(process.stderr, systemClock);
  const telling = {
    progress: progress.show,
    print: (text: string) => {
      progress.end();
      print(text);
    },
  };
  try {
    const context = await createContext({ flags: words.flags, command: [] }, stop.signal);
    if (words.kind === "snapshots") {
      const { snapshotsCommand } = await import("../commands/snapshots.ts");
      await snapshotsCommand(words, context, print);
    } else if (words.kind === "verify") {
      const { verifyCommand } = await import("../commands/verify.ts");
      await verifyCommand({ ...words, directory: tmpdir() }, context, telling);
    } else {
      const { restoreCommand } = await import("../commands/restore.ts");
      await restoreCommand(words, context, { ...telling, log: context.log });
    }
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return stop.status;
    throw error;
  } finally {
    progress.end();
  }
}

/** Commands that change the database, or look at what is pending for it. */
export async function runDatabaseCommand(words: DatabaseCommand): Promise<number> {
  const stop = stopOnSignals();
  const { json } = words;
  try {
    const { lockAndPlan } = await import("../keeper/keeper.ts");
    const telling = {
      json,
      print,
      lockAndPlan: (...[bundle, context]: Parameters<LockAndPlan>) => lockAndPlan(bundle, { ...context, again: false }),
    };
    const told = await createContext({ flags: words.flags, command: [] }, stop.signal);
    // Node's own SQLite: nothing has to be loaded from a file, and a look leaves no side files.
    const context: StepContext = { ...told, sqlite: builtInSqlite };
    if (words.kind === "seed") {
      const { seedCommand } = await import("../commands/seed.ts");
      await seedCommand(context, telling);
    } else if (words.kind === "resolve") {
      const { resolveCommand } = await import("../commands/resolve.ts");
      await resolveCommand(words, context, telling);
    } else {
      const { migrateCommand, migrateStatus } = await import("../commands/migrate.ts");
      if (words.dry) await migrateStatus(context, telling);
      else await migrateCommand(words, context, telling);
    }
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return stop.status;
    const { renderRefusalJson } = await import("../cli/render-plan.ts");
    if (json) print(renderRefusalJson(asRefusal(error).failures));
    throw error;
  }
}

export async function runControlCommand(words: ControlCommand): Promise<number> {
  const { signal } = new AbortController(); // a signal ends these as it ends any program
  const { toldSocket } = await import("../commands/ask-keeper.ts");
  const { controlSocket } = await import("../steps/places.ts");
  const { findRunningDatabase } = await import("../steps/find-database.ts");
  let context: Promise<StepContext> | undefined;
  const all = () => {
    context ??= createContext({ flags: words.flags, command: [] }, signal);
    return context;
  };
  const database = async () => findRunningDatabase(await all());
  // What starts us as the app's child is told the socket, and need not find it by settings that the app has no use for.
  const told = words.flags.database === undefined && words.flags.volume === undefined && toldSocket(process.env);
  try {
    const socket = told || controlSocket(await database());
    if (words.kind === "sync") {
      const { syncCommand } = await import("../commands/sync.ts");
      await syncCommand(words, { socket, print, signal });
      return 0;
    }
    const { statusCommand } = await import("../commands/status.ts");
    return await statusCommand(words, { socket, database, print, context: { clock: systemClock, signal, all } });
  } catch (error) {
    const { code, message, hint } = toFlysqliteError(error);
    if (words.json) print(`${JSON.stringify({ code, message, hint }, undefined, 2)}\n`); // as the socket answers
    throw error;
  }
}
