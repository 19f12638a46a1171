import { describe, expect, it } from "vitest";
import { readDatasource } from "../../../src/prisma/schema.ts";

const FILE = "prisma/schema.prisma";

describe("readDatasource", () => {
  it.each([
    [
      "as `prisma init` writes it",
      'datasource db {\n  provider = "sqlite"\n  url      = env("DATABASE_URL")\n}\n',
      variable("DATABASE_URL"),
    ],
    [
      "with a literal url",
      'datasource db {\n  provider = "sqlite"\n  url = "file:./dev.db"\n}',
      literal("file:./dev.db"),
    ],
    ["of Prisma 7, without a url", 'datasource db {\n  provider = "sqlite"\n}', undefined],
    ["with CRLF", 'datasource db {\r\n  provider = "sqlite"\r\n  url = "file:a.db"\r\n}\r\n', literal("file:a.db")],
    ["with odd blanks", '\tdatasource\tmy_db{\nprovider="sqlite"\n\n url  =env( "X" ) \n }', variable("X")],
    ["with a byte order mark", '\uFEFFdatasource db {\n provider = "sqlite"\n}', undefined],
    [
      "with comments at its lines",
      'datasource db { // the db\n provider = "sqlite" // or not\n url = "file:a.db" /// doc\n}',
      literal("file:a.db"),
    ],
    [
      "with a comment that looks like it",
      '/* datasource x {\n provider = "mysql"\n} */\ndatasource db {\n provider = "sqlite"\n}',
      undefined,
    ],
    ["with a commented url", 'datasource db {\n provider = "sqlite"\n // url = "file:old.db"\n}', undefined],
    [
      "with slashes in its url",
      'datasource db {\n provider = "sqlite"\n url = "file:///data/*x*/a.db"\n}',
      literal("file:///data/*x*/a.db"),
    ],
    ["with a brace in its url", 'datasource db {\n url = "file:a}.db"\n provider = "sqlite"\n}', literal("file:a}.db")],
    [
      "with an escaped quote in its url",
      'datasource db {\n provider = "sqlite"\n url = "file:\\"a\\".db"\n}',
      literal('file:"a".db'),
    ],
    [
      "with other keys",
      'datasource db {\n provider = "sqlite"\n relationMode = "prisma"\n directUrl = env("Y")\n}',
      undefined,
    ],
    [
      "behind models with braces in strings",
      'model A {\n id Int @id\n datasource Json @default("{}")\n}\ndatasource db {\n provider = "sqlite"\n}',
      undefined,
    ],
    ["behind names that are not ASCII", 'enum Größe {\n groß\n}\ndatasource db {\n provider = "sqlite"\n}', undefined],
  ])("reads a datasource block %s", (_, text, url) => {
    expect(readDatasource(text, FILE)).toMatchObject({ provider: "sqlite", ...(url === undefined ? {} : { url }) });
    expect(readDatasource(text, FILE)?.url).toEqual(url);
  });

  it("tells the block's line", () => {
    expect(readDatasource('// one\n\n  datasource db {\n provider = "sqlite"\n}', FILE)?.line).toBe(3);
  });

  it.each([
    ["no block", "model A {\n id Int @id\n}"],
    ["only a commented one", '// datasource db {\n//  provider = "sqlite"\n//}'],
    ["nothing", ""],
  ])("gives undefined for a file with %s", (_, text) => {
    expect(readDatasource(text, FILE)).toBeUndefined();
  });

  it.each([
    [
      "another provider",
      'datasource db {\n  provider = "postgresql"\n}',
      ':2: provider is "postgresql"; flysqlite supports "sqlite" and no other',
    ],
    ["no provider", "\ndatasource db {\n}", ":2: the datasource block has no provider"],
    ["no name", 'datasource {\n provider = "sqlite"\n}', ":1: the datasource block has no name"],
    ["no closing brace", 'datasource db {\n provider = "sqlite"\n', ":1: the datasource block has no closing brace"],
    [
      "a second block",
      'datasource a {\n provider = "sqlite"\n}\ndatasource b {\n provider = "sqlite"\n}',
      ":4: a second datasource block",
    ],
    ["a provider from a variable", 'datasource db {\n provider = env("P")\n}', ':2: Cannot read provider = env("P")'],
    ["a url that is a word", 'datasource db {\n provider = "sqlite"\n url = dev\n}', ":3: Cannot read url = dev"],
    ["a wrong escape", 'datasource db {\n provider = "sqlite"\n url = "file:\\x.db"\n}', ":3: Cannot read url"],
  ])("refuses a block with %s, and says where", (_, text, message) => {
    expect(() => readDatasource(text, FILE)).toThrow(
      expect.objectContaining({ code: "E_SCHEMA", message: expect.stringContaining(`${FILE}${message}`) }),
    );
  });

  it.each([
    ["provider", "datasource db {\n provider = 'sqlite'\n}", ":2: provider is in single quotes"],
    ["url", "datasource db {\n provider = \"sqlite\"\n url = 'file:///a.db'\n}", ":3: url is in single quotes"],
    [
      "variable",
      "datasource db {\n provider = \"sqlite\"\n url = env('DATABASE_URL')\n}",
      ":3: url is in single quotes",
    ],
  ])("refuses single quotes around a %s, as Prisma does (gap 6)", (_, text, message) => {
    expect(() => readDatasource(text, FILE)).toThrow(`${FILE}${message}, which Prisma does not take`);
  });
});

function literal(value: string) {
  return { kind: "literal", value } as const;
}

function variable(name: string) {
  return { kind: "variable", name } as const;
}
