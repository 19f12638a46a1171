// An app's executable, from the app's directory: what `flysqlite build` does, and `npm run build` for the tests' app.

import { info, type Log, warn } from "../src/base/events.ts";
import { formatBytes } from "../src/base/format.ts";
import { inspectProject } from "../src/prisma/project.ts";
import { makeExecutable } from "./make-executable.ts";
import type { Template } from "./make-template.ts";
import { packBundle } from "./pack-bundle.ts";
import { proveMigrations } from "./prove-migrations.ts";
import { inspectNode, targetName } from "./target.ts";

export type BuildSettings = {
  readonly appDirectory: string;
  /** Path of the schema or its directory, where it isn't at one of Prisma's usual places. */
  readonly schema?: string;
  /** Path of the executable to make. */
  readonly out: string;
  /** Path of the Node to build on. */
  readonly node: string;
  /** Directory of the bundled program. */
  readonly program: string;
  /** False where a first start is to apply the migrations one by one. Default: true. */
  readonly template?: boolean;
};

/** Makes an executable that carries no app: it reads the one in the directory where it is started. */
export async function buildBare(
  { out, node: path, program }: Pick<BuildSettings, "out" | "node" | "program">,
  log: Log,
): Promise<void> {
  const node = await inspectNode(path);
  const { sizeBytes, unrehearsed } = await makeExecutable({ program, bundle: undefined, node, out });
  tellUnrehearsed(unrehearsed, log);
  log(info("build", `wrote ${out}, ${Math.round(sizeBytes / 1e6)} MB, which carries no app`));
}

/** Makes the executable, and tells what it finds while it does. Throws before it writes where something is wrong. */
export async function buildApp(settings: BuildSettings, log: Log): Promise<void> {
  const { appDirectory, schema, out, program } = settings;
  const node = await inspectNode(settings.node);
  const project = await inspectProject({ appDirectory, schema });
  const { manifest, schemaFiles, migrations, lockFile, warnings } = project;
  log(info("build", `schema: ${schemaFiles.map(({ path }) => path).join(", ")}`));
  log(info("build", `seed: ${manifest.seed ?? "none"}`));
  log(info("build", `start: ${manifest.start ?? "none, so the image's CMD has to say what to run"}`));
  for (const { text } of warnings) log(warn("build", text));

  const made = await proveMigrations(migrations, lockFile);
  log(info("build", `migrations: ${migrations.length}, which apply to an empty database`));
  const template = settings.template !== false && "bytes" in made ? made.bytes : undefined;
  log(info("build", `template: ${describeTemplate(made, template)}`));

  const bundle = packBundle({ manifest, schemaFiles, migrations, lockFile, template });
  const { sizeBytes, stripped, unrehearsed } = await makeExecutable({ program, bundle, node, out });
  log(info("build", `node: ${node.version}, ${targetName(node.target)}${stripped ? ", stripped" : ""}`));
  if (!stripped) log(info("build", "not stripped: with binutils in the build stage it would be 18 MB smaller"));
  tellUnrehearsed(unrehearsed, log);
  log(info("build", `wrote ${out}, ${Math.round(sizeBytes / 1e6)} MB`));
}

function tellUnrehearsed(why: string | undefined, log: Log): void {
  if (why !== undefined) log(warn("build", `its starts take a little longer, as none could be rehearsed: ${why}`));
}

function describeTemplate(made: Template, used: Uint8Array | undefined): string {
  if (used !== undefined) return `a database of ${formatBytes(used.byteLength)}, which a first start begins with`;
  const why = "whyNone" in made ? made.whyNone : "--no-template";
  return `none, so a first start applies the migrations one by one: ${why}`;
}
