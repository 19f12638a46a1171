// Holds the model's rules to SQLite: random steps are taken in both, and must have the same outcome.

import { closeSync, copyFileSync, openSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { beginRead } from "../../../src/sqlite/attached.ts";
import type { Connection } from "../../../src/sqlite/driver.ts";
import { isFirstHeader, readWalHeader } from "../../../src/sqlite/wal/read.ts";
import { appSteps } from "../../model/app.ts";
import * as model from "../../model/log.ts";
import { DRAW, NO_HEADER, NO_LOG, NO_READ, type State } from "../../model/state.ts";
import { installedDriver } from "../../support/driver.ts";
import { seededRandom } from "../../support/random.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { makeDatabase } from "../../support/workload.ts";

const STEPS = 60;

const COMMIT = "UPDATE one_page SET x = x + 1";

/** Spills a transaction into the log, and takes it back. */
const SPILL = `PRAGMA cache_size = 10; BEGIN IMMEDIATE; CREATE TABLE spill AS
  WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 200) SELECT x, randomblob(900) AS b FROM c; ROLLBACK`;

type Pair = { readonly name: string; readonly to: State; run(): void };

const driver = await installedDriver();

function openConnections(path: string) {
  const all: Connection[] = [];
  const open = (): Connection => {
    const connection = driver.open(path, { busyTimeoutMs: 0 });
    connection.exec("PRAGMA wal_autocheckpoint = 0");
    all.push(connection);
    return connection;
  };
  const [app, appReader, reader, writer] = [open(), open(), open(), open()];
  return {
    open,
    app,
    appReader,
    reader,
    writer,
    [Symbol.dispose](): void {
      for (const connection of all) connection.close();
    },
  };
}

/** What can be done in the state, in the model and in SQLite. */
function pairsOf(s: State, { open, app, appReader, reader, writer }: ReturnType<typeof openConnections>): Pair[] {
  const run: Readonly<Record<string, () => void>> = {
    "app: commit": () => app.exec(COMMIT),
    "app: commit by a new connection": () => open().exec(COMMIT),
    "app: checkpoint PASSIVE": () => app.all("PRAGMA wal_checkpoint(PASSIVE)"),
    "app: checkpoint TRUNCATE": () => app.all("PRAGMA wal_checkpoint(TRUNCATE)"),
    "app: read begins": () => beginRead(appReader),
    "app: read ends": () => appReader.exec("ROLLBACK"),
  };
  const pairs: Pair[] = appSteps(s).flatMap(({ name, to }) => (run[name] ? [{ name, to, run: run[name] }] : []));
  const begins = model.beginRead(s);
  pairs.push(
    s.reader === NO_READ
      ? { name: "our read begins", to: { ...s, reader: begins }, run: () => beginRead(reader) }
      : { name: "our read ends", to: { ...s, reader: NO_READ }, run: () => reader.exec("ROLLBACK") },
  );
  if (s.lock !== NO_READ) {
    pairs.push({ name: "our lock ends", to: { ...s, lock: NO_READ }, run: () => writer.exec("ROLLBACK") });
    return pairs;
  }
  const draws = s.frames === 0 ? " by a new connection" : "";
  pairs.push(
    { name: "our lock begins", to: { ...s, lock: begins }, run: () => writer.exec("BEGIN IMMEDIATE") },
    { name: "spill", to: after(s, "app: write begins", "app: spill", "app: rollback"), run: () => app.exec(SPILL) },
    {
      name: "spill by a new connection",
      to: after(s, "app: write begins", `app: spill${draws}`, "app: rollback"),
      run: () => open().exec(SPILL),
    },
  );
  return pairs;
}

/** mxFrame and nBackfill. */
function walState(connection: Connection): readonly unknown[] {
  connection.all("SELECT 1 FROM one_page");
  const [row] = connection.all("PRAGMA wal_checkpoint(NOOP)");
  return [row?.["log"], row?.["checkpointed"]];
}

function after(start: State, ...names: readonly string[]): State {
  return names.reduce((s, name) => appSteps(s).find((step) => step.name === name)?.to ?? s, start);
}

it.each(Array.from({ length: 20 }, (_, index) => index + 1))("the model does as SQLite does, with seed %d", (seed) => {
  const { unit } = seededRandom(seed);
  using directory = temporaryDirectory();
  const path = join(directory.path, "app.db");
  makeDatabase(path, { pageSize: 1024 });
  using connections = openConnections(path);
  const { app } = connections;
  app.exec("PRAGMA journal_mode = WAL; CREATE TABLE one_page (x); INSERT INTO one_page VALUES (0)");
  app.all("PRAGMA wal_checkpoint(TRUNCATE)"); // from here on, this connection is not a new one
  const log = openSync(`${path}-wal`, "r");
  try {
    let s: State = { ...NO_LOG, reader: NO_READ };
    const taken: string[] = [];
    /** The first salt of SQLite's that stands for each draw of the model's. */
    const draws = new Map<number, number>();
    for (let step = 0; step < STEPS; step += 1) {
      const pairs = pairsOf(s, connections);
      const pair = pairs[Math.floor(unit() * pairs.length)];
      if (pair === undefined) throw new Error("nothing can be done");
      taken.push(pair.name);
      pair.run();
      const { headerSalt: before } = s;
      s = pair.to;

      expect(walState(connections.open()), taken.join("\n")).toEqual([s.frames, s.backfilled]);
      const salt = readWalHeader(log)?.salts[0];
      expect(salt === undefined, taken.join("\n")).toBe(s.headerSalt === NO_HEADER);
      if (salt === undefined) continue;
      expect(isFirstHeader(log), taken.join("\n")).toBe(s.isFirstHeader);
      const draw = Math.floor(s.headerSalt / DRAW);
      const first = (salt - (s.headerSalt % DRAW)) >>> 0;
      if (s.isFirstHeader && s.headerSalt !== before) draws.set(draw, first);
      expect(first, taken.join("\n")).toBe(draws.get(draw) ?? first);
      draws.set(draw, first);
    }

    // Without the index, as after all processes died: SQLite makes a new one of the file.
    for (const suffix of ["", "-wal"]) copyFileSync(path + suffix, join(directory.path, `copy.db${suffix}`));
    using copy = driver.open(join(directory.path, "copy.db"), { busyTimeoutMs: 0 });
    const { frames, backfilled } = model.recover(s);
    expect(walState(copy), taken.join("\n")).toEqual([frames, backfilled]);
  } finally {
    closeSync(log);
  }
});
