import { describe, expect, it } from "vitest";
import { detect } from "../../../src/init/detect.ts";
import { detectFramework } from "../../../src/init/framework.ts";
import { detectNode } from "../../../src/init/node-version.ts";
import { detectPackageManager, managerWords } from "../../../src/init/package-manager.ts";
import { readStart } from "../../../src/init/start-command.ts";
import { found } from "./project.ts";

describe("detectPackageManager", () => {
  it.each([
    ["package-lock.json", "npm"],
    ["npm-shrinkwrap.json", "npm"],
    ["yarn.lock", "yarn"],
    ["pnpm-lock.yaml", "pnpm"],
    ["bun.lock", "bun"],
    ["bun.lockb", "bun"],
  ])("tells by %s that it is %s", (lockFile, name) => {
    expect(detectPackageManager(found({ names: [lockFile] }))).toMatchObject({ name, lockFile, files: [lockFile] });
  });

  it("believes package.json#packageManager before a lock file, and takes its version", () => {
    const facts = found({
      package: { packageManager: "pnpm@9.1.0+sha512.ab" },
      names: ["yarn.lock", "pnpm-lock.yaml"],
    });
    expect(detectPackageManager(facts)).toMatchObject({ name: "pnpm", version: "9.1.0", lockFile: "pnpm-lock.yaml" });
  });

  it("is npm without a lock file where nothing tells", () => {
    const manager = detectPackageManager(found());
    expect(manager).toMatchObject({ name: "npm", files: [] });
    expect(managerWords(manager).install).toBe("npm install --include=dev");
  });

  it.each([
    ["lockfileVersion: 5.4\n", "7"],
    ["lockfileVersion: '6.0'\n", "8"],
    ["lockfileVersion: '9.0'\n", "10"],
  ])("takes the pnpm that reads %j", (text, version) => {
    expect(detectPackageManager(found({ texts: { "pnpm-lock.yaml": text } })).version).toBe(version);
  });

  it("tells Yarn's two kinds apart", () => {
    const isBerry = (facts: Parameters<typeof found>[0]) => detectPackageManager(found(facts)).isBerry;
    expect(isBerry({ texts: { "yarn.lock": "# yarn lockfile v1\n" } })).toBe(false);
    expect(isBerry({ texts: { "yarn.lock": "# x\n__metadata:\n" } })).toBe(true);
    expect(isBerry({ names: ["yarn.lock", ".yarnrc.yml"] })).toBe(true);
    expect(isBerry({ names: ["yarn.lock"], package: { packageManager: "yarn@1.22.22" } })).toBe(false);
  });

  it("asks corepack for a Yarn that the project does not have in it", () => {
    const setup = (text: string) =>
      managerWords(detectPackageManager(found({ texts: { "yarn.lock": "__metadata:\n", ".yarnrc.yml": text } }))).setup;
    expect(setup("nodeLinker: node-modules\n")).toEqual(["corepack enable"]);
    expect(setup("yarnPath: .yarn/releases/yarn-4.10.3.cjs\n")).toEqual([]);
  });

  it.each([
    [{}, "none"],
    [{ prepare: "husky", postinstall: "nuxt prepare" }, "none"],
    [{ prepare: "svelte-kit sync || echo ''" }, "none"],
    [{ postinstall: "prisma generate" }, "schema"],
    [{ postinstall: "npx prisma generate --no-hints" }, "schema"],
    [{ postinstall: "prisma generate && node scripts/more.js" }, "project"],
    [{ preinstall: "node check.js" }, "project"],
  ])("knows what the install scripts %j need", (scripts, hook) => {
    expect(detectPackageManager(found({ package: { scripts } })).hook).toBe(hook);
  });

  it("keeps what Yarn could not remove without running the project's install scripts", () => {
    const texts = { "yarn.lock": "__metadata:\n" };
    const prune = (scripts: Record<string, string>) =>
      managerWords(detectPackageManager(found({ texts, package: { scripts } }))).prune;
    expect(prune({})).toBe("yarn workspaces focus --all --production");
    expect(prune({ postinstall: "prisma generate" })).toBeUndefined();
  });
});

