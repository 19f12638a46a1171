// Small Prisma projects, as files. The app in them stands for Prisma's client: it opens the file that the client of
// that version would open (see notes-app.mts), so that flysqlite has to find the same one.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Contents by path; a path that ends with "/" is an empty directory. */
export type Files = { readonly [path: string]: string };

export function writeFiles(directory: string, files: Files): void {
  mkdirSync(directory, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(directory, path.endsWith("/") ? path : dirname(path)), { recursive: true });
    if (!path.endsWith("/")) writeFileSync(join(directory, path), content);
  }
}

export const INIT = "20250101000000_init";

export const INIT_SQL = 'CREATE TABLE "Note" ("id" INTEGER NOT NULL PRIMARY KEY, "text" TEXT NOT NULL);\n';

/** The datasource block of a schema. `url` is as it stands there: `"file:./dev.db"`, `env("DATABASE_URL")`. */
export const datasource = (url?: string) =>
  `datasource db {\n  provider = "sqlite"\n${url === undefined ? "" : `  url = ${url}\n`}}\n`;

/** A project on Prisma 6 with the engine of its own. `url` is as in datasource(). */
export function prisma6(url: string, more: Files = {}): Files {
  const literal = /^"(.*)"$/.exec(url)?.[1];
  return {
    "package.json": JSON.stringify({
      name: "notes",
      scripts: { start: `node notes-app.mts serve engine ${literal ?? ""}`.trim() },
      devDependencies: { prisma: "6.19.3" },
    }),
    "notes-app.mts": notesApp(),
    "prisma/schema.prisma": datasource(url),
    ...migrationFiles("prisma/migrations"),
    ...more,
  };
}

/** A project on Prisma 7, with a driver adapter, a config, a schema folder, and its seed where Prisma 7 has it. */
export function prisma7(url: string): Files {
  return {
    "node_modules/": "",
    "package.json": JSON.stringify({
      name: "notes",
      type: "module",
      scripts: { start: `node notes-app.mts serve adapter ${url}` },
    }),
    "prisma.config.ts": `import { defineConfig } from "prisma/config";
export default defineConfig({
  schema: "prisma/schema",
  migrations: { path: "prisma/migrations", seed: "node notes-app.mts seed adapter ${url}" },
  datasource: { url: "${url}" },
});
`,
    "notes-app.mts": notesApp(),
    "prisma/schema/main.prisma": datasource(),
    "prisma/schema/note.prisma": "model Note {\n  id Int @id\n  text String\n}\n",
    ...migrationFiles("prisma/migrations"),
  };
}

function migrationFiles(directory: string): Files {
  return {
    [`${directory}/migration_lock.toml`]: 'provider = "sqlite"\n',
    [`${directory}/${INIT}/migration.sql`]: INIT_SQL,
  };
}

function notesApp(): string {
  return readFileSync(join(import.meta.dirname, "notes-app.mts"), "utf8");
}
