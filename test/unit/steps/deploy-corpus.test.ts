// The corpus by way of the steps of a start: with a restore point, held or copied, and without one.

import { describe, expect, it } from "vitest";
import { FlysqliteError } from "../../../src/base/errors.ts";
import { createWorld } from "../../support/deployment.ts";
import { installedDriver } from "../../support/driver.ts";
import { asJson, readExpected, runCase, type Snapshot, snapshot, withLogMatchers } from "../prisma/corpus.ts";
import { foretold } from "./pending-behaviour.ts";

const driver = await installedDriver();

type Run = { readonly before: Snapshot; readonly after: unknown; readonly failed: boolean };

/** Migrates a case's database as a start would, and gives what it held before and after. */
async function run(name: string, onMigrationFailure: "rollback" | "keep"): Promise<Run> {
  let [before, failed] = [{}, false];
  const { database } = await runCase(name, async ({ path, migrations, lockFile }) => {
    before = snapshot(path);
    const world = createWorld(path, driver, { onMigrationFailure });
    try {
      return await world.deploy(migrations, { lockFile });
    } catch (error) {
      expect(error).toBeInstanceOf(FlysqliteError);
      failed = true;
      return [];
    }
  });
  return { before, after: asJson(database), failed };
}

describe("a database that a start migrates and keeps as it comes out", () => {
  it.each(foretold)("is what Prisma leaves: $name", async ({ name }) => {
    const { after } = await run(name, "keep");
    expect(after).toEqual(withLogMatchers(readExpected(name).database));
  });
});

describe("a database that a start migrates", () => {
  it.each(foretold)("is what Prisma leaves, or what it was before: $name", async ({ name }) => {
    const { before, after, failed } = await run(name, "rollback");
    expect(after).toEqual(failed ? asJson(before) : withLogMatchers(readExpected(name).database));
    expect(failed).toBe(readExpected(name).exitCode !== 0);
  });
});
