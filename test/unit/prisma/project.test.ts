import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { inspectProject } from "../../../src/prisma/project.ts";

const NODE_MODULES = join(import.meta.dirname, "../../../node_modules");

type Files = { readonly [path: string]: string };

const migration: Files = {
  "prisma/migrations/1_init/migration.sql": 'CREATE TABLE "A" ("id" INTEGER PRIMARY KEY);\n',
  "prisma/migrations/migration_lock.toml": 'provider = "sqlite"\n',
};
const datasource = 'datasource db {\n  provider = "sqlite"\n}\n';
const datasource6 = 'datasource db {\n  provider = "sqlite"\n  url      = env("DATABASE_URL")\n}\n';

const prisma6: Files = {
  "package.json": JSON.stringify({
    name: "old-app",
    scripts: { start: "node server.js" },
    dependencies: { "@prisma/client": "^6.19.0" },
    devDependencies: { prisma: "^6.19.0", tsx: "4" },
    prisma: { seed: "node prisma/seed.js" },
  }),
  "prisma/schema.prisma": datasource6,
  ...migration,
};
const prisma7: Files = {
  "package.json": JSON.stringify({ name: "new-app", scripts: { start: "node server.ts" } }),
  "prisma.config.ts": config("process.env['DATABASE_URL'] ?? 'file:./dev.db'"),
  "prisma/schema.prisma": datasource,
  ...migration,
};

