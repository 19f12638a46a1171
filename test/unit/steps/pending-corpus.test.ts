import { describe, expect, it } from "vitest";
import { createNodeSqliteDriver } from "../../../src/sqlite/node-sqlite.ts";
import { expectForetold, foretold } from "./pending-behaviour.ts";

const driver = createNodeSqliteDriver({ doubleQuotedStrings: true });

describe("findPending, on node:sqlite, foretells what deploying does", () => {
  it("in every case of the corpus that has a database", () => expect(foretold).toHaveLength(23));

  it.each(foretold)("$name: $what", ({ name }) => expectForetold(name, driver));
});
