// What the tests that take the model's steps in SQLite too share.

import { beginRead } from "../../../src/sqlite/attached.ts";
import type { Connection, Driver } from "../../../src/sqlite/driver.ts";
import { appSteps } from "../../model/app.ts";
import type { State } from "../../model/state.ts";

/** A step of the model, and the same in SQLite. */
export type Pair = { readonly name: string; readonly to: State; run(): void };

const COMMIT = "UPDATE one_page SET x = x + 1";

/** Spills a transaction into the log, and takes it back. */
const SPILL = `PRAGMA cache_size = 10; BEGIN IMMEDIATE; CREATE TABLE spill AS
  WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 200) SELECT x, randomblob(900) AS b FROM c; ROLLBACK`;

export type RealApp = ReturnType<typeof openApp>;

/** The app's connections to the database at `path`, whose log is emptied. A commit takes one frame. */
export function openApp(driver: Driver, path: string) {
  const all: Connection[] = [];
  const open = (): Connection => {
    const connection = driver.open(path, { busyTimeoutMs: 0 });
    connection.exec("PRAGMA wal_autocheckpoint = 0");
    all.push(connection);
    return connection;
  };
  const [app, reader] = [open(), open()];
  app.exec("PRAGMA journal_mode = WAL; CREATE TABLE one_page (x); INSERT INTO one_page VALUES (0)");
  app.all("PRAGMA wal_checkpoint(TRUNCATE)"); // from here on, this connection is not a new one

  const run: Readonly<Record<string, () => void>> = {
    "app: commit": () => app.exec(COMMIT),
    "app: commit by a new connection": () => open().exec(COMMIT),
    "app: checkpoint PASSIVE": () => app.all("PRAGMA wal_checkpoint(PASSIVE)"),
    "app: checkpoint TRUNCATE": () => app.all("PRAGMA wal_checkpoint(TRUNCATE)"),
    "app: read begins": () => beginRead(reader),
    "app: read ends": () => reader.exec("ROLLBACK"),
  };
  return {
    open,

    /** mxFrame and nBackfill. */
    walState: () => walState(open()),

    /** What the app can do in the state. */
    pairs(s: State): readonly Pair[] {
      const pairs: Pair[] = appSteps(s).flatMap(({ name, to }) => {
        const perform = run[name];
        return perform === undefined ? [] : [{ name, to, run: perform }];
      });
      const spill = (by: string) => after(s, "app: write begins", `app: spill${by}`, "app: rollback");
      const begun = after(s, "app: write begins");
      if (begun === s) return pairs;
      pairs.push(
        { name: "app: spill and rollback", to: spill(""), run: () => app.exec(SPILL) },
        {
          name: "app: spill and rollback by a new connection",
          to: spill(s.frames === 0 ? " by a new connection" : ""),
          run: () => open().exec(SPILL),
        },
      );
      return pairs;
    },

    [Symbol.dispose](): void {
      for (const connection of all) connection.close();
    },
  };
}

export function walState(connection: Connection): readonly unknown[] {
  connection.all("SELECT 1 FROM one_page");
  const [row] = connection.all("PRAGMA wal_checkpoint(NOOP)");
  return [row?.["log"], row?.["checkpointed"]];
}

function after(start: State, ...names: readonly string[]): State {
  return names.reduce((s, name) => appSteps(s).find((step) => step.name === name)?.to ?? s, start);
}
