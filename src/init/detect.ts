// What was found of a project, understood. Pure; look.ts looks.

import { basename } from "node:path";
import { splitSeedCommand } from "../prisma/seed-command.ts";
import { dockerEnvironment, splitDockerfile } from "./dockerfile-lines.ts";
import type { Found, ProjectFacts } from "./facts.ts";
import { flyDockerfile, flyEnvironment, flyPort } from "./fly-toml.ts";
import { detectFramework } from "./framework.ts";
import { detectNode } from "./node-version.ts";
import { detectPackageManager, LOCK_FILE_NAMES } from "./package-manager.ts";
import { firstProgram, readStart } from "./start-command.ts";

/** What the variable of a database url is set to in the image where nothing here says its name. */
const USUAL_URL = "file:./app.db";

/** The variable that apps read where neither schema nor config names one. */
const USUAL_VARIABLE = "DATABASE_URL";

/** Programs of packages that are called otherwise. */
const PACKAGE_OF: Readonly<Record<string, string>> = {
  dotenv: "dotenv-cli",
  fastify: "fastify-cli",
  nest: "@nestjs/cli",
  ng: "@angular/cli",
  tsc: "typescript",
};

export function detect(found: Found, flysqliteVersion: string): ProjectFacts {
  const { package: app, names, texts, project } = found;
  const { manifest, schemaFiles, migrations } = project;
  const schemaText = schemaFiles.map(({ bytes }) => new TextDecoder().decode(bytes)).join("\n");
  const { start, ...framework } = detectFramework(found);
  const port =
    flyPort(texts.get("fly.toml") ?? "") ??
    exposedPort(texts.get(flyDockerfile(texts.get("fly.toml") ?? "")) ?? "") ??
    framework.port;
  const database = detectDatabase(found);
  const isDependency = app.dependencies.has("flysqlite") || app.devDependencies.has("flysqlite");
  const neededTool = findNeededTool(found, start.program);
  const { seed, prismaMajor: major } = manifest;
  return {
    ...(manifest.appName === undefined ? {} : { name: manifest.appName }),
    flysqlite: { version: flysqliteVersion, isDependency },
    packageManager: detectPackageManager(found),
    ...(found.lockFileAbove === undefined ? {} : { lockFileAbove: found.lockFileAbove }),
    node: detectNode(found),
    framework: { ...framework, port },
    leftOut: [...app.scripts.keys()].flatMap((name) => readStart(name, app.scripts).leftOut ?? []),
    prisma: {
      major,
      hasCli: app.dependencies.has("prisma") || app.devDependencies.has("prisma"),
      isCliKept: app.dependencies.has("prisma"),
      needsOpenssl: major < 7 && !/^\s*engineType\s*=\s*"client"/m.test(schemaText),
      isInModules: /^\s*provider\s*=\s*"prisma-client-js"/m.test(schemaText) && !/^\s*output\s*=/m.test(schemaText),
      ...(found.schema === undefined ? {} : { schema: found.schema }),
      files: prismaFiles(found),
      migrationsDirectory: project.migrationsDirectory,
      migrationCount: migrations.length,
      ...(seed === undefined ? {} : { seed }),
    },
    database,
    ...(neededTool === undefined ? {} : { neededTool }),
    notes: [
      ...framework.notes,
      // The image sets the url, and has what the seed needs.
      ...project.warnings.filter(({ about }) => about === "url").map(({ text }) => text),
      ...notesOf(found, { names, seed }),
    ],
  };
}

/** The file that the app opens, and the url that an image says it by. */
function detectDatabase({ texts, project, databasePath }: Found): ProjectFacts["database"] {
  const { database: rule } = project.manifest;
  const isNamed = rule.variable !== undefined || rule.literal !== undefined;
  const variable = isNamed ? rule.variable : USUAL_VARIABLE;
  const fly = texts.get("fly.toml") ?? "";
  const dockerfile = splitDockerfile(texts.get(flyDockerfile(fly)) ?? "");
  const told = [flyEnvironment(fly), dockerEnvironment(dockerfile.instructions)]
    .map((variables) => variables.get(variable ?? ""))
    .find((url) => url?.startsWith("file:") === true);
  const path = databasePath?.startsWith("..") === true ? undefined : databasePath;
  const here = databasePath === undefined ? basename(USUAL_URL.slice("file:".length)) : basename(databasePath);
  const name = told === undefined ? here : basename(told.replace(/\?.*$/s, ""));
  if (variable === undefined) return { name, ...(path === undefined ? {} : { path }) };
  return { name, ...(path === undefined ? {} : { path }), variable: { name: variable, url: `file:./${name}` } };
}

/** What an install's hook needs to generate Prisma's client: the top of each path, and the config. */
function prismaFiles({ names, project }: Found): readonly string[] {
  const tops = project.schemaFiles.map(({ path }) => path.split("/")[0] ?? path);
  const configs = [...names].filter((name) => /^prisma7?\.config\.[cm]?[jt]s$/.test(name) || name === ".config");
  return [...new Set([...tops, ...configs])].sort();
}

/** A program that start or seed begin with, and which an image without the development dependencies has not. */
function findNeededTool(
  { package: app, project }: Found,
  startProgram: string | undefined,
): ProjectFacts["neededTool"] {
  const isDevelopment = (program: string | undefined): program is string =>
    program !== undefined && app.devDependencies.has(PACKAGE_OF[program] ?? program);
  if (isDevelopment(startProgram)) return { name: startProgram, by: "start" };
  const seedProgram = firstProgram(splitSeedCommand(project.manifest.seed ?? "").join(" "));
  return isDevelopment(seedProgram) ? { name: seedProgram, by: "seed" } : undefined;
}

function exposedPort(dockerfile: string): number | undefined {
  const exposed = splitDockerfile(dockerfile).instructions.filter(({ keyword }) => keyword === "EXPOSE");
  const digits = /^\d+/.exec(exposed.at(-1)?.value ?? "")?.[0];
  return digits === undefined ? undefined : Number(digits);
}

function notesOf(
  { package: app, project, texts }: Found,
  { names, seed }: { readonly names: ReadonlySet<string>; readonly seed: string | undefined },
): readonly string[] {
  const notes: string[] = [];
  if (project.migrations.length === 0) {
    notes.push(
      "There is no migration yet, and an image needs one: `npx prisma migrate dev --name init`, and commit it",
    );
  }
  if (!app.dependencies.has("prisma") && !app.devDependencies.has("prisma")) {
    notes.push("Prisma's CLI is no dependency: add it to devDependencies, so that its version is the client's");
  }
  if (!LOCK_FILE_NAMES.some((name) => names.has(name))) {
    notes.push("There is no lock file: commit one, or each image gets the newest packages of its day");
  }
  if (names.has(".pnp.cjs")) {
    notes.push("Yarn's Plug'n'Play has no node_modules, which flysqlite reads: set `nodeLinker: node-modules`");
  }
  const leftovers = ["docker-entrypoint.js", "dbsetup.js"].filter((name) =>
    /prisma|litestream/.test(texts.get(name) ?? ""),
  );
  if (leftovers.length > 0) notes.push(`flysqlite does what ${leftovers.join(" and ")} did: delete it`);
  if (seed === undefined) return notes;
  const [program = ""] = splitSeedCommand(seed);
  if (/[&|;<>$"']|^\w+=/.test(seed))
    notes.push(`The seed \`${seed}\` runs without a shell: \`${program}\` gets the rest as words`);
  return notes;
}
