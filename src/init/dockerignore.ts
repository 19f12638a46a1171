// What an image's build must not get to see: the local database above all, as an image that has it would start on it. Pure.
// Source: https://docs.docker.com/build/concepts/context/#dockerignore-files

import type { ProjectFacts } from "./facts.ts";
import { applyEdits, splitLines } from "./text-lines.ts";

type Wanted = {
  readonly line: string;
  /** Paths that have to be ignored by it, or by lines that are there. */
  readonly paths: readonly string[];
};

/** For a project that has no such file, besides what is wanted in any. */
const USUAL = [".git", "**/*.log", "**/.DS_Store", "Dockerfile*", ".dockerignore", "fly.toml", "README.md"];

export function editDockerignore(text: string | undefined, facts: ProjectFacts): string {
  const wanted = listWanted(facts);
  if (text === undefined) {
    const [database, rest] = [wanted.filter(isDatabases), wanted.filter((one) => !isDatabases(one))];
    return [
      "# What the image's build does not need, and what must not get into the image.",
      ...rest.map(({ line }) => line),
      ...USUAL,
      "",
      "# The local database: the volume has the image's own.",
      ...database.map(({ line }) => line),
      "",
    ].join("\n");
  }
  const missing = wanted.filter(({ paths }) => paths.some((path) => !isIgnored(text, path)));
  if (missing.length === 0) return text;
  const lines = splitLines(text);
  const insert = ["# Not for an image: `npx flysqlite init` added these.", ...missing.map(({ line }) => line)];
  return applyEdits(text, [{ at: lines.length, remove: 0, insert: lines.length === 0 ? insert : ["", ...insert] }]);
}

/** Files that the build of an image needs and that are ignored. */
export function listIgnoredNeeds(text: string, { packageManager, prisma }: ProjectFacts): readonly string[] {
  const migrations = `${prisma.migrationsDirectory}/migration_lock.toml`;
  const needs = [
    "package.json",
    ...(packageManager.lockFile === undefined ? [] : [packageManager.lockFile]),
    migrations,
  ];
  return [...needs, ...prisma.files].filter((path) => isIgnored(text, path));
}

const isDatabases = ({ line }: Wanted) =>
  line.startsWith("**/") && !line.startsWith("**/.env") && line !== "**/node_modules";

function listWanted({ database }: ProjectFacts): readonly Wanted[] {
  const extension = /\.(?:db|sqlite3?)$/.exec(database.name)?.[0];
  const pattern = extension === undefined ? database.name : `*${extension}`;
  const path = database.path ?? database.name;
  return [
    { line: "**/node_modules", paths: ["node_modules"] },
    { line: "**/.env", paths: [".env"] },
    { line: "**/.env.local", paths: [".env.local"] },
    { line: "**/.env.*.local", paths: [".env.production.local"] },
    { line: `**/${pattern}`, paths: [path] },
    // The log and the journal, and what replicators keep beside it.
    { line: `**/${pattern}-*`, paths: [`${path}-wal`, `${path}-shm`, `${path}-journal`] },
    { line: `**/.${pattern}-*`, paths: [path.replace(/[^/]+$/, ".$&-litestream")] },
  ];
}

/** Whether Docker leaves a path out of the build: the last line that fits it, or a directory above it, decides. */
export function isIgnored(text: string, path: string): boolean {
  const parts = path.split("/");
  const paths = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
  let ignored = false;
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    if (line === "" || raw.startsWith("#")) continue;
    const isException = line.startsWith("!");
    const pattern = toRegExp((isException ? line.slice(1).trim() : line).replace(/^\.?\/+/, "").replace(/\/+$/, ""));
    if (pattern !== undefined && paths.some((one) => pattern.test(one))) ignored = !isException;
  }
  return ignored;
}

/** Go's filepath.Match, and "**" for any number of directories. Undefined for a pattern that is none. */
function toRegExp(pattern: string): RegExp | undefined {
  const source = pattern.replace(/\*\*\/?|\*|\?|\[[^\]]*\]|\\.|[.+^${}()|[\]\\]/g, (found) => {
    if (found === "**/") return "(?:.*/)?";
    if (found === "**") return ".*";
    if (found === "*") return "[^/]*";
    if (found === "?") return "[^/]";
    return found.length > 1 ? found : `\\${found}`;
  });
  try {
    return new RegExp(`^${source}$`);
  } catch {
    return undefined;
  }
}
