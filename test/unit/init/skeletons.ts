// Projects as small as they can be: package.json, lock file, schema, and what else tells something. None of them has its
// packages, so none of them can be built. Those in OFFICIAL were made by the frameworks' own programs, those in SKELETONS
// by hand, where there is no such program that works without a network, or to have each package manager and version.
//
// These programs of 26 November 2026 work only where GitHub is reached, from where they take their templates:
// create-adonisjs 3.4.0, create-astro 5.2.4, create-hono 0.19.5, create-nuxt 3.37.0 and nuxi 3.37.0, create-react-router
// 8.4.0. create-remix 2.17.5 and create-svelte 7.0.1 only name what took their place. create-vite 9.3.0 makes pages without
// a server, and create-qwik 1.20.1 has none until another program adds it.

import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { datasource, type Files, INIT, INIT_SQL, writeFiles } from "../../support/project.ts";

const FIXTURES = join(import.meta.dirname, "../../fixtures/init");
const NODE_MODULES = join(import.meta.dirname, "../../../node_modules");

type Skeleton = {
  readonly files: Files;
  /** A prisma.config is loaded by Prisma's own package: what of it is there, as that version. */
  readonly installed?: 6 | 7;
};

type PackageJson = { readonly [name: string]: unknown };

const CLIENT_JS = 'generator client {\n  provider = "prisma-client-js"\n}\n';
const CLIENT_TS = 'generator client {\n  provider = "prisma-client"\n  output = "../app/generated"\n}\n';

const app = (content: PackageJson) => `${JSON.stringify(content, undefined, 2)}\n`;

function migrations(directory = "prisma/migrations"): Files {
  return {
    [`${directory}/migration_lock.toml`]: 'provider = "sqlite"\n',
    [`${directory}/${INIT}/migration.sql`]: INIT_SQL,
  };
}

/** Prisma 6 with its own engine. `url` as in a schema. */
function prisma6(url = 'env("DATABASE_URL")'): Files {
  return { "prisma/schema.prisma": CLIENT_JS + datasource(url), ...migrations() };
}

/** Prisma 7: its url and seed are in prisma.config.ts. */
function prisma7(url = 'process.env["DATABASE_URL"]', seed?: string): Files {
  const migration = `migrations: { path: "prisma/migrations"${seed === undefined ? "" : `, seed: "${seed}"`} }`;
  return {
    "prisma.config.ts": `import { defineConfig } from "prisma/config";
export default defineConfig({ schema: "prisma/schema.prisma", ${migration}, datasource: { url: ${url} } });
`,
    "prisma/schema.prisma": CLIENT_TS + datasource(),
    ...migrations(),
  };
}

const client6 = { "@prisma/client": "^6.19.0" };
const cli6 = { prisma: "^6.19.0" };
const client7 = { "@prisma/client": "^7.10.0", "@prisma/adapter-better-sqlite3": "^7.10.0" };
const cli7 = { prisma: "^7.10.0" };

const npmLock = { "package-lock.json": '{ "lockfileVersion": 3 }\n' };
const pnpmLock = { "pnpm-lock.yaml": "lockfileVersion: '9.0'\n" };
const yarnLock = { "yarn.lock": "# yarn lockfile v1\n" };
const berryLock = { "yarn.lock": "__metadata:\n  version: 8\n", ".yarnrc.yml": "nodeLinker: node-modules\n" };
const bunLock = { "bun.lock": '{ "lockfileVersion": 1 }\n' };

