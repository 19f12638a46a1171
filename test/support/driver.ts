// The SQLite library that the program takes when nothing is carried along: the installed better-sqlite3.

import type { Driver } from "../../src/sqlite/driver.ts";
import { loadDriver } from "../../src/sqlite/load-driver.ts";

export function installedDriver(): Promise<Driver> {
  return loadDriver({ assets: { read: () => undefined }, temporaryDirectories: [], log: () => {} });
}
