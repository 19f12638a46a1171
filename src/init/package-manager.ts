// Which package manager a project uses, and the words by which it does what an image needs. Pure.
// Source: https://docs.npmjs.com/cli/v11, https://pnpm.io/cli, https://classic.yarnpkg.com, https://yarnpkg.com/cli,
// https://bun.com/docs/pm

import type { Found, ManagerName, PackageManager } from "./facts.ts";

/** By rank: a project that has two of them has moved to the earlier one, most likely. */
const LOCK_FILES: readonly (readonly [string, ManagerName])[] = [
  ["bun.lock", "bun"],
  ["bun.lockb", "bun"],
  ["pnpm-lock.yaml", "pnpm"],
  ["yarn.lock", "yarn"],
  ["package-lock.json", "npm"],
  ["npm-shrinkwrap.json", "npm"],
];

/** Names of all lock files. */
export const LOCK_FILE_NAMES: readonly string[] = LOCK_FILES.map(([name]) => name);

/** What an install reads besides package.json and the lock file. */
const INSTALL_FILES: Readonly<Record<ManagerName, readonly string[]>> = {
  npm: [".npmrc"],
  pnpm: [".npmrc", "pnpm-workspace.yaml", ".pnpmfile.cjs"],
  yarn: [".npmrc", ".yarnrc", ".yarnrc.yml", ".yarn"],
  bun: [".npmrc", "bunfig.toml"],
};

/** The line of pnpm that reads a lock file of this format. */
const PNPM_OF_FORMAT: readonly (readonly [RegExp, string])[] = [
  [/^lockfileVersion: '?5/m, "7"],
  [/^lockfileVersion: '?6/m, "8"],
];
const NEWEST_PNPM = "10";

export function detectPackageManager({ package: app, names, texts }: Found): PackageManager {
  const [, told, toldVersion] = /^(npm|yarn|pnpm|bun)@(\d[\w.-]*)/.exec(app.packageManager ?? "") ?? [];
  const locks = LOCK_FILES.filter(([file]) => names.has(file));
  const [lockFile, locked] = locks.find(([, manager]) => told === undefined || manager === told) ?? [];
  const name = (told as ManagerName | undefined) ?? locked ?? "npm";
  const version = toldVersion ?? (name === "pnpm" ? pnpmVersion(texts.get("pnpm-lock.yaml") ?? "") : undefined);
  const isBerry =
    name === "yarn" &&
    (toldVersion !== undefined
      ? !/^[01]\./.test(toldVersion)
      : names.has(".yarnrc.yml") || /^__metadata:/m.test(texts.get("yarn.lock") ?? ""));
  const more = [...INSTALL_FILES[name], "patches"].filter((file) => names.has(file));
  return {
    name,
    ...(version === undefined ? {} : { version }),
    isBerry,
    isVendored: /^yarnPath:/m.test(texts.get(".yarnrc.yml") ?? ""),
    ...(lockFile === undefined ? {} : { lockFile }),
    files: lockFile === undefined ? more : [lockFile, ...more],
    hook: installHook(app.scripts),
  };
}

function pnpmVersion(lockFile: string): string {
  return PNPM_OF_FORMAT.find(([format]) => format.test(lockFile))?.[1] ?? NEWEST_PNPM;
}

/** Scripts of the project that an install runs. */
const INSTALL_SCRIPTS = ["preinstall", "install", "postinstall", "prepare"];

/** Those that need nothing, or only what INSTALL_FILES has. */
const HARMLESS = /^(?:husky(?: install)?|nuxt prepare|nuxi prepare|svelte-kit sync|patch-package|exit 0|true|echo '')$/;

function installHook(scripts: ReadonlyMap<string, string>): PackageManager["hook"] {
  const parts = INSTALL_SCRIPTS.flatMap((name) => (scripts.get(name) ?? "").split(/&&|\|\||;/))
    .map((part) => part.trim().replaceAll('"', "'").replace(/^npx /, ""))
    .filter((part) => part !== "" && !HARMLESS.test(part));
  if (parts.length === 0) return "none";
  return parts.every((part) => /^(?:\w+ (?:run |exec )?)?prisma generate\b[^|;&]*$/.test(part)) ? "schema" : "project";
}

export type ManagerWords = {
  /** Lines of shell that bring the manager into an image of Node; none where it is there. */
  readonly setup: readonly string[];
  readonly install: string;
  /** Directory that is kept between builds. */
  readonly cache: string;
  /** Removes the development dependencies; undefined where that runs the project's install scripts without them. */
  readonly prune: string | undefined;
  /** Whether that takes along what the manager doesn't know, such as a client that was generated. */
  readonly pruneForgets: boolean;
};

/** NODE_ENV is "production" in the image, so each install says that it wants the development dependencies too. */
export function managerWords({ name, version, isBerry, isVendored, lockFile, hook }: PackageManager): ManagerWords {
  const frozen = lockFile !== undefined;
  switch (name) {
    case "npm":
      return {
        setup: [],
        install: frozen ? "npm ci --include=dev" : "npm install --include=dev",
        cache: "/root/.npm",
        prune: "npm prune --omit=dev",
        pruneForgets: false,
      };
    case "pnpm":
      return {
        setup: [`npm install --global pnpm@${version ?? NEWEST_PNPM}`],
        install: `pnpm install --prod=false${frozen ? " --frozen-lockfile" : ""}`,
        cache: "/root/.local/share/pnpm/store",
        prune: "CI=true pnpm prune --prod --ignore-scripts", // without CI it asks before it removes
        pruneForgets: false,
      };
    case "yarn":
      if (isBerry) {
        return {
          setup: isVendored ? [] : ["corepack enable"],
          install: `yarn install${frozen ? " --immutable" : ""}`,
          cache: "/root/.yarn/berry/cache",
          prune: hook === "none" ? "yarn workspaces focus --all --production" : undefined,
          pruneForgets: false,
        };
      }
      return {
        setup: [],
        install: `yarn install --production=false${frozen ? " --frozen-lockfile" : ""}`,
        cache: "/usr/local/share/.cache/yarn",
        prune: "yarn install --production=true --ignore-scripts --prefer-offline",
        pruneForgets: false,
      };
    case "bun":
      return {
        setup: [],
        install: `NODE_ENV=development bun install${frozen ? " --frozen-lockfile" : ""}`,
        cache: "/root/.bun/install/cache",
        prune: "rm -rf node_modules && bun install --production --ignore-scripts",
        pruneForgets: true,
      };
  }
}

/** The words that run a script of package.json. */
export function runScript(name: ManagerName, script: string): string {
  return `${name} run ${script}`;
}
