// What works in a project, and may not do what was meant. Pure but for looking into node_modules/.bin.

import { relative } from "node:path";
import { type AppPackage, hasLocalCommand } from "./installed.ts";
import type { Manifest, UrlRule } from "./manifest.ts";
import type { PrismaConfig } from "./prisma-config.ts";
import type { Schema } from "./schema-files.ts";
import { splitSeedCommand } from "./seed-command.ts";

type Found = {
  readonly appDirectory: string;
  readonly app: AppPackage;
  readonly manifest: Manifest;
  readonly schema: Schema;
  readonly config: PrismaConfig | undefined;
};

/** One sentence for each, no full stop. */
export function findWarnings(found: Found): readonly string[] {
  return [...warnOfUrl(found), ...warnOfSeed(found)];
}

function warnOfUrl({ appDirectory, manifest, schema, config }: Found): readonly string[] {
  const { database, prismaMajor } = manifest;
  const warnings: string[] = [];
  if (config?.urlPart !== undefined) {
    const file = relative(appDirectory, config.file);
    warnings.push(
      `${file} makes the database's url from ${config.urlPart} and other text, which can't be known before run time: set DATABASE_URL or --database to the whole url`,
    );
  }
  if (prismaMajor >= 7 && schema.url !== undefined) {
    warnings.push("The schema has a url, which Prisma 7 refuses: move it to prisma.config.ts");
  }
  return [...warnings, ...warnOfLiteral(database)];
}

function warnOfLiteral({ variable, literal, baseDirectory }: UrlRule): readonly string[] {
  if (literal === undefined) return [];
  const warnings: string[] = [];
  const path = literal.replace(/^file:/, "");
  if (variable !== undefined && !path.startsWith("/")) {
    const base = baseDirectory === "." ? "the app's working directory" : `"${baseDirectory}"`;
    warnings.push(
      `Where ${variable} is not set, the database's url is "${literal}", a relative path: it counts from ${base}`,
    );
  }
  if (path.includes("?")) {
    warnings.push(
      `The database's url "${literal}" has a query: Prisma's CLI and flysqlite cut it off, a driver adapter makes it part of the file's name`,
    );
  }
  return warnings;
}

function warnOfSeed({ appDirectory, app, manifest }: Found): readonly string[] {
  const [program] = splitSeedCommand(manifest.seed ?? "");
  if (program === undefined || program === "node" || program.includes("/")) return [];
  if (!hasLocalCommand(appDirectory, program)) {
    return [
      `The seed command starts "${program}", which is not in node_modules/.bin: it has to be on the image's PATH, and shell syntax is not understood`,
    ];
  }
  if (app.devDependencies.has(program)) {
    return [
      `The seed command starts "${program}", a development dependency: an image without these can't seed (Node 24 runs TypeScript itself)`,
    ];
  }
  return [];
}