describe("detectNode", () => {
  it.each([
    ["v22.11.0\n", "22.11.0", 22],
    ["20", "20", 20],
    ["lts/jod", "22", 22],
    ["lts/krypton", "24", 24],
  ])("reads %j in .nvmrc", (text, tag, major) => {
    expect(detectNode(found({ texts: { ".nvmrc": text } }))).toEqual({ tag, major, source: ".nvmrc" });
  });

  it.each([
    [">=20", 24],
    [">=18.0.0 <23", 22],
    ["^22.0.0", 22],
    ["~20.19", 20],
    ["22.x", 22],
    ["18 || 20", 20],
    ["20 - 22", 22],
    [">= 20.0.0", 24],
    [">22", 24],
    ["<=22", 22],
    ["*", 24],
    ["^20.9 || ^22.11 || >=24", 24],
  ])("takes our own line where engines %j allow it, else another one", (engine, major) => {
    expect(detectNode(found({ package: { engine } }))).toMatchObject({ major, source: "package.json#engines" });
  });

  it.each([
    ["nothing is said", {}],
    ["an alias names no line", { texts: { ".nvmrc": "node\n" } }],
    ["no line fits", { package: { engine: "^99" } }],
  ])("is our own line where %s", (_, facts) => {
    expect(detectNode(found(facts))).toEqual({ tag: "24", major: 24 });
  });

  it("has a rank of sources", () => {
    const facts = { texts: { ".node-version": "20.1.0" }, package: { volta: "22.2.2", engine: "24" } };
    expect(detectNode(found(facts))).toMatchObject({ tag: "20.1.0" });
    expect(detectNode(found({ package: facts.package }))).toMatchObject({ tag: "22.2.2" });
  });
});

describe("detectFramework", () => {
  it.each([
    ["next", "Next.js"],
    ["nuxt", "Nuxt"],
    ["@sveltejs/kit", "SvelteKit"],
    ["@react-router/node", "React Router"],
    ["@remix-run/node", "Remix"],
    ["astro", "Astro"],
    ["@adonisjs/core", "AdonisJS"],
    ["@tanstack/react-start", "TanStack Start"],
    ["@angular/ssr", "Angular"],
    ["@nestjs/core", "NestJS"],
    ["fastify-cli", "Fastify"],
    ["fastify", "Fastify"],
    ["hono", "Hono"],
    ["express", "Express"],
    ["ms", "Node"],
  ])("tells by %s that it is %s, also beside Express", (name, framework) => {
    const dependencies = name === "ms" ? [name] : [name, "express"];
    expect(detectFramework(found({ package: { dependencies } })).name).toBe(framework);
  });

  it("says which adapter is missing", () => {
    expect(detectFramework(found({ package: { devDependencies: ["@sveltejs/kit"] } })).notes[0]).toContain(
      "adapter-node",
    );
    expect(detectFramework(found({ package: { dependencies: ["astro"] } })).notes[0]).toContain("@astrojs/node");
    const start = { dependencies: ["@tanstack/react-start"] };
    expect(detectFramework(found({ package: start })).notes[0]).toContain("nitro");
    expect(detectFramework(found({ package: { ...start, devDependencies: ["nitro"] } }))).toMatchObject({
      command: ["node", ".output/server/index.mjs"],
      notes: [],
    });
  });

  it("does not start Angular's development server", () => {
    const angular = (scripts: Record<string, string>) =>
      detectFramework(found({ package: { dependencies: ["@angular/ssr", "express"], scripts } }));
    const served = angular({ start: "ng serve", "serve:ssr:shop": "node dist/shop/server/server.mjs" });
    expect(served).toMatchObject({ command: ["npm", "run", "serve:ssr:shop"], port: 4000 });
    expect(served.notes).toEqual([expect.stringContaining("NG_ALLOWED_HOSTS")]);
    const hosts = { "angular.json": '{ "security": { "allowedHosts": ["shop.example"] } }' };
    const knowing = found({
      package: { dependencies: ["@angular/ssr"], scripts: { "serve:ssr:x": "x" } },
      texts: hosts,
    });
    expect(detectFramework(knowing).notes).toEqual([]);
    expect(angular({ start: "ng serve" }).notes).toContainEqual(expect.stringContaining("No start script"));
  });

  it("has fastify-cli listen where the container is reached, and tells it of another Fastify", () => {
    const fastify = (...dependencies: readonly string[]) =>
      detectFramework(found({ package: { dependencies, scripts: { start: "x" } } }));
    expect(fastify("fastify", "fastify-cli")).toMatchObject({ environment: { FASTIFY_ADDRESS: "0.0.0.0" }, notes: [] });
    expect(fastify("fastify").notes).toEqual([expect.stringContaining("localhost only")]);
  });

  it("builds by the script that the start script runs first, where no other one is called so", () => {
    const scripts = { start: "npm run build:ts && fastify start dist/app.js", "build:ts": "tsc" };
    const build = (more: object) =>
      detectFramework(found({ package: { dependencies: ["fastify"], scripts: { ...scripts, ...more } } })).build;
    expect(build({})).toBe("build:ts");
    expect(build({ build: "npm run clean && npm run build:ts" })).toBe("build");
  });

  describe("where NestJS's server is", () => {
    const nest = (texts: Record<string, string>, more: Parameters<typeof found>[0] = {}) =>
      detectFramework(
        found({
          package: { dependencies: ["@nestjs/core"], scripts: { "start:prod": "node dist/main" } },
          names: ["prisma.config.ts"],
          texts: { "tsconfig.json": '{ "compilerOptions": { "outDir": "./dist" } }', ...texts },
          ...more,
        }),
      ).notes;

    it("tells that files beside src/ move it (prisma/orm#13135)", () => {
      const exclude = '{ "extends": "./tsconfig.json", "exclude": ["node_modules", "dist"] }';
      expect(nest({ "tsconfig.build.json": exclude })).toEqual([
        expect.stringContaining("prisma.config.ts along with"),
      ]);
      const { project } = found();
      const seeded = { ...project, manifest: { ...project.manifest, seed: "tsx prisma/seed.ts" } };
      expect(nest({}, { project: seeded, names: [] })).toEqual([expect.stringContaining("prisma/seed.ts along with")]);
    });

    it.each([
      ["they are left out", '{ "exclude": ["dist", "prisma.config.ts"] }'],
      ["only src/ is compiled", '{ "include": ["src"] }'],
      ["src/ is the root", '{ "compilerOptions": { "rootDir": "./src" } }'],
    ])("says nothing where %s", (_, text) => {
      expect(nest({ "tsconfig.build.json": text })).toEqual([]);
    });

    it("says nothing of a script that knows it", () => {
      const scripts = { "start:prod": "node dist/src/main" };
      expect(nest({}, { package: { dependencies: ["@nestjs/core"], scripts } })).toEqual([]);
    });
  });

  it("says that nothing starts the app", () => {
    expect(detectFramework(found()).notes).toEqual([expect.stringContaining("No start script")]);
    expect(detectFramework(found({ package: { main: "lib/main.js" } }))).toMatchObject({
      command: ["node", "lib/main.js"],
      notes: [],
    });
  });

  it("takes Next's selection only where neither seed nor database need what is not in it (gap 21)", () => {
    const next = {
      package: { dependencies: ["next"], scripts: { build: "next build", start: "next start" } },
      texts: { "next.config.js": 'module.exports = { output: "standalone" }' },
    };
    const { project } = found();
    const withManifest = (more: object) => ({ ...project, manifest: { ...project.manifest, ...more } });
    expect(detectFramework(found(next)).command).toEqual(["node", "server.js"]);
    for (const more of [{ seed: "node seed.js" }, { database: { literal: "file:dev.db", baseDirectory: "prisma" } }]) {
      const framework = detectFramework(found({ ...next, project: withManifest(more) }));
      expect(framework).toMatchObject({ command: ["npm", "run", "start"] });
      expect(framework).not.toHaveProperty("output");
    }
  });

  it("warns of a build that wants a database", () => {
    const scripts = { build: "prisma migrate deploy && next build", start: "next start" };
    expect(detectFramework(found({ package: { scripts } })).notes[0]).toContain("The build script changes a database");
  });
});

