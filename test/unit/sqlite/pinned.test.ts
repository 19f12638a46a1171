import { closeSync, copyFileSync, openSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Position } from "../../../src/sqlite/attached.ts";
import { parsePageSize, toPageNumber } from "../../../src/sqlite/page.ts";
import { type PinnedView, pinDatabase } from "../../../src/sqlite/pinned.ts";
import { readChanges, readWalHeader, walStart } from "../../../src/sqlite/wal/read.ts";
import { type App, startApp } from "../../support/app.ts";
import { installedDriver } from "../../support/driver.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { makeDatabase } from "../../support/workload.ts";

const driver = await installedDriver();

const PAGE_SIZE = 1024;
const pageSize = parsePageSize(PAGE_SIZE) ?? expect.fail();

type Live = AsyncDisposable & {
  readonly path: string;
  readonly app: App;
  /** Where the database is now, and its bytes, each time it is asked for. */
  readonly mark: () => Promise<{ readonly position: Position; readonly bytes: Buffer }>;
  readonly pin: (position: Position) => PinnedView | undefined;
};

/** A database that another process uses. This one opens none of its files but through what is tested. */
async function live(): Promise<Live> {
  const directory = temporaryDirectory();
  const path = join(directory.path, "app.db");
  makeDatabase(path, { pageSize: PAGE_SIZE });
  const app = await startApp(path);
  return {
    path,
    app,
    async mark() {
      const [row] = await app.all("PRAGMA wal_checkpoint(NOOP)");
      const copy = join(directory.path, "copy.db");
      for (const suffix of ["", "-wal"]) {
        rmSync(`${copy}${suffix}`, { force: true });
        try {
          copyFileSync(`${path}${suffix}`, `${copy}${suffix}`);
        } catch {
          // No log: the file is all there is.
        }
      }
      const position = readPosition(path, Number(row?.["log"]));
      {
        using database = driver.open(copy, { busyTimeoutMs: 0 });
        database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      }
      return { position, bytes: readFileSync(copy) };
    },
    pin: (position) => pinDatabase(path, position, { driver, pageSize }),
    async [Symbol.asyncDispose]() {
      await app.kill();
      directory[Symbol.dispose]();
    },
  };
}

function readPosition(path: string, frames: number): Position {
  if (frames === 0) {
    const { size, mtimeMs } = statSync(path);
    return { kind: "file", sizeBytes: size, modifiedMs: mtimeMs };
  }
  const log = openSync(`${path}-wal`, "r");
  try {
    const header = readWalHeader(log) ?? expect.fail("the log has a header");
    return { kind: "log", ...readChanges(log, walStart(header), frames).end };
  } finally {
    closeSync(log);
  }
}

/** Reads all pages, holds those that can be had to what they were, and gives the numbers of the others. */
function compare(view: PinnedView | undefined, bytes: Buffer): readonly number[] {
  if (view === undefined) return expect.fail("the position can be had");
  const gone: number[] = [];
  for (let number = 1; number <= bytes.length / PAGE_SIZE; number += 1) {
    const page = view.page(toPageNumber(number));
    if (page === undefined) gone.push(number);
    else expect(bytes.subarray((number - 1) * PAGE_SIZE, number * PAGE_SIZE).equals(page), `page ${number}`).toBe(true);
  }
  return gone;
}

const MUCH = { payloadBytes: 5000, keep: 30 } as const;

