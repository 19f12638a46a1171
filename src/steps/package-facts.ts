// What package.json and the package managers' own files say, as far as it decides what a script would do.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { PackageFacts, PackageManager } from "../plan/package-command.ts";

/** Settings that change which scripts run, or how: in .npmrc, in pnpm-workspace.yaml, as `npm_config_*`. */
const SETTINGS =
  /script[-_]?shell|ignore[-_]?scripts|node[-_]?options|shell[-_]?emulator|enable[-_]?pre[-_]?post[-_]?scripts|prepend[-_]?node[-_]?path/i;

/** Files whose mere presence means that a manager does things its own way. */
const OWN_WAYS: readonly (readonly [PackageManager, string])[] = [
  ["yarn", ".yarnrc.yml"],
  ["yarn", ".pnp.cjs"],
  ["bun", "bunfig.toml"],
];

export function readPackageFacts(directory: string, environment: NodeJS.ProcessEnv): PackageFacts {
  const file = join(directory, "package.json");
  const content = parseObject(readIfPresent(file));
  const scripts = parseScripts(content?.["scripts"]);
  const text = (value: unknown) => (typeof value === "string" ? value : undefined);
  return {
    scripts: content === undefined ? undefined : scripts,
    name: text(content?.["name"]),
    version: text(content?.["version"]),
    file,
    settings: [
      ...(content?.["config"] === undefined ? [] : ofNpmAndPnpm("package.json#config")),
      ...settingsIn(join(directory, ".npmrc")),
      ...settingsIn(join(environment["HOME"] ?? "/", ".npmrc")),
      ...settingsIn(join(directory, "pnpm-workspace.yaml")),
      ...Object.keys(environment)
        .filter((name) => /^npm_config_/i.test(name) && SETTINGS.test(name))
        .flatMap(ofNpmAndPnpm),
      ...OWN_WAYS.filter(([, name]) => existsSync(join(directory, name))).map(([manager, what]) => ({ manager, what })),
    ],
  };
}

function settingsIn(file: string): PackageFacts["settings"] {
  return SETTINGS.test(readIfPresent(file) ?? "") ? ofNpmAndPnpm(file) : [];
}

function ofNpmAndPnpm(what: string): PackageFacts["settings"] {
  return [
    { manager: "npm", what },
    { manager: "pnpm", what },
  ];
}

function readIfPresent(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined; // not there, or not for us: then it is not for the package manager either
  }
}

function parseObject(text: string | undefined): Readonly<Record<string, unknown>> | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined; // the package manager will say so
  }
}

function parseScripts(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}
