import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Settings } from "../../../src/config/settings.ts";
import type { StepContext } from "../../../src/steps/context.ts";
import { findDatabaseInPlace, findRunningDatabase } from "../../../src/steps/find-database.ts";
import { stateDirectory } from "../../../src/steps/places.ts";
import { prisma6, writeFiles } from "../../support/project.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { settings as usual } from "../plan/facts.ts";

/** A directory with an app, whose database is "app.db" on a volume, and one that has none. */
function world({ hasApp = true }: { readonly hasApp?: boolean } = {}) {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const root = realpathSync(directory.path);
  const app = join(root, "app");
  const volume = join(root, "volume");
  for (const path of [app, volume]) mkdirSync(path);
  if (hasApp) writeFiles(app, prisma6('"file:./app.db"'));
  const context = (told: Partial<Settings>) =>
    ({
      settings: { ...usual, appDirectory: app, volume: { value: volume, source: "--volume" }, ...told },
      environment: {},
      assets: { read: () => undefined },
    }) as unknown as StepContext;
  const told = (database: string) => ({ databaseUrl: { value: database, source: "--database" } });
  return {
    root,
    app,
    volume,
    inPlace: (database?: string) => findDatabaseInPlace(context(database === undefined ? {} : told(database))),
    running: (database?: string) => findRunningDatabase(context(database === undefined ? {} : told(database))),
    fromYml: (path: string) =>
      findDatabaseInPlace(context({ litestreamPath: { value: path, source: "litestream.yml:2" } })),
  };
}

describe("the database that is replicated where it is", () => {
  it.each([
    ["an absolute path", "/srv/other.db", "/srv/other.db"],
    ["a url", "file:/srv/other.db?mode=rwc", "/srv/other.db"],
  ])("is the one that is told, wherever that is: %s", async (_, told, path) => {
    expect(await world({ hasApp: false }).inPlace(told)).toBe(path);
  });

  it("counts a relative path from the working directory", async () => {
    const { app, inPlace } = world({ hasApp: false });
    expect(await inPlace("./data/app.db")).toBe(join(app, "data/app.db"));
  });

  it("is the file that a link leads to, as SQLite has it", async () => {
    const { root, app, inPlace } = world({ hasApp: false });
    writeFileSync(join(root, "real.db"), "");
    symlinkSync(join(root, "real.db"), join(app, "app.db"));
    expect(await inPlace("file:./app.db")).toBe(join(root, "real.db"));
  });

  it("is litestream.yml's, or the app's on the volume, where none is told", async () => {
    const { volume, inPlace, fromYml } = world();
    expect(await fromYml("/srv/app.db")).toBe("/srv/app.db");
    expect(await inPlace()).toBe(join(volume, "app.db"));
  });

  it("has to be told where there is no app", async () => {
    await expect(world({ hasApp: false }).inPlace()).rejects.toMatchObject({
      code: "E_CONFIG",
      message: expect.stringMatching(
        /^Cannot tell which database is meant: none is named, and no app is found/,
      ) as string,
    });
  });

  it.each(["file::memory:", "postgres://user:secret@host/db"])("is a file, and not %s", async (told) => {
    const failed = world({ hasApp: false }).inPlace(told);
    await expect(failed).rejects.toMatchObject({ code: "E_CONFIG" });
    await expect(failed).rejects.not.toThrow("secret");
  });
});

describe("the database of a keeper that may run", () => {
  it("is the app's, on the volume", async () => {
    const { volume, running } = world();
    expect(await running()).toBe(join(volume, "app.db"));
  });

  it("is the one that is told, where it is there, as `replicate` takes it", async () => {
    const { app, running } = world();
    writeFileSync(join(app, "other.db"), "");
    expect(await running("file:./other.db")).toBe(join(app, "other.db"));
  });

  it("is the one of that name on the volume, as `run` takes it, where that is there", async () => {
    const { volume, running } = world();
    writeFileSync(join(volume, "other.db"), "");
    expect(await running("file:./other.db")).toBe(join(volume, "other.db"));
  });

  it("is found by what flysqlite left beside it, where the database is gone", async () => {
    const { app, volume, running } = world();
    mkdirSync(stateDirectory(join(volume, "other.db")));
    expect(await running("file:./other.db")).toBe(join(volume, "other.db"));
    mkdirSync(stateDirectory(join(app, "other.db")));
    expect(await running("file:./other.db")).toBe(join(app, "other.db"));
  });

  it("is the one that is told, where neither is there", async () => {
    const { app, running } = world();
    expect(await running("file:./other.db")).toBe(join(app, "other.db"));
    expect(await world({ hasApp: false }).running("/srv/other.db")).toBe("/srv/other.db");
  });
});