describe("a pinned view", () => {
  it("has every page where nobody has written since", async () => {
    await using live_ = await live();
    await live_.app.commit(40, MUCH);
    await live_.app.checkpoint("PASSIVE");
    await live_.app.commit(3);
    const { position, bytes } = await live_.mark();
    using view = live_.pin(position);
    expect(compare(view, bytes)).toEqual([]);
    expect(view?.holds()).toBe(true);
  });

  it("leaves out what was changed since, unless the log still has the old content, and gives the rest as it was", async () => {
    await using live_ = await live();
    await live_.app.commit(40, MUCH);
    await live_.app.checkpoint("PASSIVE");
    const { position, bytes } = await live_.mark();
    await live_.app.commit(2); // restarts the log, as all of it was in the file
    const second = await live_.mark();
    await live_.app.commit(5, { payloadBytes: 2000, keep: 10 });
    expect(live_.pin(position)).toBeUndefined();
    using view = live_.pin(second.position);
    const gone = compare(view, second.bytes);
    expect(gone.length).toBeGreaterThan(0);
    expect(gone.length).toBeLessThan(second.bytes.length / PAGE_SIZE / 2);
    expect(bytes.length).toBeLessThanOrEqual(second.bytes.length);
  });

  it("stays as it is while the app writes, checkpoints and shrinks the database", async () => {
    await using live_ = await live();
    await live_.app.commit(40, MUCH);
    const { position, bytes } = await live_.mark();
    using view = live_.pin(position);
    for (const meanwhile of [
      () => live_.app.commit(20, MUCH),
      () => live_.app.checkpoint("PASSIVE"),
      () => live_.app.exec("VACUUM"),
      () => live_.app.checkpoint("PASSIVE"),
      () => live_.app.commit(20, MUCH),
    ]) {
      await meanwhile();
      expect(compare(view, bytes)).toEqual([]);
    }
    expect((await live_.app.checkpoint("TRUNCATE")).busy).toBe(1);
    expect(compare(view, bytes)).toEqual([]);
    expect(view?.holds()).toBe(true);
  });

  it("stays as it is where the log, which was wholly in the file, is begun anew", async () => {
    await using live_ = await live();
    await live_.app.commit(40, MUCH);
    await live_.app.checkpoint("PASSIVE");
    const { position, bytes } = await live_.mark();
    using view = live_.pin(position);
    const { salts } = readPositionHeader(live_.path);
    await live_.app.commit(60, MUCH);
    expect(readPositionHeader(live_.path).salts).not.toEqual(salts);
    await live_.app.checkpoint("PASSIVE");
    expect(compare(view, bytes)).toEqual([]);
  });

  it("of the file alone holds until a checkpoint writes to it", async () => {
    await using live_ = await live();
    await live_.app.commit(20, MUCH);
    await live_.app.checkpoint("TRUNCATE");
    utimesSync(live_.path, 1, 1); // whatever the clock's resolution, a write changes this
    const { position, bytes } = await live_.mark();
    expect(position.kind).toBe("file");
    using view = live_.pin(position);
    await live_.app.commit(5, MUCH);
    expect(compare(view, bytes)).toEqual([]);
    expect(view?.holds()).toBe(true);
    await live_.app.checkpoint("PASSIVE");
    expect(view?.holds()).toBe(false);
    expect(live_.pin(position)).toBeUndefined();
  });

  it("can't be had of a place that the log never had, or of another page size", async () => {
    await using live_ = await live();
    await live_.app.commit(3);
    const { position } = await live_.mark();
    if (position.kind !== "log") return expect.fail("there is a log");
    expect(live_.pin({ ...position, frame: position.frame + 1 })).toBeUndefined();
    expect(live_.pin({ ...position, checksum: [1, 2] })).toBeUndefined();
    const other = parsePageSize(4096) ?? expect.fail();
    expect(pinDatabase(live_.path, position, { driver, pageSize: other })).toBeUndefined();
  });

  it("knows that another file has taken the database's place", async () => {
    await using live_ = await live();
    await live_.app.commit(3);
    const { position } = await live_.mark();
    using view = live_.pin(position);
    copyFileSync(live_.path, `${live_.path}.new`);
    rmSync(live_.path);
    copyFileSync(`${live_.path}.new`, live_.path);
    expect(view?.holds()).toBe(false);
  });

  it("leaves file and log as they are, also where it is the last to close them", async () => {
    await using live_ = await live();
    await live_.app.commit(20, MUCH);
    await live_.app.checkpoint("PASSIVE");
    await live_.app.commit(2);
    const { position, bytes } = await live_.mark();
    await live_.app.kill();
    const read = () => ["", "-wal"].map((suffix) => readFileSync(`${live_.path}${suffix}`));
    const [files, names] = [read(), readdirSync(join(live_.path, ".."))];
    {
      using view = live_.pin(position);
      expect(compare(view, bytes)).toEqual([]);
    }
    expect(read()).toEqual(files);
    expect(readdirSync(join(live_.path, ".."))).toEqual(names);
  });
});

function readPositionHeader(path: string) {
  const log = openSync(`${path}-wal`, "r");
  try {
    return readWalHeader(log) ?? expect.fail("the log has a header");
  } finally {
    closeSync(log);
  }
}
