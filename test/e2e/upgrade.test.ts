// A release with one more migration, built as users build: `flysqlite build` in the app's directory.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { copyTestApp, createBox, ROOT } from "../support/box.ts";
import { temporaryDirectory } from "../support/temporary.ts";

/** A copy of the test app, with its packages, as a build stage has it. */
function appToBuild(directory: string): string {
  const app = join(directory, "app");
  copyTestApp(app);
  rmdirSync(join(app, "node_modules"));
  symlinkSync(join(ROOT, "node_modules"), join(app, "node_modules"));
  return app;
}

function build(words: readonly string[]): string {
  return execFileSync(process.execPath, [join(ROOT, "dist/npx.mjs"), "build", ...words], {
    encoding: "utf8",
    stdio: "pipe",
  });
}

describe("a release with a new migration", () => {
  it("applies it to the database that is there, keeps the rows, and replicates the result", async () => {
    using directory = temporaryDirectory();
    const app = appToBuild(directory.path);
    const migration = join(app, "prisma/migrations/20260101000000_add_likes");
    mkdirSync(migration);
    writeFileSync(
      join(migration, "migration.sql"),
      'ALTER TABLE "Entry" ADD COLUMN "likes" INTEGER NOT NULL DEFAULT 7;\n',
    );
    const release = join(directory.path, "flysqlite");
    expect(build(["--app", app, "--out", release])).toContain("5, which apply to an empty database");

    using box = createBox();
    const first = await box.start();
    await first.listening();
    await first.request("POST", "/entries", { author: "ann", text: "older" });
    await first.stop();

    const second = await box.start({ executable: release });
    await second.listening();
    expect(second.output()).toContain("applied 20260101000000_add_likes");
    await second.stop();

    box.loseVolume();
    const third = await box.start({ executable: release });
    await third.listening();
    expect(third.output()).not.toMatch(/ {2}migrate /);
    expect(await third.request("GET", "/entries")).toContainEqual(expect.objectContaining({ text: "older" }));
    await third.stop();
  });

  it("fails the build with Prisma's own error where a migration does not apply, and writes nothing", () => {
    using directory = temporaryDirectory();
    const app = appToBuild(directory.path);
    const migration = join(app, "prisma/migrations/20260101000000_broken");
    mkdirSync(migration);
    writeFileSync(join(migration, "migration.sql"), 'ALTER TABLE "Nobody" ADD COLUMN "likes" INTEGER;\n');
    const out = join(directory.path, "flysqlite");
    expect(() => build(["--app", app, "--out", out])).toThrow(
      /E_BUILD.*P3018[\s\S]*20260101000000_broken[\s\S]*no such table: Nobody/,
    );
    expect(() => execFileSync(out)).toThrow(/ENOENT/);
  });
});

describe("the same app", () => {
  it("gives the same executable, in whichever directory and whenever it is built", () => {
    const built = [1, 2].map(() => {
      using directory = temporaryDirectory();
      const out = join(directory.path, "flysqlite");
      build(["--app", appToBuild(directory.path), "--out", out]);
      return createHash("sha256").update(readFileSync(out)).digest("hex");
    });
    expect(built[0]).toBe(built[1]);
  });
});
