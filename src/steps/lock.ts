// Keeps a second flysqlite off the same database. SQLite's own file lock does it, on a file of ours: it belongs
// to the process, and so can't outlive a crash.

import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname, join } from "node:path";
import { makePrivateDirectory } from "../base/durable-file.ts";
import { FlysqliteError } from "../base/errors.ts";
import { type Connection, type Driver, isBusy } from "../sqlite/driver.ts";
import { stateDirectory } from "./places.ts";

/** How long a predecessor that is about to end is waited for, in milliseconds. */
const PREDECESSOR_TIMEOUT_MS = 5000;

/** Held as long as the process lives, or until it is closed. */
export async function lockDatabase(databasePath: string, driver: Driver): Promise<Connection> {
  mkdirSync(dirname(databasePath), { recursive: true }); // a url may name a directory that is still to be made
  const directory = stateDirectory(databasePath);
  await makePrivateDirectory(directory);
  const path = join(directory, "lock");
  closeSync(openSync(path, "a", 0o600));
  const connection = driver.open(path, { busyTimeoutMs: PREDECESSOR_TIMEOUT_MS });
  try {
    connection.exec("BEGIN EXCLUSIVE");
    return connection;
  } catch (error) {
    connection.close();
    if (!isBusy(error)) throw error;
    throw new FlysqliteError("E_VOLUME", `Cannot use "${databasePath}": another flysqlite on this machine has it`, {
      hint: "Stop the other one first; two of them on one database destroy its replica",
    });
  }
}
