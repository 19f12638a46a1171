import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { applyMigrations } from "../../../src/prisma/deploy.ts";
import { installedDriver } from "../../support/driver.ts";
import { caseNames, type Deploy, expectAsPrisma, readCase, runCase } from "./corpus.ts";

// In a file of its own: a process opens databases with one library only.

/** Needs string literals in double quotes, which this library is compiled without. */
const QUOTED = "86-double-quoted-string";

const driver = await installedDriver();
const deploy: Deploy = (task) => applyMigrations({ ...task, driver, now: Date.now, uuid: randomUUID, exclusive: true });

const cases = caseNames.filter((name) => name !== QUOTED).map((name) => ({ name, what: readCase(name).what }));

describe("applyMigrations on better-sqlite3", () => {
  it.each(cases)("$name: $what", ({ name }) => expectAsPrisma(name, deploy));

  it("is not what migrates, for one reason: string literals in double quotes", async () => {
    expect(driver.name).toBe("better-sqlite3");
    const { errorCode, message } = await runCase(QUOTED, deploy);
    expect(errorCode).toBe("P3018");
    expect(message).toMatch(/no such column/);
  });
});
