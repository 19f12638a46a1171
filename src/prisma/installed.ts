// What an app's package.json and node_modules say of Prisma. Reads files, runs nothing.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { FlysqliteError, systemCode } from "../base/errors.ts";

/** The part of an app's package.json that matters here. */
export type AppPackage = {
  readonly name?: string;
  readonly startScript?: string;
  /** `prisma.schema` and `prisma.seed`, which Prisma reads up to version 6. */
  readonly prismaSchema?: string;
  readonly prismaSeed?: string;
  readonly dependencies: ReadonlyMap<string, string>;
  readonly devDependencies: ReadonlyMap<string, string>;
};

/** Reads the app's package.json. A missing one is an empty one; one that is no JSON is E_CONFIG. */
export function readAppPackage(appDirectory: string): AppPackage {
  const value = readJson(join(appDirectory, "package.json"));
  const prisma = field(value, "prisma");
  const texts = {
    name: field(value, "name"),
    startScript: field(field(value, "scripts"), "start"),
    prismaSchema: field(prisma, "schema"),
    prismaSeed: field(prisma, "seed"),
  };
  return {
    ...Object.fromEntries(Object.entries(texts).filter(([, text]) => typeof text === "string" && text !== "")),
    dependencies: textFields(field(value, "dependencies")),
    devDependencies: textFields(field(value, "devDependencies")),
  };
}

/** Prisma's major version: as installed, else as package.json asks for it. Undefined where neither tells. */
export function findPrismaMajor(appDirectory: string, app: AppPackage): number | undefined {
  for (const name of ["prisma", "@prisma/client"]) {
    const directory = findInstalled(appDirectory, name);
    const version = directory === undefined ? undefined : field(readJson(join(directory, "package.json")), "version");
    if (typeof version === "string") return firstNumber(version);
  }
  for (const name of ["prisma", "@prisma/client"]) {
    const range = app.devDependencies.get(name) ?? app.dependencies.get(name);
    const major = range === undefined ? undefined : firstNumber(range);
    if (major !== undefined) return major;
  }
  return undefined;
}

/** Directory of a package that the app can reach, as Node's resolution finds it. */
export function findInstalled(appDirectory: string, name: string): string | undefined {
  return ancestors(appDirectory)
    .map((directory) => join(directory, "node_modules", name))
    .find((directory) => existsSync(join(directory, "package.json")));
}

/** Whether npm would find `command` for a script of this app. */
export function hasLocalCommand(appDirectory: string, command: string): boolean {
  return ancestors(appDirectory).some((directory) => existsSync(join(directory, "node_modules/.bin", command)));
}

/** Value of a field of something parsed; undefined where there is none. */
export function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
}

function textFields(value: unknown): ReadonlyMap<string, string> {
  if (typeof value !== "object" || value === null) return new Map();
  return new Map(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8").replace(/^\uFEFF/, ""));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new FlysqliteError("E_CONFIG", `Cannot read "${path}"`, { cause: error });
  }
}

/** A directory and all above it, nearest first. */
function ancestors(directory: string): readonly string[] {
  const parent = dirname(directory);
  return parent === directory ? [directory] : [directory, ...ancestors(parent)];
}

function firstNumber(text: string): number | undefined {
  const digits = /\d+/.exec(text)?.[0];
  return digits === undefined ? undefined : Number(digits);
}
