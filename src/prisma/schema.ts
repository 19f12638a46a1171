// The datasource block of a Prisma schema, scanned. Pure: Prisma itself checks the rest of the schema when the app's
// client is generated, so only what flysqlite needs is read here.
// Source: Prisma 7.10, "Prisma schema"; https://www.prisma.io/docs/orm/prisma-schema/overview/data-sources

import { FlysqliteError } from "../base/errors.ts";

export type DatasourceUrl =
  | { readonly kind: "literal"; readonly value: string }
  /** `env("NAME")`. */
  | { readonly kind: "variable"; readonly name: string };

export type Datasource = {
  readonly provider: string;
  /** Absent where the schema names none, as always with Prisma 7. */
  readonly url?: DatasourceUrl;
  /** Line of the block's head, counted from 1. */
  readonly line: number;
};

type Place = { readonly file: string; readonly line: number };
type Property = { readonly value: string; readonly place: Place };

const STRING = /^"(?:[^"\\\n]|\\.)*"$/;

/**
 * Reads the datasource block of one schema file; undefined where the file has none.
 *
 * `file` is its name for messages. Throws E_SCHEMA for a block that can't be read, and for another provider.
 */
export function readDatasource(text: string, file: string): Datasource | undefined {
  const schema = withoutComments(text);
  const [block, another] = schema.matchAll(/^[^\S\n]*datasource\b\s*([^\s{]*)\s*\{/gm);
  if (block === undefined) return undefined;
  const line = lineAt(schema, block.index + block[0].search(/\S/));
  if (block[1] === "") throw unreadable({ file, line }, "the datasource block has no name");
  if (another !== undefined) {
    throw unreadable({ file, line: lineAt(schema, another.index) }, "a second datasource block; Prisma takes one");
  }

  const start = block.index + block[0].length;
  const end = endOfBlock(schema, start);
  if (end === undefined) throw unreadable({ file, line }, "the datasource block has no closing brace");
  const properties = readProperties(schema, { start, end, file });

  const provider = properties.get("provider");
  if (provider === undefined) throw unreadable({ file, line }, "the datasource block has no provider");
  const name = readString(provider, "provider");
  if (name !== "sqlite") {
    throw unreadable(provider.place, `provider is "${name}"; flysqlite supports "sqlite" and no other`);
  }
  const url = properties.get("url");
  return { provider: name, ...(url === undefined ? {} : { url: readUrl(url) }), line };
}

/** Blanks out comments, so that offsets and lines stay what they were. */
function withoutComments(text: string): string {
  return text.replace(/("(?:[^"\\\n]|\\.)*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (found, string: string | undefined) =>
    string === undefined ? found.replace(/[^\n]/g, " ") : found,
  );
}

/** Offset of the brace that closes a block, from an offset within it. No block is in a block. */
function endOfBlock(schema: string, start: number): number | undefined {
  const brace = /"(?:[^"\\\n]|\\.)*"|(\})/g;
  brace.lastIndex = start;
  for (let match = brace.exec(schema); match !== null; match = brace.exec(schema)) {
    if (match[1] !== undefined) return match.index;
  }
  return undefined;
}

function readProperties(
  schema: string,
  { start, end, file }: { readonly start: number; readonly end: number; readonly file: string },
): ReadonlyMap<string, Property> {
  const properties = new Map<string, Property>();
  for (const match of schema.slice(start, end).matchAll(/^[^\S\n]*(\w+)[^\S\n]*=(.*)$/gm)) {
    const [whole, key = "", value = ""] = match;
    const line = lineAt(schema, start + match.index + whole.search(/\S/));
    properties.set(key, { value: value.trim(), place: { file, line } });
  }
  return properties;
}

function readUrl({ value, place }: Property): DatasourceUrl {
  const variable = /^env\s*\((.*)\)$/.exec(value)?.[1];
  if (variable === undefined) return { kind: "literal", value: readString({ value, place }, "url") };
  return { kind: "variable", name: readString({ value: variable.trim(), place }, "url") };
}

function readString({ value, place }: Property, key: string): string {
  if (value.includes("'") && !value.includes('"')) {
    throw unreadable(place, `${key} is in single quotes, which Prisma does not take: write "…"`);
  }
  if (!STRING.test(value)) throw unreadable(place, `Cannot read ${key} = ${value}: expected a string in double quotes`);
  try {
    return String(JSON.parse(value)); // a string in a schema is written as in JSON
  } catch (error) {
    throw unreadable(place, `Cannot read ${key} = ${value}: it has an escape that is none`, error);
  }
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

function unreadable({ file, line }: Place, message: string, cause?: unknown): FlysqliteError {
  return new FlysqliteError("E_SCHEMA", `${file}:${line}: ${message}`, { cause });
}
