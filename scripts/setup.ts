// Generates the test app's Prisma client when it is missing, or older than its schema or than Prisma itself. Says
// nothing when there is nothing to do. `npm run setup`; also the first step of build, test and demo.
//
// It works without a network: `prisma generate` has no use for the schema engine, but the CLI downloads it before
// any command unless PRISMA_SCHEMA_ENGINE_BINARY names a file, so it is given one that is there and is never started.
// Source: Prisma 7.10, https://www.prisma.io/docs/orm/reference/environment-variables-reference

import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { systemCode } from "../src/base/errors.ts";

/** It takes about 1 s; this only keeps a CLI that waits for something from holding up a build for good. */
const TIMEOUT_MS = 120_000;

const app = join(import.meta.dirname, "../test/app");
const prisma = createRequire(join(app, "package.json")).resolve("prisma/package.json");
const sources = [join(app, "prisma/schema.prisma"), prisma];

const generatedMs = await modifiedMs(join(app, "generated/client.ts"));
const sourcesMs = await Promise.all(sources.map(modifiedMs));
if (sourcesMs.some((ms) => ms > generatedMs)) {
  const cli = join(dirname(prisma), "build/index.js");
  await promisify(execFile)(process.execPath, [cli, "generate", "--no-hints"], {
    cwd: app,
    timeout: TIMEOUT_MS,
    env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, CHECKPOINT_DISABLE: "1" },
  });
  process.stderr.write("setup: generated the test app's Prisma client\n");
}

/** When the file was last written, in milliseconds since 1970; 0 where there is none. */
async function modifiedMs(path: string): Promise<number> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return 0;
    throw error;
  }
}
