// V8's code cache of each part of the program after a start: the functions that a warm start calls, compiled. Taken of
// parts that were only compiled it holds none of them, and a start takes 8 % longer. One of all functions needs no
// rehearsal, but it is three times as large, gains less, and costs each process 2 MB of memory.
//
// The start is that of a small project of our own, with a volume and a bucket of its own: an app that is being built
// is not run. It ends at the same call each time, and V8 is seeded alike, so that the same program gives the same bytes.

import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe } from "../src/base/errors.ts";
import { KEEPER_ROLE } from "../src/base/roles.ts";
import { startBucket } from "./rehearsal-bucket.ts";

export type Rehearsal = {
  /** Directory of the bundles: `main.cjs`, `others.cjs`, `launch.cjs`. */
  readonly program: string;
  /** Path of the Node that the executable will be, and its options: a cache fits no other. */
  readonly node: string;
  readonly options: readonly string[];
  /** Where the start leaves what it makes. */
  readonly directory: string;
};

/** The paths of the two, in the directory. */
export type Caches = { readonly main: string; readonly others: string };

export type Rehearsed = { readonly caches: Caches } | { readonly whyNone: string };

export async function rehearse(rehearsal: Rehearsal): Promise<Rehearsed> {
  const { program, node, options, directory } = rehearsal;
  const app = join(directory, "app");
  const volume = join(directory, "volume");
  const bundle = (name: string) => join(program, name);
  const caches = { main: join(directory, "main.cache"), others: join(directory, "others.cache") };
  try {
    await Promise.all([writeProject(app), mkdir(volume)]);
    await using bucket = await startBucket();
    const env = { ...bucket.environment, FLYSQLITE_VOLUME: volume };
    const run = (...words: readonly string[]) =>
      promisify(execFile)(node, [...options, ...words], { cwd: app, env, timeout: TIMEOUT_MS });
    const command = [node, "--version"];
    await run(bundle("main.cjs"), ...command); // a first start, which makes and replicates the database
    await run(bundle("launch.cjs"), bundle("main.cjs"), caches.main, ...command);
    await run(bundle("launch.cjs"), bundle("others.cjs"), caches.others, KEEPER_ROLE, ...command);
    return { caches };
  } catch (error) {
    return { whyNone: describe(error) };
  }
}

/** Each of the three takes less than a second. */
const TIMEOUT_MS = 60_000;

async function writeProject(directory: string): Promise<void> {
  const migration = join(directory, "prisma/migrations/20250101000000_init");
  const prisma = join(directory, "node_modules/prisma"); // its own: the place of the build may be in a project
  await Promise.all([mkdir(migration, { recursive: true }), mkdir(prisma, { recursive: true })]);
  await Promise.all([
    writeFile(join(directory, "package.json"), '{ "name": "rehearsal", "type": "module" }'),
    writeFile(join(prisma, "package.json"), '{ "name": "prisma", "version": "6.19.3" }'),
    writeFile(join(directory, "prisma/schema.prisma"), SCHEMA),
    writeFile(join(directory, "prisma/migrations/migration_lock.toml"), 'provider = "sqlite"\n'),
    writeFile(join(migration, "migration.sql"), 'CREATE TABLE "Note" ("id" INTEGER NOT NULL PRIMARY KEY);\n'),
  ]);
}

const SCHEMA = `datasource db {
  provider = "sqlite"
  url      = "file:./dev.db"
}
`;
