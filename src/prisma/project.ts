// A Prisma project on a disk, turned into what flysqlite has to know of it. Looks at everything and changes nothing.
// What would stop `prisma migrate deploy` at run time is told here, while someone is there to read it.
// Source: Prisma 6.19 and 7.10

import { relative, resolve } from "node:path";
import { FlysqliteError } from "../base/errors.ts";
import { version } from "../base/version.ts";
import { otherProviderText, SCRIPT_NOT_FOUND } from "./errors.ts";
import { findPrismaMajor, readAppPackage } from "./installed.ts";
import type { Manifest, Migration, UrlRule } from "./manifest.ts";
import { checksum, listMigrations, lockedProvider } from "./migrations.ts";
import { loadPrismaConfig, type PrismaConfig } from "./prisma-config.ts";
import { findWarnings, type Warning } from "./project-warnings.ts";
import { findSchema, type Schema, type SchemaFile } from "./schema-files.ts";

export type Project = {
  readonly manifest: Manifest;
  /** Paths relative to the app's directory. */
  readonly schemaFiles: readonly SchemaFile[];
  readonly migrations: readonly Migration[];
  /** Text of migration_lock.toml, where there is one. */
  readonly lockFile?: string;
  /** Things that work, and may not do what was meant. */
  readonly warnings: readonly Warning[];
};

/** Versions whose migrations flysqlite knows; the ledger is the same in all of them. */
const OLDEST_PRISMA = 5;
const NEWEST_PRISMA = 7;

type Where = {
  readonly appDirectory: string;
  /** A schema file or folder to take instead of the one that Prisma would find. */
  readonly schema?: string | undefined;
};

/** Inspects a project that is to be deployed: like readProject(), and throws E_BUILD for migrations that can't be. */
export async function inspectProject(where: Where): Promise<Project> {
  const { migrationsDirectory, ...project } = await readProject(where);
  requireDeployable(project, migrationsDirectory);
  return project;
}

/**
 * Reads the project in `appDirectory`, whatever the state of its migrations. `migrationsDirectory` is relative to it.
 *
 * Throws E_SCHEMA, E_CONFIG and E_BUILD. Runs the app's prisma.config, with its environment changed for that long.
 */
export async function readProject(options: Where): Promise<Project & { readonly migrationsDirectory: string }> {
  const appDirectory = resolve(options.appDirectory);
  const app = readAppPackage(appDirectory);
  const prismaMajor = requireSupported(findPrismaMajor(appDirectory, app));
  const config = await loadPrismaConfig(appDirectory);
  const schema = findSchema({ appDirectory, prismaMajor, app, config, asked: options.schema });

  const directory = config?.migrations ?? schema.migrations;
  const listed = listMigrations(directory);
  const database = readUrlRule({ appDirectory, prismaMajor, schema, config, hasAdapter: hasAdapter(app.dependencies) });
  const seed = config?.seed ?? (prismaMajor < 7 ? app.prismaSeed : undefined);
  const manifest: Manifest = {
    formatVersion: 1,
    flysqliteVersion: version,
    ...(app.name === undefined ? {} : { appName: app.name }),
    prismaMajor,
    database,
    migrations: listed.migrations.map(({ name, sql }) => ({ name, checksum: checksum(sql ?? "") })),
    ...(seed === undefined ? {} : { seed }),
    ...(app.startScript === undefined ? {} : { start: app.startScript }),
  };
  return {
    manifest,
    schemaFiles: schema.files,
    ...listed,
    migrationsDirectory: relative(appDirectory, directory),
    warnings: findWarnings({ appDirectory, app, manifest, schema, config }),
  };
}

function requireSupported(prismaMajor: number | undefined): number {
  if (prismaMajor === undefined) {
    throw new FlysqliteError(
      "E_BUILD",
      "Cannot tell the app's version of Prisma: no prisma or @prisma/client is installed",
      {
        hint: "Install the app's dependencies before building, or name a version of prisma in its package.json",
      },
    );
  }
  if (prismaMajor < OLDEST_PRISMA || prismaMajor > NEWEST_PRISMA) {
    throw new FlysqliteError(
      "E_BUILD",
      `Cannot build for Prisma ${prismaMajor}: flysqlite knows the migrations of Prisma ${OLDEST_PRISMA} to ${NEWEST_PRISMA}`,
    );
  }
  return prismaMajor;
}

/** Refuses a history that Prisma would refuse at run time, in its words. */
function requireDeployable({ migrations, lockFile }: Project, directory: string): void {
  const provider = lockFile === undefined ? "sqlite" : lockedProvider(lockFile);
  if (provider !== "sqlite") throw new FlysqliteError("E_BUILD", `${directory}: P3019 ${otherProviderText(provider)}`);
  if (migrations.length === 0) {
    throw new FlysqliteError("E_BUILD", `Cannot find any migration in "${directory}"`, {
      hint: "Make the first one with `npx prisma migrate dev --name init` and commit it",
    });
  }
  const [first, ...others] = migrations
    .filter(({ sql }) => sql === undefined)
    .map(({ name }) => `${directory}/${name}: P3015 ${SCRIPT_NOT_FOUND}`);
  if (first !== undefined) throw new FlysqliteError("E_BUILD", first, { problems: others });
}

function readUrlRule({
  appDirectory,
  prismaMajor,
  schema,
  config,
  hasAdapter,
}: {
  readonly appDirectory: string;
  readonly prismaMajor: number;
  readonly schema: Schema;
  readonly config: PrismaConfig | undefined;
  readonly hasAdapter: boolean;
}): UrlRule {
  // An adapter opens the file from the working directory; Prisma's own engine, up to version 6, from the schema's.
  const fromWorkingDirectory = prismaMajor >= 7 || hasAdapter;
  const baseDirectory = fromWorkingDirectory ? "." : relative(appDirectory, schema.directory) || ".";
  if (config?.urlPart !== undefined) return { baseDirectory };
  const named = { ...config?.url };
  if (named.variable !== undefined || named.literal !== undefined) return { ...named, baseDirectory };
  const { url } = schema;
  if (url === undefined) return { baseDirectory };
  return url.kind === "variable" ? { variable: url.name, baseDirectory } : { literal: url.value, baseDirectory };
}

function hasAdapter(dependencies: ReadonlyMap<string, string>): boolean {
  return ["@prisma/adapter-better-sqlite3", "@prisma/adapter-libsql"].some((name) => dependencies.has(name));
}
