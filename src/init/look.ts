// Looks at everything in a project that `init` decides by, and changes nothing. Runs the project's prisma.config, as
// Prisma does.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { FlysqliteError, systemCode } from "../base/errors.ts";
import { resolveDatabaseUrl } from "../prisma/database-url.ts";
import { field } from "../prisma/installed.ts";
import { type Project, readProject } from "../prisma/project.ts";
import type { Found, PackageFile } from "./facts.ts";
import { flyDockerfile } from "./fly-toml.ts";
import { LOCK_FILE_NAMES } from "./package-manager.ts";

/** Files that say something, where they exist. */
const TOLD = [
  ...["Dockerfile", ".dockerignore", "fly.toml", "litestream.yml", ".nvmrc", ".node-version"],
  ...[".env", ".env.local", "tsconfig.json", "tsconfig.build.json", "angular.json"],
  ...["pnpm-lock.yaml", "yarn.lock", ".yarnrc.yml", "docker-entrypoint.js", "dbsetup.js"],
  ...["js", "mjs", "cjs", "ts", "mts"].map((extension) => `next.config.${extension}`),
];

/** Throws E_SCHEMA, E_CONFIG and E_BUILD, as readProject() does. */
export async function look(where: {
  readonly appDirectory: string;
  readonly schema?: string | undefined;
}): Promise<Found> {
  const appDirectory = resolve(where.appDirectory);
  const text = readIfThere(join(appDirectory, "package.json"));
  if (text === undefined) {
    throw new FlysqliteError("E_CONFIG", `Cannot find package.json in "${appDirectory}"`, {
      hint: "Run `npx flysqlite init` in the app's directory",
    });
  }
  const project = await readProject({ appDirectory, schema: where.schema });
  const names = new Set(readdirSync(appDirectory));
  const texts = new Map<string, string>();
  const read = (path: string) => {
    const content = readIfThere(join(appDirectory, path));
    if (content !== undefined) texts.set(path, content);
  };
  TOLD.filter((name) => names.has(name)).forEach(read);
  read(flyDockerfile(texts.get("fly.toml") ?? ""));

  // The last one counts: Prisma reads .env only, and projects whose scripts name the other one have no url in it.
  const dotenv = [".env.local", ".env"].map((name) => texts.get(name) ?? "").join("\n");
  const databasePath = findDatabase(project, { appDirectory, dotenv });
  const lockFileAbove = LOCK_FILE_NAMES.some((name) => names.has(name)) ? undefined : findLockAbove(appDirectory);
  return {
    package: readPackage(text),
    names,
    texts,
    ...(lockFileAbove === undefined ? {} : { lockFileAbove }),
    project,
    ...(where.schema === undefined ? {} : { schema: where.schema }),
    ...(databasePath === undefined ? {} : { databasePath }),
  };
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new FlysqliteError("E_CONFIG", `Cannot read "${path}"`, { cause: error });
  }
}

/** readProject() has read it before, and refused what is no JSON. */
function readPackage(text: string): PackageFile {
  const value: unknown = JSON.parse(text.replace(/^\uFEFF/, ""));
  const entries = (name: string) => {
    const found = field(value, name);
    return Object.entries(typeof found === "object" && found !== null ? found : {});
  };
  const keys = (name: string) => new Set(entries(name).map(([key]) => key));
  const texts = {
    packageManager: field(value, "packageManager"),
    engine: field(field(value, "engines"), "node"),
    volta: field(field(value, "volta"), "node"),
    main: field(value, "main"),
  };
  return {
    scripts: new Map(
      entries("scripts").flatMap(([name, script]) => (typeof script === "string" ? [[name, script]] : [])),
    ),
    dependencies: keys("dependencies"),
    devDependencies: keys("devDependencies"),
    ...Object.fromEntries(Object.entries(texts).filter(([, text]) => typeof text === "string" && text !== "")),
  };
}

/** The file that the app opens here: by its .env files where a variable says it. */
function findDatabase(
  { manifest }: Project,
  { appDirectory, dotenv }: { readonly appDirectory: string; readonly dotenv: string },
): string | undefined {
  const { database: rule, prismaMajor } = manifest;
  try {
    const { path } = resolveDatabaseUrl({ rule, prismaMajor, environment: readDotenv(dotenv), cwd: appDirectory });
    return relative(appDirectory, path);
  } catch (error) {
    if (error instanceof FlysqliteError) return undefined; // no url here, or another database's: the image has its own
    throw error;
  }
}

/** What .env sets, by the common rules: `NAME=value`, quoted or not. */
function readDotenv(text: string): Readonly<Record<string, string>> {
  const variables: Record<string, string> = {};
  for (const [, name = "", value = ""] of text.matchAll(
    /^\s*(?:export\s+)?(\w+)\s*=\s*("[^"\n]*"|'[^'\n]*'|[^#\n]*)/gm,
  )) {
    variables[name] = value.trim().replace(/^(["'])(.*)\1$/, "$2");
  }
  return variables;
}

/** Directory of the nearest lock file above, up to where a repository ends; relative to the app's. */
function findLockAbove(appDirectory: string): string | undefined {
  let directory = appDirectory;
  while (!existsSync(join(directory, ".git")) && dirname(directory) !== directory) {
    directory = dirname(directory);
    const has = (name: string) => existsSync(join(directory, name));
    if (has("package.json") && LOCK_FILE_NAMES.some(has)) return relative(appDirectory, directory);
  }
  return undefined;
}
