// The app's command, as it will be executed: without npm where npm would only start a script.

import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { FlysqliteError } from "../base/errors.ts";
import type { Facts } from "../plan/facts.ts";
import type { Manifest } from "../prisma/manifest.ts";

/** What package managers write for the start script. */
const START_SCRIPT = /^(?:npm|pnpm|yarn|bun) (?:run )?start$/;

/** A script with any of these needs a shell. */
const SHELL_SYNTAX = /[|&;<>()$`\\"'*?[\]#~=%!{}\n]|^\s*exec\s/;

/** What the shell's `exec` can't stand before: it would run the first of several commands, and take an assignment for one. */
const SEVERAL_COMMANDS = /[|&;(){}!\n]|^\s*(?:\w+=|exec\s)/;

const SHELL = "/bin/sh";

/**
 * Finds the program that the command names. Throws E_COMMAND_NOT_FOUND or E_COMMAND_NOT_EXECUTABLE.
 *
 * With no command, and for `npm run start` and its like, the start script of package.json runs, by itself where
 * it is plain words, by a shell where it is not.
 */
export function findCommand({
  command,
  manifest,
  appDirectory,
  path,
}: {
  readonly command: readonly string[];
  readonly manifest: Manifest;
  readonly appDirectory: string;
  /** The PATH variable. */
  readonly path: string;
}): Facts["command"] {
  const [name, ...args] = command;
  if (name !== undefined && !(START_SCRIPT.test(command.join(" ")) && manifest.start !== undefined)) {
    return { file: findProgram(name, { appDirectory, path }), arguments: args, source: "the command line" };
  }
  const script = manifest.start;
  if (script === undefined) {
    throw new FlysqliteError(
      "E_COMMAND_NOT_FOUND",
      "Cannot launch the app: there is no command, and package.json has no start script",
    );
  }
  const scriptPath = [join(appDirectory, "node_modules/.bin"), path].join(delimiter);
  const source =
    name === undefined ? "package.json#scripts.start" : `package.json#scripts.start, for ${command.join(" ")}`;
  if (SHELL_SYNTAX.test(script)) {
    // As package managers do it, the script finds the tools of the app's own packages.
    const line = `PATH="$PWD/node_modules/.bin:$PATH"; ${SEVERAL_COMMANDS.test(script) ? script : `exec ${script}`}`;
    return { file: findProgram(SHELL, { appDirectory, path }), arguments: ["-c", line], source };
  }
  const [program = "", ...scriptArgs] = script.trim().split(/\s+/);
  return { file: findProgram(program, { appDirectory, path: scriptPath }), arguments: scriptArgs, source };
}

/** The program's path: as given where it has a slash, else from PATH, as execvp does. */
function findProgram(
  name: string,
  { appDirectory, path }: { readonly appDirectory: string; readonly path: string },
): string {
  const places = name.includes("/")
    ? [resolve(appDirectory, name)]
    : path.split(delimiter).map((directory) => resolve(appDirectory, directory, name));
  let refused: string | undefined;
  for (const place of places) {
    if (!statSync(place, { throwIfNoEntry: false })?.isFile()) continue;
    try {
      accessSync(place, constants.X_OK);
      return place;
    } catch {
      refused ??= place;
    }
  }
  if (refused !== undefined)
    throw new FlysqliteError("E_COMMAND_NOT_EXECUTABLE", `Cannot launch the app: "${refused}" is not executable`);
  const where = name.includes("/") ? `"${places[0]}" is not there` : `"${name}" is in none of ${path}`;
  throw new FlysqliteError("E_COMMAND_NOT_FOUND", `Cannot launch the app: ${where}`);
}
