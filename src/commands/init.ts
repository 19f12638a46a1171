// `flysqlite init`: looks at the project, shows what it would write, asks, and writes. What to write is decided in
// init/, by pure functions.

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FlysqliteError } from "../base/errors.ts";
import { version } from "../base/version.ts";
import type { CommandLine } from "../cli/arguments.ts";
import { detect } from "../init/detect.ts";
import { unifiedDiff } from "../init/diff.ts";
import type { ProjectFacts } from "../init/facts.ts";
import { look } from "../init/look.ts";
import { changesOf, type FileChange, makeFiles, type Plan } from "../init/make-files.ts";

export type InitWords = Omit<Extract<CommandLine, { kind: "init" }>, "kind">;

export type InitContext = {
  readonly appDirectory: string;
  /** Takes what was asked for. */
  readonly print: (text: string) => void;
  /** Takes what is said besides. */
  readonly tell: (text: string) => void;
  /** Asks a person; undefined where there is none, as in CI. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
};

/** Throws FlysqliteError, also where there is something to write and nobody to ask. */
export async function initCommand(words: InitWords, context: InitContext): Promise<void> {
  const { appDirectory, print, tell, ask } = context;
  const found = await look({ appDirectory, schema: words.schema });
  const facts = detect(found, version);
  const plan = makeFiles(facts, found.texts, words);
  const changes = changesOf(plan);
  if (words.stdout) {
    for (const { path, after } of plan.files) print(`# ==== ${path}\n${after}`);
    tell(renderRest(plan));
    return;
  }

  print(describeProject(facts));
  for (const { path, before, after } of changes) print(`\n${unifiedDiff(path, before, after).join("\n")}\n`);
  print(renderRest(plan));
  if (changes.length === 0) {
    print(plan.byHand.length === 0 ? "\nNothing to change\n" : "\nNothing else to change\n");
    return;
  }
  if (words.dry) {
    print(`\nNothing was written: --dry\n`);
    return;
  }
  if (!words.yes && !(await isWanted(changes, ask))) {
    print("Nothing was written\n");
    return;
  }
  for (const { path, after } of changes) {
    const file = join(appDirectory, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, after);
  }
  print(`\n${changes.map(({ path, before }) => `${before === undefined ? "wrote" : "changed"} ${path}\n`).join("")}`);
  print(nextSteps(facts));
}

async function isWanted(changes: readonly FileChange[], ask: InitContext["ask"]): Promise<boolean> {
  const names = changes.map(({ path }) => path).join(", ");
  if (ask === undefined) {
    throw new FlysqliteError("E_USAGE", `Nothing was written: there is no terminal to ask whether to write ${names}`, {
      hint: "Add --yes to write what is shown above, or --dry to only look",
    });
  }
  return /^(?:y|yes)?$/i.test((await ask(`\nWrite ${names}? [Y/n] `)).trim());
}

/** What was found, and what the image will do by it. */
function describeProject({ name, framework, packageManager, node, prisma, database }: ProjectFacts): string {
  const manager = [packageManager.name, packageManager.version].filter((part) => part !== undefined).join(" ");
  const place = prisma.major >= 7 ? "prisma.config" : "the schema";
  const by = database.variable === undefined ? `the url in ${place}` : database.variable.name;
  const here = database.path === undefined ? "" : `, here ${database.path}`;
  const rows = [
    ["app", `${name ?? "without a name"}: ${framework.name}, Prisma ${prisma.major}, ${manager}, Node ${node.tag}`],
    ["database", `${database.name} on the volume, by ${by}${here}`],
    ["migrations", `${prisma.migrationCount} in ${prisma.migrationsDirectory}`],
    ["seed", prisma.seed ?? "none"],
    ["start", `${framework.command.join(" ")}, on port ${framework.port}`],
  ];
  return rows.map(([what = "", text = ""]) => `${what.padEnd(11)}${text}\n`).join("");
}

/** What is left to a person: files that were left alone, and notes. */
function renderRest({ byHand, notes }: Plan): string {
  const files = byHand.map(
    ({ path, why, lines, canForce }) =>
      `\n${path} is left alone: ${why}. ` +
      `Put these lines where they belong${canForce ? ", or make the file anew with --force" : ""}:\n` +
      lines.map((line) => `    ${line}\n`).join(""),
  );
  return [...files, ...(notes.length === 0 ? [] : ["\n"]), ...notes.map((note) => `note: ${note}\n`)].join("");
}

function nextSteps({ framework: { port } }: ProjectFacts): string {
  return `
Next
  docker build -t app . && docker run --rm -v app-data:/data -p ${port}:${port} app
  docker run --rm -v app-data:/data app run --dry   what a start would do, and why
On Fly
  fly launch --no-deploy                            takes over what fly.toml has
  fly storage create                                the bucket for the replica, and its secrets
  fly deploy
`;
}
