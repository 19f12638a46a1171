// Holds the model's rules to SQLite: random steps are taken in both, and must have the same outcome.

import { closeSync, copyFileSync, openSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { beginRead } from "../../../src/sqlite/attached.ts";
import type { Connection } from "../../../src/sqlite/driver.ts";
import { isFirstHeader, readWalHeader } from "../../../src/sqlite/wal/read.ts";
import * as model from "../../model/log.ts";
import { DRAW, NO_HEADER, NO_LOG, NO_READ, type State } from "../../model/state.ts";
import { installedDriver } from "../../support/driver.ts";
import { seededRandom } from "../../support/random.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { makeDatabase } from "../../support/workload.ts";
import { openApp, type Pair, walState } from "./support.ts";

const STEPS = 60;

const driver = await installedDriver();

/** A reader and a writer of ours. */
function ownPairs(s: State, [reader, writer]: readonly [Connection, Connection]): readonly Pair[] {
  const begins = model.beginRead(s);
  const pairs: Pair[] = [
    s.reader === NO_READ
      ? { name: "our read begins", to: { ...s, reader: begins }, run: () => beginRead(reader) }
      : { name: "our read ends", to: { ...s, reader: NO_READ }, run: () => reader.exec("ROLLBACK") },
    s.lock === NO_READ
      ? { name: "our lock begins", to: { ...s, lock: begins }, run: () => writer.exec("BEGIN IMMEDIATE") }
      : { name: "our lock ends", to: { ...s, lock: NO_READ }, run: () => writer.exec("ROLLBACK") },
  ];
  return pairs;
}

it.each(Array.from({ length: 20 }, (_, index) => index + 1))("the model does as SQLite does, with seed %d", (seed) => {
  const { unit } = seededRandom(seed);
  using directory = temporaryDirectory();
  const path = join(directory.path, "app.db");
  makeDatabase(path, { pageSize: 1024 });
  using app = openApp(driver, path);
  const own = [app.open(), app.open()] as const;
  const log = openSync(`${path}-wal`, "r");
  try {
    let s: State = { ...NO_LOG, reader: NO_READ };
    const taken: string[] = [];
    /** The first salt of SQLite's that stands for each draw of the model's. */
    const draws = new Map<number, number>();
    for (let step = 0; step < STEPS; step += 1) {
      const pairs = [...app.pairs(s), ...ownPairs(s, own)];
      const pair = pairs[Math.floor(unit() * pairs.length)];
      if (pair === undefined) throw new Error("nothing can be done");
      taken.push(pair.name);
      pair.run();
      const { headerSalt: before } = s;
      s = pair.to;

      expect(app.walState(), taken.join("\n")).toEqual([s.frames, s.backfilled]);
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
