// prisma.config.*, loaded as Prisma loads it: by the app's own copy of @prisma/config.
// A config is a program. It is run twice with different environments, to tell a url that comes from a variable,
// and is another one in production, from a url that stands there literally.
// Source: Prisma 7.10, "Prisma Config"; https://www.prisma.io/docs/orm/reference/prisma-config-reference

import { existsSync, readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import process from "node:process";
import { describe, FlysqliteError } from "../base/errors.ts";
import { field, findInstalled } from "./installed.ts";
import type { UrlRule } from "./manifest.ts";

export type PrismaConfig = {
  /** Absolute path of the config file. */
  readonly file: string;
  readonly url: Pick<UrlRule, "variable" | "literal">;
  /** Name of the variable that is only a part of the url, such as "DATA_DIR" in `file:${DATA_DIR}/app.db`. */
  readonly urlPart?: string;
  /** Absolute, as are `migrations`. */
  readonly schema?: string;
  readonly migrations?: string;
  readonly seed?: string;
};

type Loaded = { readonly config: unknown } | { readonly problem: string; readonly cause: unknown };
type LoadConfig = (options: { readonly configRoot: string }) => Promise<unknown>;

const EXTENSIONS = ["js", "ts", "mjs", "cjs", "mts", "cts"];
const CONFIG_NAMES = ["prisma7.config", ".config/prisma7", "prisma.config", ".config/prisma", ".config/prisma.config"];

/** Stands for a variable's value. A `file:` url, so that a config that checks its url takes it. */
const MARKER = "file:/flysqlite-variable/";

/** Names that may hold a database url, also where the config reads them by way of another module. */
const URL_NAME = /^[A-Z]\w*(?:URL|DATABASE|DB)\w*$|^(?:DATABASE|DB)_/;

/** Names that a config may well mention, and that select among urls rather than hold one. */
const SELECTORS = new Set(["NODE_ENV", "CI", "DEBUG"]);

/** Loads the app's config; undefined where it has none. */
export async function loadPrismaConfig(appDirectory: string): Promise<PrismaConfig | undefined> {
  const file = findConfigFile(appDirectory);
  if (file === undefined) return undefined;
  const load = findLoader(appDirectory, file);
  const text = readFileSync(file, "utf8");
  const holdsUrl = (name: string): boolean =>
    URL_NAME.test(name) || (!SELECTORS.has(name) && /^\w+$/.test(name) && new RegExp(`\\b${name}\\b`).test(text));

  const unset = await runConfig(load, { appDirectory, holdsUrl, replacement: () => undefined });
  const marked = await runConfig(load, { appDirectory, holdsUrl, replacement: (name) => MARKER + name });
  // Without its variables a config may well fail, as env("DATABASE_URL") does; one that is sound succeeds with ours.
  const usable = "config" in unset ? unset : marked;
  if (!("config" in usable)) throw cannotLoad(relative(appDirectory, file), usable);
  return { file, ...readUrl(unset, marked), ...readSettings(usable.config) };
}

/** The config file that Prisma picks: only in the app's directory, never above it. */
function findConfigFile(appDirectory: string): string | undefined {
  return CONFIG_NAMES.flatMap((name) => EXTENSIONS.map((extension) => join(appDirectory, `${name}.${extension}`))).find(
    (file) => existsSync(file),
  );
}

/** `loadConfigFromFile` of the @prisma/config that the app's Prisma CLI uses, else of one that the app has itself. */
function findLoader(appDirectory: string, file: string): LoadConfig {
  const prisma = findInstalled(appDirectory, "prisma");
  const places = prisma === undefined ? [appDirectory] : [realpathSync(prisma), appDirectory]; // pnpm's packages are links
  for (const place of places) {
    const directory = findInstalled(place, "@prisma/config");
    if (directory === undefined) continue;
    const load = field(createRequire(join(directory, "package.json"))(directory), "loadConfigFromFile");
    if (typeof load === "function") return async (options) => load(options);
  }
  throw new FlysqliteError("E_CONFIG", `Cannot load "${relative(appDirectory, file)}": the app has no @prisma/config`, {
    hint: "Install the app's dependencies, the package prisma among them, before building",
  });
}

/** Runs the config with some variables replaced. What it writes to its environment is dropped. */
async function runConfig(
  load: LoadConfig,
  {
    appDirectory,
    holdsUrl,
    replacement,
  }: {
    readonly appDirectory: string;
    readonly holdsUrl: (name: string) => boolean;
    readonly replacement: (name: string) => string | undefined;
  },
): Promise<Loaded> {
  const environment = process.env;
  process.env = replaceVariables({ ...environment }, holdsUrl, replacement);
  try {
    const result = await load({ configRoot: appDirectory });
    const error = field(result, "error");
    if (error === undefined) return { config: field(result, "config") };
    const cause = field(error, "error");
    return { problem: cause === undefined ? String(field(error, "_tag")) : describe(cause), cause };
  } finally {
    process.env = environment;
  }
}

function replaceVariables(
  environment: NodeJS.ProcessEnv,
  holdsUrl: (name: string) => boolean,
  replacement: (name: string) => string | undefined,
): NodeJS.ProcessEnv {
  const isReplaced = (key: string | symbol): key is string => typeof key === "string" && holdsUrl(key);
  return new Proxy(environment, {
    get: (target, key) => (isReplaced(key) ? replacement(key) : Reflect.get(target, key)),
    has: (target, key) => (isReplaced(key) ? replacement(key) !== undefined : Reflect.has(target, key)),
    // `dotenv` may set them from a file that is not in the image.
    set: (target, key, value) => isReplaced(key) || Reflect.set(target, key, value),
    ownKeys: (target) => Reflect.ownKeys(target).filter((key) => !isReplaced(key) || replacement(key) !== undefined),
    getOwnPropertyDescriptor: (target, key) => {
      if (!isReplaced(key)) return Reflect.getOwnPropertyDescriptor(target, key);
      const value = replacement(key);
      return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true };
    },
  });
}

