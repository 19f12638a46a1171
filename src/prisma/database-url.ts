// Which file an app means by its database url. Pure.
// Source: Prisma 6.19 and 7.10, the CLI and @prisma/adapter-better-sqlite3

import { resolve } from "node:path";
import { FlysqliteError } from "../base/errors.ts";
import type { UrlRule } from "./manifest.ts";

/** The variable that an app reads when neither its schema nor its config names one. */
const USUAL_VARIABLE = "DATABASE_URL";

export type DatabaseUrl = {
  /** Absolute path of the database's file, links not followed. */
  readonly path: string;
  /** A url that means this file wherever it is read: "file:" and the path. */
  readonly url: string;
  /**
   * What followed a question mark, such as "connection_limit=1", and was cut off. Prisma's CLI cuts it off too,
   * but to @prisma/adapter-better-sqlite3 it is part of the file's name: an app that is handed the url as it was
   * opens another file. Worth a warning.
   */
  readonly query?: string;
  readonly from: UrlSource;
};

export type UrlSource = {
  readonly kind: "flag" | "variable" | "literal";
  /** Name of the variable. */
  readonly name?: string;
};

/** Finds the database's file. A setting of flysqlite's own (`override`) wins, then the variable, then the literal. */
export function resolveDatabaseUrl(input: {
  readonly rule: UrlRule;
  readonly prismaMajor: number;
  readonly environment: { readonly [name: string]: string | undefined };
  /** Value of --database: a url, or a plain path. */
  readonly override?: string;
  /** The app's working directory, absolute. */
  readonly cwd: string;
}): DatabaseUrl {
  const { text, from } = findUrl(input);
  const { path, query } = parseFileUrl(text, from);
  const { rule, prismaMajor, cwd } = input;
  const base = from.kind === "flag" || prismaMajor >= 7 ? cwd : resolve(cwd, rule.baseDirectory);
  const absolute = resolve(base, path);
  return { path: absolute, url: `file:${absolute}`, from, ...(query === undefined ? {} : { query }) };
}

function findUrl({ rule, environment, override }: Parameters<typeof resolveDatabaseUrl>[0]): {
  readonly text: string;
  readonly from: UrlSource;
} {
  if (override !== undefined) return { text: override, from: { kind: "flag" } };
  const named = rule.variable !== undefined || rule.literal !== undefined;
  const variable = named ? rule.variable : USUAL_VARIABLE;
  const value = variable === undefined ? undefined : environment[variable];
  if (variable !== undefined && value !== undefined) return { text: value, from: { kind: "variable", name: variable } };
  if (rule.literal !== undefined) return { text: rule.literal, from: { kind: "literal" } };
  throw new FlysqliteError("E_CONFIG", `Cannot tell where the database is: ${variable} is not set`, {
    hint: `Set ${variable} to the url that the app uses, such as file:./dev.db, or name the file with --database`,
  });
}

/** Takes the path out of a `file:` url. Nothing is percent-decoded: Prisma and its adapters don't either. */
function parseFileUrl(text: string, from: UrlSource): { readonly path: string; readonly query: string | undefined } {
  const source = describeSource(from);
  const scheme = /^[a-z][a-z0-9+.-]*:/i.exec(text)?.[0];
  if (scheme !== "file:" && !(scheme === undefined && from.kind === "flag")) {
    // Never the whole text: the url of another database has a password in it.
    const found = text === "" ? "is empty" : scheme ? `is a "${scheme}" url` : "does not begin with file:";
    throw new FlysqliteError("E_CONFIG", `Cannot use the database url: ${source} ${found}`, {
      hint: 'flysqlite needs the url of a SQLite file, such as "file:./dev.db"',
    });
  }
  const [path = "", query] = splitOnce(scheme === undefined ? text : text.slice(scheme.length), "?");
  if (path === "") throw new FlysqliteError("E_CONFIG", `Cannot use the database url: ${source} names no file`);
  if (path === ":memory:") {
    throw new FlysqliteError(
      "E_CONFIG",
      `Cannot use the database url: ${source} is in memory, where nothing outlives the app`,
    );
  }
  if (path.endsWith("/")) {
    throw new FlysqliteError("E_CONFIG", `Cannot use the database url: ${source} names a directory, "${path}"`);
  }
  return { path, query };
}

function describeSource({ kind, name }: UrlSource): string {
  if (kind === "flag") return "--database";
  return kind === "variable" ? `the value of ${name}` : "the url in the schema or config";
}

function splitOnce(text: string, separator: string): readonly [string, string?] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}