describe("readStart", () => {
  const read = (start: string, more: Record<string, string> = {}) =>
    readStart("start", new Map(Object.entries({ start, ...more })));

  it("leaves a script as it is that starts the app, and nothing else", () => {
    expect(read("next start -p 8080")).toEqual({ command: ["npm", "run", "start"], port: 8080, program: "next" });
    expect(read("node scripts/prisma.js && node server.js")).not.toHaveProperty("leftOut");
  });

  it.each([
    ["prisma migrate deploy && next start", ["npx", "next", "start"]],
    ["npx prisma migrate deploy && npx prisma db seed && node server.js", ["node", "server.js"]],
    ["pnpm exec prisma generate && bun src/index.ts", ["bun", "src/index.ts"]],
  ])("starts without what flysqlite does itself: %s (gap 21)", (script, command) => {
    expect(read(script)).toMatchObject({ command, leftOut: { command } });
  });

  it("knows a script that another one runs", () => {
    const scripts = { "db:deploy": "prisma migrate deploy && prisma db seed" };
    expect(read("npm run db:deploy && node .", scripts)).toMatchObject({
      command: ["node", "."],
      leftOut: { script: "start", part: "npm run db:deploy", generates: false, command: ["node", "."] },
    });
  });

  it("starts without what an image has built, and names the script that built it", () => {
    const scripts = { "build:ts": "npm run clean && tsc" };
    const command = ["npx", "fastify", "start", "-l", "info", "dist/app.js"];
    const script = "npm run build:ts && fastify start -l info dist/app.js";
    expect(read(script, scripts)).toEqual({ command, program: "fastify", build: "build:ts" });
    const migrates = read(`prisma migrate deploy && ${script}`, scripts);
    expect(migrates).toMatchObject({ command, build: "build:ts", leftOut: { part: "prisma migrate deploy" } });
    // The CMD of a Dockerfile that exists stays: it may have been built nowhere else.
    expect(migrates.leftOut).not.toHaveProperty("command");
  });

  it.each([
    ["needs a shell", "npm run build && PORT=80 node ."],
    ["is more than one command", "npm run build && node prepare.js && node ."],
    ["runs a script that is not there", "npm run build:other && node ."],
  ])("leaves the build in a script that %s", (_, script) => {
    expect(read(script, { build: "tsc" })).toMatchObject({ command: ["npm", "run", "start"] });
    expect(read(script, { build: "tsc" })).not.toHaveProperty("build");
  });

  it("asks a person where a shell is needed for the rest", () => {
    expect(read('prisma migrate deploy && NODE_ENV=production node "a b.js"')).toMatchObject({
      command: ["npm", "run", "start"],
      leftOut: { script: "start", part: "prisma migrate deploy" },
    });
  });

  it.each([
    ["PORT=8080 node x", 8080],
    ["vite preview --port 4000", 4000],
    ["next start -p4001", 4001],
    ["node x", undefined],
  ])("finds the port in %j", (script, port) => {
    expect(read(script).port).toBe(port);
  });
});

