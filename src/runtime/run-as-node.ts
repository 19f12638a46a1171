// This executable as Node, for an image that has none: called by the name `node`, it runs the app's script. All of
// Node is in here; an executable's own main script only takes the place of the one that is named on the command line.
// Source: Node.js 24, lib/internal/modules/run_main.js, lib/internal/process/execution.js

import { existsSync, realpathSync } from "node:fs";
import Module, { createRequire } from "node:module";
import { delimiter, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { runInThisContext } from "node:vm";
import { type NodeEntry, OPTIONS_WORD, OWN_LIMITS, optionsWith, parseNodeWords } from "./node-words.ts";

/** How Node ends where its command line is wrong. */
const EXIT_STATUS_BAD_WORDS = 9;

/** Runs what the words after `node` name, in this very process. */
export async function runAsNode(words: readonly string[], process: NodeJS.Process): Promise<void> {
  const { envFiles, entry } = parseNodeWords(words);
  const wanted = optionsWith(process.env["NODE_OPTIONS"], words);
  if (!OWN_LIMITS.every((limit) => process.execArgv.includes(limit))) {
    // Options are for Node's start, so it starts once more, as the same process. A channel to a parent would not
    // live through it: a child that was given no options of ours runs within flysqlite's limits.
    const called = process.argv[1] ?? "node";
    if (process.env["NODE_CHANNEL_FD"] === undefined && !words[0]?.startsWith(OPTIONS_WORD))
      process.execve?.(process.execPath, [called, `${OPTIONS_WORD}${wanted}`, ...words], definedIn(process.env));
  }
  for (const { path, required } of envFiles) if (required || existsSync(path)) process.loadEnvFile(path);
  const imports = importsIn(process.execArgv);
  // So that child_process.fork, which starts process.execPath with process.execArgv, starts Node and not flysqlite.
  process.execPath = findOwnName(process);
  process.execArgv = [`${OPTIONS_WORD}${wanted}`];
  // An executable's own main script gets what `--require` names, and not what `--import` does.
  for (const name of imports) await import(locate(name, process.cwd()));
  begin(entry, process);
}

function begin(entry: NodeEntry, process: NodeJS.Process): void {
  switch (entry.kind) {
    case "version":
      process.stdout.write(`${process.version}\n`);
      return;
    case "script": {
      process.argv = [process.execPath, resolve(entry.path), ...entry.arguments];
      (Module as unknown as { runMain(path?: string): void }).runMain(process.argv[1]);
      return;
    }
    case "eval": {
      process.argv = [process.execPath, ...entry.arguments];
      Object.assign(globalThis, { require: createRequire(join(process.cwd(), "[eval]")) });
      const value: unknown = runInThisContext(entry.code, { filename: "[eval]", importModuleDynamically: undefined });
      if (entry.print) process.stdout.write(`${String(value)}\n`);
      return;
    }
    case "unsupported":
      process.stderr.write(`node: this Node is flysqlite's, which does not offer ${entry.what}\n`);
      process.exitCode = EXIT_STATUS_BAD_WORDS;
  }
}

function importsIn(options: readonly string[]): readonly string[] {
  return options.flatMap((option, at) => {
    if (option.startsWith("--import=")) return [option.slice("--import=".length)];
    const next = options[at + 1];
    return option === "--import" && next !== undefined ? [next] : [];
  });
}

/** The url of a module that is named as an import of a script in the directory would name it. */
function locate(name: string, directory: string): string {
  if (/^(?:file|data|node):/.test(name)) return name;
  const path = /^\.{0,2}\//.test(name)
    ? resolve(directory, name)
    : createRequire(join(directory, "[import]")).resolve(name);
  return pathToFileURL(path).href;
}

/** The path by which this process was called, so that it can be called by it again. */
function findOwnName({ argv, env, execPath }: NodeJS.Process): string {
  const [, called = "node"] = argv;
  const places = called.includes("/")
    ? [resolve(called)]
    : (env["PATH"] ?? "").split(delimiter).map((directory) => resolve(directory, called));
  return places.find((place) => existsSync(place) && realpathSync(place) === execPath) ?? execPath;
}

function definedIn(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