export const SKELETONS = {
  "next-npm": {
    files: {
      "package.json": app({
        name: "next-app",
        scripts: { dev: "next dev", build: "next build", start: "next start" },
        dependencies: { ...client6, next: "15.5.0", react: "19.1.0", "react-dom": "19.1.0" },
        devDependencies: { ...cli6, typescript: "^5" },
      }),
      "next.config.ts": "const nextConfig = {};\nexport default nextConfig;\n",
      ".env": 'DATABASE_URL="file:./dev.db"\n',
      ...npmLock,
      ...prisma6(),
    },
  },
  "next-standalone-pnpm": {
    files: {
      "package.json": app({
        name: "next-standalone",
        packageManager: "pnpm@9.15.4+sha512.abc",
        scripts: { build: "next build", start: "next start", postinstall: "prisma generate" },
        dependencies: { ...client6, next: "15.5.0" },
        devDependencies: cli6,
      }),
      "next.config.mjs": "export default { output: 'standalone' };\n",
      "public/robots.txt": "User-agent: *\n",
      ...pnpmLock,
      ...prisma6(),
    },
  },
  "react-router-npm": {
    installed: 7,
    files: {
      "package.json": app({
        name: "react-router-app",
        type: "module",
        scripts: { build: "react-router build", start: "react-router-serve ./build/server/index.js" },
        dependencies: { ...client7, "@react-router/node": "^7.9.0", "@react-router/serve": "^7.9.0" },
        devDependencies: { ...cli7, "@react-router/dev": "^7.9.0", tsx: "^4" },
        engines: { node: ">=20.0.0" },
      }),
      ...npmLock,
      ...prisma7(undefined, "tsx prisma/seed.ts"),
    },
  },
  "remix-yarn": {
    files: {
      "package.json": app({
        name: "remix-app",
        scripts: {
          build: "remix vite:build",
          setup: "prisma generate && prisma migrate deploy",
          start: "npm run setup && remix-serve ./build/server/index.js",
        },
        dependencies: { ...client6, "@remix-run/node": "^2.16.0", "@remix-run/serve": "^2.16.0" },
        devDependencies: { ...cli6, "@remix-run/dev": "^2.16.0" },
        engines: { node: ">=20.0.0" },
      }),
      ...yarnLock,
      ...prisma6('"file:dev.sqlite"'),
    },
  },
  "nuxt-pnpm": {
    installed: 7,
    files: {
      "package.json": app({
        name: "nuxt-app",
        type: "module",
        scripts: { build: "nuxt build", dev: "nuxt dev", postinstall: "nuxt prepare" },
        dependencies: { ...client7, nuxt: "^4.1.0" },
        devDependencies: cli7,
      }),
      "pnpm-workspace.yaml": "ignoredBuiltDependencies: []\n",
      ...pnpmLock,
      ...prisma7(),
    },
  },
  "sveltekit-npm": {
    installed: 7,
    files: {
      "package.json": app({
        name: "svelte-app",
        type: "module",
        scripts: { build: "vite build", prepare: "svelte-kit sync || echo ''" },
        dependencies: client7,
        devDependencies: { ...cli7, "@sveltejs/adapter-node": "^5", "@sveltejs/kit": "^2.43.0", vite: "^7" },
      }),
      ".npmrc": "engine-strict=true\n",
      ...npmLock,
      ...prisma7(),
    },
  },
  "nestjs-npm": {
    files: {
      "package.json": app({
        name: "nest-app",
        scripts: { build: "nest build", start: "nest start", "start:prod": "node dist/main" },
        dependencies: { ...client6, "@nestjs/core": "^11.0.1", "@nestjs/platform-express": "^11.0.1" },
        devDependencies: { ...cli6, "@nestjs/cli": "^11.0.0" },
      }),
      ".nvmrc": "v22.11.0\n",
      ...npmLock,
      ...prisma6(),
    },
  },
  "adonis-npm": {
    installed: 7,
    files: {
      "package.json": app({
        name: "adonis-app",
        type: "module",
        scripts: { build: "node ace build", start: "node bin/server.js" },
        dependencies: { ...client7, "@adonisjs/core": "^6.18.0" },
        devDependencies: { ...cli7, "@adonisjs/assembler": "^7.8.2" },
      }),
      ...npmLock,
      ...prisma7(),
    },
  },
  "astro-npm": {
    installed: 7,
    files: {
      "package.json": app({
        name: "astro-app",
        type: "module",
        scripts: { build: "astro build", preview: "astro preview" },
        dependencies: { ...client7, astro: "^5.14.0", "@astrojs/node": "^9.4.0" },
        devDependencies: cli7,
      }),
      ...npmLock,
      ...prisma7(),
    },
  },
  "express-npm": {
    files: {
      "package.json": app({
        name: "express-app",
        scripts: { start: "PORT=8080 node server.js" },
        dependencies: { ...client6, express: "^5.1.0" },
        devDependencies: cli6,
        prisma: { seed: "node prisma/seed.js" },
      }),
      ...npmLock,
      ...prisma6('"file:./dev.db"'),
    },
  },
  "fastify-berry": {
    files: {
      "package.json": app({
        name: "fastify-app",
        packageManager: "yarn@4.10.3",
        scripts: { build: "tsc", start: "node dist/server.js" },
        dependencies: { ...client6, fastify: "^5.6.0" },
        devDependencies: { ...cli6, typescript: "^5" },
        engines: { node: "^22.0.0" },
      }),
      ...berryLock,
      ...prisma6(),
    },
  },
  "hono-bun": {
    installed: 7,
    files: {
      "package.json": app({
        name: "hono-app",
        type: "module",
        scripts: { start: "bun src/index.ts" },
        dependencies: { ...client7, hono: "^4.9.0" },
        devDependencies: cli7,
      }),
      "src/index.ts": "export default {};\n",
      ...bunLock,
      ...prisma7(),
    },
  },
  "plain-npm": {
    files: {
      "package.json": app({ name: "plain-app", dependencies: client6, devDependencies: cli6 }),
      "server.js": "",
      ...npmLock,
      ...prisma6(),
    },
  },
  "schema-folder-npm": {
    installed: 7,
    files: {
      "package.json": app({
        name: "schema-folder-app",
        type: "module",
        scripts: { start: "node server.ts", postinstall: "node scripts/patch.js" },
        dependencies: client7,
        devDependencies: cli7,
      }),
      "prisma.config.ts": `import { defineConfig } from 'prisma/config';
export default defineConfig({
  schema: 'prisma/schema',
  migrations: { path: 'prisma/migrations', seed: 'node prisma/seed.ts' },
  datasource: { url: process.env.DATABASE_URL ?? 'file:./local.db' },
});
`,
      "prisma/schema/main.prisma": CLIENT_TS + datasource(),
      "prisma/schema/note.prisma": "model Note {\n  id Int @id\n  text String\n}\n",
      ...migrations(),
      ...npmLock,
    },
  },
} as const satisfies { readonly [name: string]: Skeleton };