function readUrl(unset: Loaded, marked: Loaded): Pick<PrismaConfig, "url" | "urlPart"> {
  const literal = urlOf(unset);
  const url = urlOf(marked);
  if (url?.includes(MARKER)) {
    const variable = url.startsWith(MARKER) ? url.slice(MARKER.length) : "";
    if (/^\w+$/.test(variable)) return { url: literal === undefined ? { variable } : { variable, literal } };
  }
  const part = /flysqlite-variable\/(\w+)/.exec(url ?? "")?.[1];
  // Its parts are only put together in the config, so that the url at run time can't be known here.
  if (part !== undefined) return { url: {}, urlPart: part };
  return { url: literal === undefined ? {} : { literal } };
}

function urlOf(loaded: Loaded): string | undefined {
  if (!("config" in loaded)) return undefined;
  return textField(field(loaded.config, "datasource"), "url");
}

function readSettings(config: unknown): Pick<PrismaConfig, "schema" | "migrations" | "seed"> {
  const schema = textField(config, "schema");
  const migrations = textField(field(config, "migrations"), "path");
  const seed = textField(field(config, "migrations"), "seed");
  return {
    ...(schema === undefined ? {} : { schema }),
    ...(migrations === undefined ? {} : { migrations }),
    ...(seed === undefined ? {} : { seed }),
  };
}

function textField(value: unknown, name: string): string | undefined {
  const text = field(value, name);
  return typeof text === "string" && text !== "" ? text : undefined;
}

function cannotLoad(file: string, { problem, cause }: { readonly problem: string; readonly cause: unknown }) {
  return new FlysqliteError("E_CONFIG", `Cannot load "${file}": ${problem}`, {
    cause,
    hint: "Check it with `npx prisma validate`; a config of Prisma 8 is not supported",
  });
}
