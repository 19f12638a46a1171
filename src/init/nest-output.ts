// Where NestJS's build puts the server. Pure.
// Source: https://docs.nestjs.com/cli/monorepo, https://www.typescriptlang.org/tsconfig/#rootDir

import type { Found } from "./facts.ts";

/**
 * Tells where the server is not where the start script looks for it: TypeScript, which the build is, takes for its root the
 * directory that has all files, and Prisma adds some beside src/. https://github.com/prisma/orm/issues/13135
 */
export function noteNestOutput({ texts, names, package: app, project }: Found): { readonly notes?: readonly string[] } {
  if (!/\bdist\/main\b/.test(app.scripts.get("start:prod") ?? "dist/main")) return {};
  const configs = ["tsconfig.build.json", "tsconfig.json"].map((file) => texts.get(file) ?? "");
  // The first one extends the other.
  const setting = (pattern: RegExp) =>
    configs.map((text) => pattern.exec(text)?.[1]).find((value) => value !== undefined);
  const root = setting(/"(?:include|files)"\s*:\s*\[([^\]]*)\]/) ?? setting(/"rootDir"\s*:\s*("[^"]*")/) ?? "";
  if (/^\s*"(?:\.\/)?src\b[^,]*$/.test(root)) return {};

  const excluded = setting(/"exclude"\s*:\s*\[([^\]]*)\]/) ?? "";
  const isExcluded = (path: string) => [path, path.split("/")[0]].some((one) => excluded.includes(`"${one}"`));
  const configFiles = [...names].filter((name) => /^prisma7?\.config\.[cm]?ts$/.test(name));
  const seed = /(?:^|\s)(?!(?:\.\/)?src\/)(\S+\.[cm]?ts)\b/.exec(project.manifest.seed ?? "")?.[1];
  const beside = [...configFiles, ...(seed === undefined ? [] : [seed])].filter((path) => !isExcluded(path));
  if (beside.length === 0) return {};
  return {
    notes: [
      `NestJS compiles ${beside.join(" and ")} along with src/, so that the server is dist/src/main.js and not ` +
        `dist/main.js: put it into "exclude" of tsconfig.build.json`,
    ],
  };
}
