// What a start of the image would do, as `flysqlite run --dry` tells it: with the variables and the command that `init`
// wrote, over the project itself, as nothing can be built here.

import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { survey } from "../../../src/commands/survey.ts";
import { detect } from "../../../src/init/detect.ts";
import { dockerEnvironment, execWords, splitDockerfile } from "../../../src/init/dockerfile-lines.ts";
import { look } from "../../../src/init/look.ts";
import { makeFiles } from "../../../src/init/make-files.ts";
import { loadDriver } from "../../../src/sqlite/load-driver.ts";
import { stepContext } from "../../support/step-context.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { settings } from "../plan/facts.ts";
import { SKELETON_NAMES, writeSkeleton } from "./skeletons.ts";

const assets = { read: () => undefined };
const driver = loadDriver({ assets, temporaryDirectories: [], log: () => {} });

/** Programs of packages that an image would have. */
const PROGRAMS = ["bun", "fastify", "next", "react-router-serve", "remix-serve"];

it.each(SKELETON_NAMES)("a start of the image would go ahead, on %s", async (name) => {
  using directory = temporaryDirectory();
  const [app, volume] = [join(directory.path, "app"), join(directory.path, "volume")];
  writeSkeleton(app, name);
  mkdirSync(volume);
  const found = await look({ appDirectory: app });
  const { files } = makeFiles(detect(found, "1.2.3"), found.texts, { force: false, litestreamYml: false });
  const { instructions } = splitDockerfile(files.find(({ path }) => path === "Dockerfile")?.after ?? "");
  const command = execWords(instructions.findLast(({ keyword }) => keyword === "CMD")?.value ?? "") ?? [];

  const programs = join(app, "node_modules/.bin");
  mkdirSync(programs, { recursive: true });
  for (const program of PROGRAMS) {
    writeFileSync(join(programs, program), "#!/bin/sh\n");
    chmodSync(join(programs, program), 0o755);
  }
  const environment = {
    ...Object.fromEntries(dockerEnvironment(instructions)),
    PATH: `${programs}:${dirname(process.execPath)}`,
  };
  const report = await survey(
    stepContext({
      settings: { ...settings, appDirectory: app, volume: { value: volume, source: "--volume" }, command },
      environment,
      sqlite: () => driver,
      isOffline: true,
    }),
    { user: { name: "node", source: "FLYSQLITE_USER", isRoot: false, isKnown: true }, settings: [] },
  );
  expect(report.problems.map(({ code, message }) => `${code}: ${message}`)).toEqual([]);
  expect(report.exitStatus).toBe(0);
  expect(report.steps.map(({ step }) => step)).toEqual(expect.arrayContaining(["link", "migrate", "launch"]));
});
