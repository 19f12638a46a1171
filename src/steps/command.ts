// The app's command, as it will be executed: without a package manager where that would only start a script.

import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { FlysqliteError } from "../base/errors.ts";
import type { AppCommand } from "../plan/facts.ts";
import { type PackageFacts, type Resolution, resolvePackageCommand } from "../plan/package-command.ts";
import type { Manifest } from "../prisma/manifest.ts";
import { readPackageFacts } from "./package-facts.ts";
import { findProgram, needsShell, oneLine, SHELL } from "./script.ts";

/** Scripts that only start another one are followed so far. */
const MAX_DEPTH = 5;

export type CommandSources = {
  /** Empty where the start script is meant. */
  readonly command: readonly string[];
  readonly manifest: Manifest;
  readonly appDirectory: string;
  readonly environment: NodeJS.ProcessEnv;
  /** A package manager is started also where it would only start something else. */
  readonly keepPackageManager: boolean;
};

/**
 * Finds the program that the command names. Throws E_COMMAND_NOT_FOUND or E_COMMAND_NOT_EXECUTABLE.
 *
 * With no command the start script of package.json runs. A script runs by itself where it is plain words, and by a
 * shell where it is not.
 */
export function findCommand({
  command,
  manifest,
  appDirectory,
  environment,
  keepPackageManager,
}: CommandSources): AppCommand {
  const path = environment["PATH"] ?? "";
  const read = readPackageFacts(appDirectory, environment);
  // The manifest knows the start script also where the image has no package.json.
  const facts: PackageFacts =
    read.scripts?.["start"] === undefined && manifest.start !== undefined
      ? { ...read, scripts: { ...read.scripts, start: manifest.start } }
      : read;
  const place: Place = { appDirectory, path, toolPath: toolPath(appDirectory, path), facts };
  if (command.length > 0) return keepPackageManager ? asItIs(command, place) : find(command, place);
  if (facts.scripts?.["start"] === undefined) {
    throw new FlysqliteError(
      "E_COMMAND_NOT_FOUND",
      "Cannot launch the app: there is no command, and package.json has no start script",
    );
  }
  return { ...find(["npm", "start"], place), source: "package.json#scripts.start" };
}

/** Where programs are looked for. */
type Place = {
  readonly appDirectory: string;
  /** The PATH variable. */
  readonly path: string;
  /** The same, with the tools of the app's packages before it. */
  readonly toolPath: string;
  readonly facts: PackageFacts;
};

function find(command: readonly string[], place: Place, depth = 0): AppCommand {
  const resolution = depth < MAX_DEPTH ? resolvePackageCommand(command, place.facts) : ({ kind: "as it is" } as const);
  switch (resolution.kind) {
    case "as it is":
      return asItIs(command, place);
    case "kept":
      return asItIs(command, place, `, and it can't be left out: ${resolution.why}`);
    case "tool":
      return findTool(resolution, { command, place });
    case "scripts":
      return findScripts(resolution, { command, place, depth });
  }
}

function asItIs([name = "", ...args]: readonly string[], place: Place, why = ""): AppCommand {
  const file = findOurs(name, place, why);
  return { ...interpreted({ file, args }, place), environment: {}, source: "the command line" };
}

/** A tool that is not there is left to the package manager, which may fetch it. */
function findTool(
  { name, arguments: args }: Extract<Resolution, { kind: "tool" }>,
  { command, place }: { readonly command: readonly string[]; readonly place: Place },
): AppCommand {
  const { appDirectory, toolPath: path } = place;
  const tools = binDirectories(appDirectory).map((directory) => join(directory, name));
  const file = tools.find((tool) => existsSync(tool));
  if (file === undefined) return asItIs(command, place);
  const found = findOurs(file, place);
  return {
    ...interpreted({ file: found, args }, place),
    environment: { PATH: path },
    source: `node_modules/.bin, for ${command.join(" ")}`,
  };
}

function findScripts(
  { scripts, environment }: Extract<Resolution, { kind: "scripts" }>,
  { command, place, depth }: { readonly command: readonly string[]; readonly place: Place; readonly depth: number },
): AppCommand {
  const variables = { PATH: place.toolPath, ...environment };
  const event = environment["npm_lifecycle_event"] ?? "";
  const source = `package.json#scripts.${event}, for ${command.join(" ")}`;
  const inner: Place = { ...place, path: place.toolPath };
  const [first, ...others] = scripts;
  if (first === undefined || others.length > 0 || needsShell(first.script)) {
    const line = others.length > 0 ? chain(scripts) : oneLine(first?.script ?? "");
    return { file: findOurs(SHELL, inner), arguments: ["-c", line], environment: variables, source };
  }
  const found = find(first.script.trim().split(/\s+/), inner, depth + 1);
  return { ...found, environment: { ...variables, ...found.environment }, source };
}

/**
 * Each script as in a shell of its own. The shell stays if one follows after the app, and then outlives the signals
 * that the app's group gets, as a package manager does.
 */
function chain(scripts: readonly { readonly event: string; readonly script: string }[]): string {
  const stays = scripts.at(-1)?.event.startsWith("post") === true;
  const parts = scripts.map(({ event, script }, at) => {
    const isLast = at === scripts.length - 1;
    return isLast && !stays ? oneLine(script) : `(\nnpm_lifecycle_event=${event}\n${script}\n)`;
  });
  return `${stays ? "trap : HUP INT QUIT TERM\n" : ""}${parts.join(" && ")}`;
}

/** node_modules/.bin of the app's directory and of those above it, as far as they are there. */
function binDirectories(directory: string): readonly string[] {
  const above = dirname(directory) === directory ? [] : binDirectories(dirname(directory));
  const own = join(directory, "node_modules/.bin");
  return existsSync(own) ? [own, ...above] : above;
}

function toolPath(appDirectory: string, path: string): string {
  return [...binDirectories(appDirectory), path].join(delimiter);
}

const NODE_SCRIPT = /^#!\s*\/usr\/bin\/env\s+node\s*$/;

/** A script for Node, where the image lacks the program that would find Node for it. */
function interpreted(
  { file, args }: { readonly file: string; readonly args: readonly string[] },
  place: Place,
): { readonly file: string; readonly arguments: readonly string[] } {
  if (existsSync("/usr/bin/env") || !NODE_SCRIPT.test(firstLine(file))) return { file, arguments: args };
  return { file: findOurs("node", place), arguments: [file, ...args] };
}

function firstLine(path: string): string {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(128);
    return bytes.toString("latin1", 0, readSync(file, bytes)).split("\n")[0] ?? "";
  } finally {
    closeSync(file);
  }
}

function findOurs(name: string, { appDirectory, path }: Place, why = ""): string {
  return findProgram(name, { appDirectory, path, what: "launch the app", why });
}