/** Made by the programs and commands that test/fixtures/init/README.md lists, and kept in <name>/project there. */
export const OFFICIAL = [
  "create-next-app",
  "create-next-app-pnpm",
  "create-t3-app",
  "sv-create",
  "tanstack-create",
  "ng-new-ssr",
  "nest-new",
  "nest-11-new",
  "fastify-generate-ts",
  "fastify-generate-esm",
  "express-generator",
  "create-vite-extra",
] as const;

export type SkeletonName = keyof typeof SKELETONS | (typeof OFFICIAL)[number];

export const SKELETON_NAMES: readonly SkeletonName[] = [
  ...(Object.keys(SKELETONS) as (keyof typeof SKELETONS)[]),
  ...OFFICIAL,
];

/** Puts one on the disk, with other files in place of its own or besides. */
export function writeSkeleton(directory: string, name: SkeletonName, more: Files = {}): void {
  const { files, installed }: Skeleton = isHandMade(name) ? SKELETONS[name] : readOfficial(name);
  writeFiles(directory, { ...files, ...more });
  if (installed === undefined) return;
  const link = (path: string) => symlinkSync(join(NODE_MODULES, path), join(directory, "node_modules", path));
  if (installed === 7) mkdirSync(join(directory, "node_modules"));
  else writeFiles(directory, { "node_modules/@prisma/": "", ...PRISMA_6 });
  link(installed === 7 ? "prisma" : "@prisma/config");
  link("dotenv"); // comes with Prisma; the configs that `prisma init` writes load it
}

/** Stands for the package of that version, which we have not: it is known by its version, and configs import from it. */
const PRISMA_6: Files = {
  "node_modules/prisma/package.json": '{ "name": "prisma", "version": "6.19.3", "exports": { "./*": "./*.js" } }\n',
  "node_modules/prisma/config.js": 'module.exports = require("@prisma/config");\n',
};

const isHandMade = (name: SkeletonName): name is keyof typeof SKELETONS => name in SKELETONS;

/** Files that are kept without the dot that their names begin with: git and npm would follow them. */
const DOTTED = /^(?:env|gitignore|npmrc)\b/;

function readOfficial(name: (typeof OFFICIAL)[number]): Skeleton {
  const directory = join(FIXTURES, name, "project");
  const paths = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((path) =>
    statSync(join(directory, path)).isFile(),
  );
  const nameOf = (path: string) => join(dirname(path), basename(path).replace(DOTTED, ".$&"));
  const files = Object.fromEntries(paths.map((path) => [nameOf(path), readFileSync(join(directory, path), "utf8")]));
  return { files, installed: /"prisma": "\^6/.test(files["package.json"] ?? "") ? 6 : 7 };
}