let appDirectory = "";
beforeEach(() => {
  appDirectory = mkdtempSync(join(tmpdir(), "flysqlite-project-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(appDirectory, { recursive: true });
});

describe("inspectProject, with Prisma 7", () => {
  it("finds url, seed and start of a project with a config, in single quotes too (gap 6)", async () => {
    const { manifest, schemaFiles, migrations, lockFile } = await inspect7(prisma7);
    expect(manifest).toEqual({
      formatVersion: 1,
      flysqliteVersion: expect.stringMatching(/^\d+\.\d+\.\d+/),
      appName: "new-app",
      prismaMajor: 7,
      database: { variable: "DATABASE_URL", literal: "file:./dev.db", baseDirectory: "." },
      migrations: [{ name: "1_init", checksum: expect.stringMatching(/^[0-9a-f]{64}$/) }],
      seed: "node prisma/seed.ts",
      start: "node server.ts",
    });
    expect(schemaFiles).toEqual([{ path: "prisma/schema.prisma", bytes: new TextEncoder().encode(datasource) }]);
    expect(migrations).toEqual([{ name: "1_init", sql: migration["prisma/migrations/1_init/migration.sql"] }]);
    expect(lockFile).toBe('provider = "sqlite"\n');
  });

  it.each([
    ["env() of a variable that is not set", "env('DATABASE_URL')", { variable: "DATABASE_URL" }],
    ["any other name", "env('GUESTS')", { variable: "GUESTS" }],
    [
      "any other name, with a fallback",
      "process.env.GUESTS || 'file:./g.db'",
      { variable: "GUESTS", literal: "file:./g.db" },
    ],
    ["a literal", "'file:./fixed.db'", { literal: "file:./fixed.db" }],
    [
      "a check of the url",
      "((url) => { new URL(url); return url })(process.env.DATABASE_URL)",
      { variable: "DATABASE_URL" },
    ],
    ["no url", "undefined", {}],
  ])("tells a variable from a literal: %s", async (_, url, rule) => {
    const { manifest } = await inspect7({ ...prisma7, "prisma.config.ts": config(url) });
    expect(manifest.database).toEqual({ ...rule, baseDirectory: "." });
  });

  it.each(["process.env.DATABASE_URL ?? 'file:./dev.db'", "env('DATABASE_URL')"])(
    "does not take the build machine's own value for a literal: %s",
    async (url) => {
      vi.stubEnv("DATABASE_URL", "file:/home/ann/secret.db");
      const { manifest } = await inspect7({ ...prisma7, "prisma.config.ts": config(url) });
      expect(manifest.database.variable).toBe("DATABASE_URL");
      expect(manifest.database.literal).not.toBe("file:/home/ann/secret.db");
      expect(process.env["DATABASE_URL"]).toBe("file:/home/ann/secret.db");
    },
  );

  it("does not take a value that the config sets itself, as dotenv does, for a literal", async () => {
    const dotenv = "process.env.DATABASE_URL ??= 'file:./from-dotenv.db'; process.env.OTHER = 'x';\n";
    const { manifest } = await inspect7({ ...prisma7, "prisma.config.ts": dotenv + config("env('DATABASE_URL')") });
    expect(manifest.database).toEqual({ variable: "DATABASE_URL", baseDirectory: "." });
    expect(process.env["OTHER"]).toBeUndefined();
  });

  it("gives no rule for a url that is put together from parts, and warns", async () => {
    const url = "'file:' + (process.env.DATA_DIR ?? '.') + '/app.db'";
    const { manifest, warnings } = await inspect7({ ...prisma7, "prisma.config.ts": config(url) });
    expect(manifest.database).toEqual({ baseDirectory: "." });
    const text = expect.stringContaining("prisma.config.ts makes the database's url from DATA_DIR");
    expect(warnings).toEqual([{ about: "url", text }]);
  });

  it("reads a schema folder, and migrations in it (gap 6)", async () => {
    const { "prisma/schema.prisma": _, ...others } = prisma7;
    const { manifest, schemaFiles } = await inspect7({
      ...others,
      "prisma.config.ts": config("env('DATABASE_URL')", "schema: 'prisma',"),
      "prisma/main.prisma": datasource,
      "prisma/models/a.prisma": "model A {\n id Int @id\n}\n",
      "prisma/models/notes.txt": "datasource x {\n}\n",
    });
    expect(schemaFiles.map(({ path }) => path)).toEqual(["prisma/main.prisma", "prisma/models/a.prisma"]);
    expect(manifest.migrations).toHaveLength(1);
  });

  it("takes the migrations' place from the config", async () => {
    const { manifest } = await inspect7({
      ...prisma7,
      "prisma.config.ts": config("env('DATABASE_URL')", "", "path: 'db/history',"),
      "db/history/1_other/migration.sql": "",
    });
    expect(manifest.migrations.map(({ name }) => name)).toEqual(["1_other"]);
  });

  it("finds .config/prisma.ts, whose paths count from its own directory", async () => {
    const { "prisma.config.ts": _, ...others } = prisma7;
    const text = config("env('DATABASE_URL')", "schema: '../prisma/schema.prisma',");
    const { manifest } = await inspect7({ ...others, ".config/prisma.ts": text });
    expect(manifest.database.variable).toBe("DATABASE_URL");
  });

  it("ignores package.json#prisma, as Prisma 7 does", async () => {
    const { "prisma.config.ts": _, ...others } = prisma7;
    const prisma = { seed: "node seed.js", schema: "nowhere.prisma" };
    const { manifest } = await inspect7({ ...others, "package.json": JSON.stringify({ prisma }) });
    expect(manifest.seed).toBeUndefined();
    expect(manifest.database).toEqual({ baseDirectory: "." });
  });

  it("says what a broken config says", async () => {
    const files = { ...prisma7, "prisma.config.ts": "throw new Error('no luck')" };
    await expect(inspect7(files)).rejects.toMatchObject({
      code: "E_CONFIG",
      message: expect.stringMatching(/"prisma\.config\.ts".*no luck/),
    });
  });

  it("asks for the app's dependencies where there is a config and no Prisma", async () => {
    const packageJson = JSON.stringify({ devDependencies: { prisma: "7" } });
    await expect(inspect({ ...prisma7, "package.json": packageJson })).rejects.toMatchObject({
      code: "E_CONFIG",
      message: 'Cannot load "prisma.config.ts": the app has no @prisma/config',
    });
  });
});

describe("inspectProject, with Prisma 6", () => {
  it("finds url, seed and start, and counts from the schema's directory (gap 5)", async () => {
    const { manifest, warnings } = await inspect(prisma6);
    expect(manifest).toMatchObject({
      appName: "old-app",
      prismaMajor: 6,
      database: { variable: "DATABASE_URL", baseDirectory: "prisma" },
      seed: "node prisma/seed.js",
      start: "node server.js",
    });
    expect(warnings).toEqual([]);
  });

  it("takes package.json#prisma.schema, also a folder, with the migrations beside the datasource (gap 6)", async () => {
    const packageJson = { dependencies: { "@prisma/client": "6" }, prisma: { schema: "db/schema" } };
    const { manifest, schemaFiles } = await inspect({
      "package.json": JSON.stringify(packageJson),
      "db/schema/a.prisma": "model A {\n id Int @id\n}\n",
      "db/schema/base/db.prisma": 'datasource db {\n provider = "sqlite"\n url = "file:../dev.db"\n}\n',
      "db/schema/base/migrations/1_init/migration.sql": "",
    });
    expect(manifest.database).toEqual({ literal: "file:../dev.db", baseDirectory: "db/schema" });
    expect(schemaFiles.map(({ path }) => path)).toEqual(["db/schema/a.prisma", "db/schema/base/db.prisma"]);
  });

  it("counts from the working directory where the app has a driver adapter", async () => {
    const dependencies = { "@prisma/client": "6", "@prisma/adapter-better-sqlite3": "6" };
    const { manifest } = await inspect({ ...prisma6, "package.json": JSON.stringify({ dependencies }) });
    expect(manifest.database.baseDirectory).toBe(".");
  });

  it("goes by what is installed before what package.json asks for", async () => {
    const { manifest } = await inspect({ ...prisma6, "node_modules/prisma/package.json": '{"version":"5.22.0"}' });
    expect(manifest.prismaMajor).toBe(5);
  });
});

describe("inspectProject", () => {
  it("takes another schema on demand", async () => {
    const files = { ...prisma6, "other/db.prisma": datasource6, "other/migrations/2_b/migration.sql": "" };
    const { manifest } = await inspect(files, "other/db.prisma");
    expect(manifest).toMatchObject({ database: { baseDirectory: "other" }, migrations: [{ name: "2_b" }] });
  });

  it.each([
    [
      "the seed's program is not installed",
      { prisma: { seed: "tsx seed.ts" } },
      /starts "tsx", which is not in node_modules/,
    ],
    ["the seed needs a shell", { prisma: { seed: "X=1 node seed.ts" } }, /starts "X=1", which is not in/],
  ])("warns where %s", async (_, more, warning) => {
    const packageJson = JSON.stringify({ dependencies: { prisma: "6" }, ...more });
    const { warnings } = await inspect({ ...prisma6, "package.json": packageJson });
    expect(warnings.map(({ text }) => text)).toEqual([expect.stringMatching(warning)]);
  });

  it("warns of a seed whose program is a development dependency", async () => {
    const packageJson = JSON.stringify({ devDependencies: { prisma: "6", tsx: "4" }, prisma: { seed: "tsx seed.ts" } });
    const files = { ...prisma6, "package.json": packageJson, "node_modules/.bin/tsx": "" };
    expect((await inspect(files)).warnings).toEqual([
      { about: "seed", text: expect.stringContaining('starts "tsx", a development dependency') },
    ]);
  });

  it("warns of a relative url that a variable falls back to, and of a query", async () => {
    const url = "process.env.DATABASE_URL ?? 'file:./dev.db?connection_limit=1'";
    const { warnings } = await inspect7({ ...prisma7, "prisma.config.ts": config(url) });
    expect(warnings).toEqual([
      { about: "unset url", text: expect.stringMatching(/^Where DATABASE_URL is not set, .* a relative path/) },
      { about: "url", text: expect.stringMatching(/has a query/) },
    ]);
  });

  it.each([
    [
      "no schema",
      without(prisma6, "prisma/schema.prisma"),
      "E_SCHEMA",
      /: looked for "schema\.prisma" and "prisma\/schema\.prisma"$/,
    ],
    [
      "a schema that is named and not there",
      { ...prisma6, "package.json": '{"dependencies":{"prisma":"6"},"prisma":{"schema":"x.prisma"}}' },
      "E_SCHEMA",
      /"x\.prisma" that package\.json names/,
    ],
    [
      "another provider",
      { ...prisma6, "prisma/schema.prisma": 'datasource db {\n  provider = "mysql"\n}' },
      "E_SCHEMA",
      /^prisma\/schema\.prisma:2: provider is "mysql"; flysqlite supports "sqlite"/,
    ],
    [
      "a schema that can't be read",
      { ...prisma6, "prisma/schema.prisma": "datasource db {" },
      "E_SCHEMA",
      /^prisma\/schema\.prisma:1: /,
    ],
    [
      "no datasource",
      { ...prisma6, "prisma/schema.prisma": "model A {\n}" },
      "E_SCHEMA",
      /no datasource|find a datasource block in "prisma\/schema\.prisma"/,
    ],
    [
      "no migrations directory",
      without(prisma6, ...Object.keys(migration)),
      "E_BUILD",
      /Cannot find any migration in "prisma\/migrations"/,
    ],
    [
      "a directory without a script",
      { ...prisma6, "prisma/migrations/2_x/down.sql": "" },
      "E_BUILD",
      /^prisma\/migrations\/2_x: P3015 Could not find the migration file at migration\.sql\./,
    ],
    [
      "another database's history",
      { ...prisma6, "prisma/migrations/migration_lock.toml": 'provider = "mysql"' },
      "E_BUILD",
      /^prisma\/migrations: P3019 The datasource provider `sqlite` .* `mysql`/,
    ],
    [
      "Prisma 8",
      { ...prisma6, "package.json": '{"dependencies":{"prisma":"8.0.0-rc.1"}}' },
      "E_BUILD",
      /Cannot build for Prisma 8/,
    ],
    ["no Prisma", without(prisma6, "package.json"), "E_BUILD", /Cannot tell the app's version of Prisma/],
    [
      "a package.json that is no JSON",
      { ...prisma6, "package.json": "{" },
      "E_CONFIG",
      /Cannot read ".*package\.json"/,
    ],
  ])("refuses a project with %s", async (_, files, code, message) => {
    await expect(inspect(files)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it("refuses a second datasource in another file of a schema folder", async () => {
    const files = { ...prisma6, "db/a.prisma": datasource, "db/b.prisma": `\n${datasource}` };
    await expect(inspect(files, "db")).rejects.toMatchObject({
      code: "E_SCHEMA",
      message: 'db/b.prisma:2: a second datasource block; the first is in "db/a.prisma"',
    });
  });

  it("says how to make the first migration", async () => {
    await expect(inspect(without(prisma6, ...Object.keys(migration)))).rejects.toMatchObject({
      hint: expect.stringContaining("npx prisma migrate dev --name init"),
    });
  });
});

async function inspect(files: Files, schema?: string) {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(appDirectory, path)), { recursive: true });
    writeFileSync(join(appDirectory, path), text);
  }
  return inspectProject({ appDirectory, schema });
}

/** With the Prisma that this repository has. */
async function inspect7(files: Files) {
  mkdirSync(join(appDirectory, "node_modules"), { recursive: true });
  symlinkSync(join(NODE_MODULES, "prisma"), join(appDirectory, "node_modules/prisma"));
  return inspect(files);
}

/** A prisma.config.ts, as people write it. */
function config(url: string, more = "", migrations = ""): string {
  return `
    import { defineConfig, env } from 'prisma/config'
    export default defineConfig({
      ${more}
      migrations: { ${migrations} seed: 'node prisma/seed.ts' },
      datasource: { url: ${url} },
    })
  `;
}

function without(files: Files, ...paths: readonly string[]): Files {
  return Object.fromEntries(Object.entries(files).filter(([path]) => !paths.includes(path)));
}