describe("detect", () => {
  const detected = (facts: Parameters<typeof found>[0]) => detect(found(facts), "1.2.3");

  it("cuts the query off a url, which is no part of the file's name (gap 7)", () => {
    const facts = { texts: { Dockerfile: 'FROM x\nENV DATABASE_URL="file:/data/shop.db?connection_limit=1"\n' } };
    expect(detected(facts).database).toEqual({
      name: "shop.db",
      variable: { name: "DATABASE_URL", url: "file:./shop.db" },
    });
  });

  it("names the database as the platform does, before what is here", () => {
    const fly = '[env]\nDATABASE_URL = "file:///data/sqlite.db"\n';
    expect(detected({ databasePath: "prisma/dev.db", texts: { "fly.toml": fly } }).database.name).toBe("sqlite.db");
    expect(detected({ databasePath: "prisma/dev.db" }).database).toMatchObject({
      name: "dev.db",
      path: "prisma/dev.db",
    });
    expect(detected({ databasePath: "../x/dev.db" }).database).toEqual({
      name: "dev.db",
      variable: { name: "DATABASE_URL", url: "file:./dev.db" },
    });
  });

  it("takes the port from fly.toml, then from the Dockerfile that it names, then from the script", () => {
    const fly = '[build]\ndockerfile = "web.Dockerfile"\n';
    const scripts = { start: "node x -p 4000" };
    const port = (texts: Record<string, string>) => detected({ texts, package: { scripts } }).framework.port;
    const image = { "web.Dockerfile": "FROM x\nEXPOSE 5000/tcp\n" };
    expect(port({ "fly.toml": `${fly}[http_service]\ninternal_port = 6000\n`, ...image })).toBe(6000);
    expect(port({ "fly.toml": fly, ...image })).toBe(5000);
    expect(port({})).toBe(4000);
  });

  it("keeps the development dependencies where start or seed begin with one", () => {
    const start = { scripts: { start: "NODE_ENV=production tsx server.ts" }, devDependencies: ["tsx"] };
    expect(detected({ package: start }).neededTool).toEqual({ name: "tsx", by: "start" });
    const { project } = found();
    const seeded = { ...project, manifest: { ...project.manifest, seed: "ts-node prisma/seed.ts" } };
    expect(detected({ project: seeded, package: { devDependencies: ["ts-node"] } }).neededTool).toEqual({
      name: "ts-node",
      by: "seed",
    });
    expect(detected({ project: seeded, package: { dependencies: ["ts-node"] } })).not.toHaveProperty("neededTool");
  });

  it("says what has to be done before an image can be built", () => {
    const { project } = found();
    const { notes } = detected({ project: { ...project, migrations: [] }, names: [".pnp.cjs"] });
    expect(notes).toEqual(
      expect.arrayContaining([
        expect.stringContaining("There is no migration yet"),
        expect.stringContaining("Prisma's CLI is no dependency"),
        expect.stringContaining("There is no lock file"),
        expect.stringContaining("Plug'n'Play"),
      ]),
    );
  });
});
