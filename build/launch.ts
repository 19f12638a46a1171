// The executable's main script: compiles the program's parts, which travel beside it, with V8's code cache, and runs
// them. The program could be the main script itself. But the cache that Node makes of a main script holds no function
// that runs only when it is called, which is nearly all of them: each process would compile anew what each start needs.
// The caches here are taken from parts that have gone through a start (rehearse.ts has the why and the figures).
//
// Run by Node, it is that rehearsal: node launch.cjs PART CACHE WORDS...
// Source: https://nodejs.org/docs/latest-v24.x/api/vm.html#scriptcreatecacheddata

import type * as ChildProcess from "node:child_process";
import type * as FileSystem from "node:fs";
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { getAssetKeys, getRawAsset, isSea } from "node:sea";
import { constants, Script } from "node:vm";
import type { AssetName } from "../src/base/assets.ts";
import { LINE_DESCRIPTOR } from "../src/base/line.ts";
import { KEEPER_ROLE, startedAs } from "../src/base/roles.ts";

/** As Node itself wraps a script. What `require` is differs in an executable, and is passed on. */
type Wrapped = (
  exports: object,
  require: (name: string) => unknown,
  module: NodeJS.Module,
  filename: string,
  directory: string,
) => void;

/** `part` is all ASCII, as esbuild writes it. */
function compile(part: Buffer, filename: string, cachedData?: Buffer): Script {
  const source = `(function(exports,require,module,__filename,__dirname){${part.toString("latin1")}\n})`;
  return new Script(source, {
    filename,
    ...(cachedData === undefined ? {} : { cachedData }),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
}

function run(script: Script, requireFrom: (name: string) => unknown): void {
  const wrapped: Wrapped = script.runInThisContext();
  wrapped(exports, requireFrom, module, __filename, __dirname);
}

/** A view of the executable's own read-only pages. */
const read = (name: AssetName) => Buffer.from(getRawAsset(name));

function launch(part: "main" | "others"): void {
  const cache = `${part}.cache` as const;
  const hasCache = getAssetKeys().includes(cache);
  const script = compile(read(`${part}.cjs`), `${part}.cjs`, hasCache ? read(cache) : undefined);
  // As Node says it of a main script; the trial run of a new executable refuses what says anything.
  if (script.cachedDataRejected === true) process.emitWarning("Code cache data rejected.");
  run(script, (name) => (name === "./others.cjs" ? launch("others") : require(name)));
}

/**
 * What V8 does with functions that are called often, or no more: compile them to machine code, forget them. How far that
 * is, is a matter of time, and would be seen in the cache.
 */
const AFTERTHOUGHTS = ["sparkplug", "maglev", "turbofan", "flush-bytecode"];

/**
 * Takes the cache when the part has done its work: a supervisor, when it launches its app; a keeper, when it says that it
 * is ready. So it is always taken after the same functions. A cache fits where the options are those of its making, so
 * these are on again by then, as they are by default.
 */
function rehearse(path: string, cache: string, words: readonly string[]): void {
  const { setFlagsFromString } = process.getBuiltinModule("node:v8"); // an executable has no use for it
  for (const name of AFTERTHOUGHTS) setFlagsFromString(`--no-${name}`);
  const script = compile(readFileSync(path), basename(path));
  let isTaken = false;
  const take = () => {
    for (const name of AFTERTHOUGHTS) setFlagsFromString(`--${name}`);
    writeFileSync(cache, script.createCachedData());
    isTaken = true;
  };
  process.argv = [process.execPath, path, ...words];
  process.on("exit", () => {
    if (!isTaken) process.exitCode = 1;
  });
  run(script, (name) => {
    if (name === "node:child_process") return tellOfApp(take);
    return name === "node:fs" ? tellOfReady(take) : require(name);
  });
}

/** The module with a `writeFileSync` that tells when a keeper says that it is ready, and ends there. */
function tellOfReady(ready: () => void): typeof FileSystem {
  const fileSystem: typeof FileSystem = require("node:fs");
  const write: typeof FileSystem.writeFileSync = (file, data, options) => {
    if (file !== LINE_DESCRIPTOR) return fileSystem.writeFileSync(file, data, options);
    ready();
    process.exit();
  };
  return { ...fileSystem, writeFileSync: write };
}

/** The module with a `spawn` that tells when it is for something else than a keeper. */
function tellOfApp(launched: () => void): typeof ChildProcess {
  const childProcess: typeof ChildProcess = require("node:child_process");
  const spawn = (file: string, words: readonly string[], options: ChildProcess.SpawnOptions) => {
    if (!words.includes(KEEPER_ROLE)) launched();
    return childProcess.spawn(file, words, options);
  };
  return { ...childProcess, spawn: spawn as typeof ChildProcess.spawn };
}

const [, , path = "", cache = "", ...words] = process.argv;
if (isSea()) launch(["role", "command"].includes(startedAs(process.argv)) ? "others" : "main");
else rehearse(path, cache, words);
