// `npm run build`: the program, the npm package's command, and the executable of the app that the tests run.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { toFlysqliteError } from "../src/base/errors.ts";
import { createLog, renderFailure } from "../src/cli/render-event.ts";
import { buildApp } from "./build-app.ts";
import { bundleCommand, bundleLauncher, bundleProgram } from "./bundle-program.ts";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");

try {
  await mkdir(dist, { recursive: true });
  await Promise.all([
    bundleProgram({ source: join(root, "src"), out: dist }),
    bundleLauncher({ source: join(root, "build/launch.ts"), out: join(dist, "launch.cjs") }),
    bundleCommand({ source: join(root, "build/npx.ts"), out: join(dist, "npx.mjs") }),
  ]);
  await buildApp(
    { appDirectory: join(root, "test/app"), out: join(dist, "flysqlite"), node: process.execPath, program: dist },
    createLog("text", (line) => void process.stdout.write(`${line}\n`)),
  );
} catch (error) {
  for (const line of renderFailure(toFlysqliteError(error), "text")) process.stderr.write(`${line}\n`);
  process.exitCode = 1;
}
