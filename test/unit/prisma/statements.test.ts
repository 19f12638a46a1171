import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { splitStatements } from "../../../src/prisma/statements.ts";
import { seededRandom } from "../../support/random.ts";

const texts = (script: string) => splitStatements(script).map(({ text }) => text.trim());

describe("splitStatements", () => {
  it("gives each statement, with the line on which it begins", () => {
    const script = "-- RedefineTables\n\nPRAGMA foreign_keys=OFF;\nCREATE TABLE a (\n  x\n);\n/* b\n */ DROP TABLE b";
    expect(splitStatements(script)).toEqual([
      { text: "-- RedefineTables\n\nPRAGMA foreign_keys=OFF;", line: 3 },
      { text: "\nCREATE TABLE a (\n  x\n);", line: 4 },
      { text: "\n/* b\n */ DROP TABLE b", line: 8 },
    ]);
  });

  it.each([
    ["a string", "SELECT 'a;b''c;';"],
    ["a name in double quotes", 'SELECT ";";'],
    ["a name in brackets", "SELECT [;];"],
    ["a name in back-quotes", "SELECT `;`;"],
    ["a comment", "SELECT 1 -- ; no\n, 2;"],
    ["a comment of several lines", "SELECT 1 /* ; \n ; */;"],
    ["a string that never ends", "SELECT 'a;b;"],
  ])("does not split at a semicolon in %s", (_, script) => {
    expect(texts(script)).toEqual([script]);
  });

  it.each(["", "TEMP ", "temporary "])("keeps a trigger whole (CREATE %sTRIGGER)", (kind) => {
    const trigger = `create ${kind}trigger t AFTER INSERT ON a BEGIN
      UPDATE a SET x = CASE WHEN x THEN 1 ELSE 2 END; SELECT 'END;';
    END;`;
    expect(texts(`SELECT 1;${trigger}SELECT 2;`)).toEqual(["SELECT 1;", trigger, "SELECT 2;"]);
  });

  it("takes a table with the name of a trigger for a table", () => {
    expect(texts("CREATE TABLE trigger_log (x); SELECT 1;")).toHaveLength(2);
  });

  it("finds nothing in a script without a statement, and nothing behind a zero byte", () => {
    expect(texts(" \n-- only a comment\n")).toEqual([]);
    expect(texts("SELECT 1;\0SELECT 2;")).toEqual(["SELECT 1;"]);
  });

  it("takes a long script in a moment", () => {
    const script = "INSERT INTO a VALUES ('x;y', 1); -- more\n".repeat(50_000);
    expect(splitStatements(script).at(-1)?.line).toBe(50_000);
  });
});

/** What a script is made of here: each piece alone means something to the splitter. */
const PIECES = [
  ...[";", ";", ";\n", " ", "\n", "'", "''", '"', "`", "[", "]", "--", "/*", "*/", "(", ")", ",", "x", "1", "é"],
  ...["CREATE ", "TEMP ", "TRIGGER ", "TABLE ", "EXPLAIN ", "BEGIN ", "END", "END;", "CASE ", "COMMIT;", "ROLLBACK;"],
  ...["CREATE TABLE IF NOT EXISTS a (x, y);", "INSERT INTO a VALUES (1, 'a;b');", 'INSERT INTO a SELECT 2, "x";'],
  ...["CREATE TRIGGER IF NOT EXISTS t AFTER INSERT ON a BEGIN ", "UPDATE a SET y = 3;", "SELECT 1;", "DROP TABLE a;"],
  "CREATE TEMP TRIGGER IF NOT EXISTS u AFTER INSERT ON a BEGIN UPDATE a SET y = CASE WHEN x THEN 1 END; SELECT 1; END;",
  ...["CREATE TABLE b AS SELECT * FROM a;", "SAVEPOINT s;", "RELEASE s;", "DELETE FROM a;", "-- c;\n", "/* ; */"],
];

type Outcome = { readonly error: string | undefined; readonly schema: unknown; readonly rows: unknown };

function outcome(run: (database: DatabaseSync) => void): Outcome {
  using database = new DatabaseSync(":memory:", { enableDoubleQuotedStringLiterals: true });
  let error: string | undefined;
  try {
    run(database);
  } catch (thrown) {
    error = String(thrown);
  }
  const schema = database.prepare("SELECT type, name, sql FROM sqlite_schema").all();
  const hasTable = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'a'").get() !== undefined;
  return { error, schema, rows: hasTable ? database.prepare("SELECT * FROM a").all() : undefined };
}

describe("a script run statement by statement", () => {
  it("does what it does as a whole, whatever it is", () => {
    const { unit } = seededRandom(7);
    for (let round = 0; round < 5000; round += 1) {
      const length = 1 + Math.floor(unit() * 14);
      const script = Array.from({ length }, () => PIECES[Math.floor(unit() * PIECES.length)]).join("");
      const whole = outcome((database) => database.exec(script));
      const pieces = outcome((database) => {
        for (const { text } of splitStatements(script)) database.exec(text);
      });
      expect(pieces, JSON.stringify(script)).toEqual(whole);
    }
  });
});
