// Where an app's Prisma schema is, and what its one datasource block says.
// Source: Prisma 6.19 and 7.10, "Prisma schema location"

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { FlysqliteError } from "../base/errors.ts";
import type { AppPackage } from "./installed.ts";
import type { PrismaConfig } from "./prisma-config.ts";
import { type DatasourceUrl, readDatasource } from "./schema.ts";

export type SchemaFile = { readonly path: string; readonly bytes: Uint8Array };

export type Schema = {
  /** Sorted; paths relative to the app's directory. */
  readonly files: readonly SchemaFile[];
  /** Where the schema is: the file's directory, or the schema folder. Absolute, as is `migrations`. */
  readonly directory: string;
  /** Where its migrations are unless a config says otherwise. */
  readonly migrations: string;
  readonly url?: DatasourceUrl;
};

type Where = {
  readonly appDirectory: string;
  readonly prismaMajor: number;
  readonly app: AppPackage;
  readonly config: PrismaConfig | undefined;
  /** A schema named on flysqlite's own command line, relative to the app's directory. */
  readonly asked: string | undefined;
};

/** Finds and reads the schema. Throws E_SCHEMA where there is none, or none that flysqlite can work with. */
export function findSchema(where: Where): Schema {
  const { appDirectory, prismaMajor } = where;
  const place = locate(where);
  const isFolder = statSync(place).isDirectory();
  const files = (isFolder ? listSchemaFiles(place) : [place]).map((path) => ({
    path: relative(appDirectory, path),
    bytes: new Uint8Array(readFileSync(path)),
  }));
  const { datasource, file } = readOnlyDatasource(files, relative(appDirectory, place) || ".");
  const directory = isFolder ? place : dirname(place);
  // Before Prisma 7 they are beside the file that holds the datasource block, in whichever sub-folder that is.
  const besides = prismaMajor >= 7 ? directory : dirname(resolve(appDirectory, file));
  const { url } = datasource;
  return { files, directory, migrations: join(besides, "migrations"), ...(url === undefined ? {} : { url }) };
}

function locate({ appDirectory, prismaMajor, app, config, asked }: Where): string {
  const named = [
    { path: asked, by: "--schema" },
    { path: config?.schema, by: relative(appDirectory, config?.file ?? "") },
    { path: prismaMajor < 7 ? app.prismaSchema : undefined, by: "package.json" },
  ].find(({ path }) => path !== undefined);
  if (named?.path !== undefined) {
    const path = resolve(appDirectory, named.path);
    if (existsSync(path)) return path;
    throw new FlysqliteError(
      "E_SCHEMA",
      `Cannot find the Prisma schema "${relative(appDirectory, path)}" that ${named.by} names`,
    );
  }
  const directories = [...new Set([config === undefined ? appDirectory : dirname(config.file), appDirectory])];
  const usual = directories.flatMap((directory) => [
    join(directory, "schema.prisma"),
    join(directory, "prisma/schema.prisma"),
  ]);
  const found = usual.find((path) => existsSync(path));
  if (found !== undefined) return found;
  const looked = usual.map((path) => `"${relative(appDirectory, path)}"`).join(" and ");
  throw new FlysqliteError("E_SCHEMA", `Cannot find a Prisma schema in "${appDirectory}": looked for ${looked}`, {
    hint: "Name the file or folder with --schema, or as `schema` in prisma.config.ts",
  });
}

function listSchemaFiles(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".prisma"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function readOnlyDatasource(files: readonly SchemaFile[], place: string) {
  const found = files.flatMap(({ path, bytes }) => {
    const datasource = readDatasource(new TextDecoder().decode(bytes), path);
    return datasource === undefined ? [] : [{ datasource, file: path }];
  });
  const [first, second] = found;
  if (first === undefined) {
    throw new FlysqliteError("E_SCHEMA", `Cannot find a datasource block in "${place}"`);
  }
  if (second !== undefined) {
    const at = `${second.file}:${second.datasource.line}`;
    throw new FlysqliteError("E_SCHEMA", `${at}: a second datasource block; the first is in "${first.file}"`);
  }
  return first;
}
