// What the fast path of a start must foretell, with whichever driver.

import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { applyMigrations } from "../../../src/prisma/deploy.ts";
import { PrismaError } from "../../../src/prisma/errors.ts";
import { checksum } from "../../../src/prisma/migrations.ts";
import type { Driver } from "../../../src/sqlite/driver.ts";
import type { AppBundle } from "../../../src/steps/app-bundle.ts";
import { findPending } from "../../../src/steps/pending.ts";
import { firstStart } from "../plan/facts.ts";
import { caseNames, type Deploy, readCase, runCase } from "../prisma/corpus.ts";

/** Those that have a database to look at, which nobody holds meanwhile. */
export const foretold = caseNames
  .map((name) => ({ name, ...readCase(name) }))
  .filter(({ start, setup }) => start === "start.sql" && setup === undefined);

/** Runs a case: what the look at the database says must be what deploying then does. */
export async function expectForetold(name: string, driver: Driver): Promise<void> {
  let looked = false;
  const deploy: Deploy = async (task) => {
    const bundle: AppBundle = {
      manifest: {
        ...firstStart.manifest,
        migrations: task.migrations.map(({ name, sql = "" }) => ({ name, checksum: checksum(sql) })),
      },
      source: "a test",
      migrations: async () => ({ migrations: task.migrations, lockFile: task.lockFile }),
    };
    const decision = await findPending(task.path, bundle, { sqlite: async () => driver });
    looked = true;
    const options = { driver, now: Date.now, uuid: randomUUID, exclusive: true };
    if (decision.kind === "refused") {
      const { code, message } = decision;
      expect(() => applyMigrations({ ...task, ...options })).toThrow(expect.objectContaining({ code, message }));
      throw new PrismaError(code, message);
    }
    const before: string[] = [];
    const names = (() => {
      try {
        return applyMigrations({ ...task, ...options, onBegin: (begun) => void before.push(begun) });
      } catch (error) {
        expect(decision.kind).toBe("pending"); // or the failure would not have been met
        throw error;
      }
    })();
    expect(decision.kind === "pending" ? decision.names : []).toEqual(names);
    expect(before).toEqual(names);
    return names;
  };
  await runCase(name, deploy);
  expect(looked).toBe(true);
}
