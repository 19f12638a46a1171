// A project as `init` sees it, without a disk: for tests of what is decided by one fact or another.

import type { Found, PackageFile } from "../../../src/init/facts.ts";

/** Found, with the parts that a test is about. */
export function found({
  package: app = {},
  texts = {},
  names = [],
  ...more
}: Partial<Omit<Found, "package" | "texts" | "names">> & {
  readonly package?: Partial<Omit<PackageFile, "scripts" | "dependencies" | "devDependencies">> & {
    readonly scripts?: Readonly<Record<string, string>>;
    readonly dependencies?: readonly string[];
    readonly devDependencies?: readonly string[];
  };
  readonly texts?: Readonly<Record<string, string>>;
  readonly names?: readonly string[];
} = {}): Found {
  const { scripts = {}, dependencies = [], devDependencies = [], ...rest } = app;
  return {
    package: {
      scripts: new Map(Object.entries(scripts)),
      dependencies: new Set(dependencies),
      devDependencies: new Set(devDependencies),
      ...rest,
    },
    names: new Set([...names, ...Object.keys(texts)]),
    texts: new Map(Object.entries(texts)),
    project: {
      manifest: {
        formatVersion: 1,
        flysqliteVersion: "1.2.3",
        prismaMajor: 6,
        database: { variable: "DATABASE_URL", baseDirectory: "prisma" },
        migrations: [],
      },
      schemaFiles: [],
      migrations: [{ name: "1_init", sql: "SELECT 1" }],
      migrationsDirectory: "prisma/migrations",
      warnings: [],
    },
    ...more,
  };
}
