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

export type Warning = {
  /** "unset url": only where the environment doesn't say it. */
  readonly about: "url" | "unset url" | "seed";
  /** One sentence, no full stop. */
  readonly text: string;
};

export function findWarnings(found: Found): readonly Warning[] {
  return [...warnOfUrl(found), ...warnOfSeed(found)];
}

function warnOfUrl({ appDirectory, manifest, schema, config }: Found): readonly Warning[] {
  const { database, prismaMajor } = manifest;
  const warnings: Warning[] = [];
  if (config?.urlPart !== undefined) {
    const file = relative(appDirectory, config.file);
    warnings.push({
      about: "url",
      text: `${file} makes the database's url from ${config.urlPart} and other text, which can't be known before run time: set DATABASE_URL or --database to the whole url`,
    });
  }
  if (prismaMajor >= 7 && schema.url !== undefined) {
    warnings.push({ about: "url", text: "The schema has a url, which Prisma 7 refuses: move it to prisma.config.ts" });
  }
  return [...warnings, ...warnOfLiteral(database)];
}

function warnOfLiteral({ variable, literal, baseDirectory }: UrlRule): readonly Warning[] {
  if (literal === undefined) return [];
  const warnings: Warning[] = [];
  const path = literal.replace(/^file:/, "");
  if (variable !== undefined && !path.startsWith("/")) {
    const base = baseDirectory === "." ? "the app's working directory" : `"${baseDirectory}"`;
    warnings.push({
      about: "unset url",
      text: `Where ${variable} is not set, the database's url is "${literal}", a relative path: it counts from ${base}`,
    });
  }
  if (path.includes("?")) {
    warnings.push({
      about: "url",
      text: `The database's url "${literal}" has a query: Prisma's CLI and flysqlite cut it off, a driver adapter makes it part of the file's name`,
    });
  }
  return warnings;
}

function warnOfSeed({ appDirectory, app, manifest }: Found): readonly Warning[] {
  const [program] = splitSeedCommand(manifest.seed ?? "");
  if (program === undefined || program === "node" || program.includes("/")) return [];
  if (!hasLocalCommand(appDirectory, program)) {
    return [
      {
        about: "seed",
        text: `The seed command starts "${program}", which is not in node_modules/.bin: it has to be on the image's PATH, and shell syntax is not understood`,
      },
    ];
  }
  if (app.devDependencies.has(program)) {
    return [
      {
        about: "seed",
        text: `The seed command starts "${program}", a development dependency: an image without these can't seed (Node 24 runs TypeScript itself)`,
      },
    ];
  }
  return [];
}
