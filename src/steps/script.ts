// A command as scripts of package.json are written, found: executed by itself where it is plain words, by a shell where
// it is not, with the tools of the app's own packages.

import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { FlysqliteError } from "../base/errors.ts";

export type Script = { readonly file: string; readonly arguments: readonly string[] };

export type ScriptPlace = {
  readonly appDirectory: string;
  /** The PATH variable. */
  readonly path: string;
  /** What the program is for, to say what could not be done: "launch the app". */
  readonly what: string;
  /** More about why this program is needed, for a message that it is not there. */
  readonly why?: string;
};

/** A script with any of these needs a shell. */
const SHELL_SYNTAX = /[|&;<>()$`\\"'*?[\]#~=%!{}\n]|^\s*exec\s/;

/** What the shell's `exec` can't stand before: it would run the first of several commands, and take an assignment for one. */
const SEVERAL_COMMANDS = /[|&;(){}!\n]|^\s*(?:\w+=|exec\s)/;

export const SHELL = "/bin/sh";

export function needsShell(script: string): boolean {
  return SHELL_SYNTAX.test(script);
}

/** For a shell: where the script is one command, it takes the shell's place, so that signals and status are its own. */
export function oneLine(script: string): string {
  return SEVERAL_COMMANDS.test(script) ? script : `exec ${script}`;
}

/** Finds what executes the script. Throws E_COMMAND_NOT_FOUND or E_COMMAND_NOT_EXECUTABLE. */
export function findScript(script: string, place: ScriptPlace): Script {
  if (needsShell(script)) {
    // As package managers do it, the script finds the tools of the app's own packages.
    const line = `PATH="$PWD/node_modules/.bin:$PATH"; ${oneLine(script)}`;
    return { file: findProgram(SHELL, place), arguments: ["-c", line] };
  }
  const [program = "", ...scriptArgs] = script.trim().split(/\s+/);
  const path = [join(place.appDirectory, "node_modules/.bin"), place.path].join(delimiter);
  return { file: findProgram(program, { ...place, path }), arguments: scriptArgs };
}

/** The program's path: as given where it has a slash, else from PATH, as execvp does. */
export function findProgram(name: string, { appDirectory, path, what, why = "" }: ScriptPlace): string {
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
    throw new FlysqliteError("E_COMMAND_NOT_EXECUTABLE", `Cannot ${what}: "${refused}" is not executable`);
  const where = name.includes("/") ? `"${places[0]}" is not there` : `"${name}" is in none of ${path}`;
  throw new FlysqliteError("E_COMMAND_NOT_FOUND", `Cannot ${what}: ${where}${why}`);
}
