import { describe, expect, it } from "vitest";
import { installedDriver } from "../../support/driver.ts";
import { expectForetold, foretold } from "./pending-behaviour.ts";

const driver = await installedDriver();

describe("findPending, on better-sqlite3, foretells what deploying does", () => {
  it("in every case of the corpus that has a database", () => expect(foretold).toHaveLength(23));

  it.each(foretold)("$name: $what", ({ name }) => expectForetold(name, driver));
});
