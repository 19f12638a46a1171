// The executable's main script: compiles the program, which travels beside it, with V8's code cache, and runs it. The
// program could be the main script itself. But the cache that Node makes of a main script holds no function that runs
// only when it is called, which is nearly all of them: each process would compile anew what each start needs. The cache
// here is taken from a program that has gone through a start (rehearse.ts has the why and the figures).
//
// Run by Node, it is that rehearsal: node launch.cjs PROGRAM CACHE WORDS...
// Source: https://nodejs.org/docs/latest-v24.x/api/vm.html#scriptcreatecacheddata

import { readFileSync, writeFileSync } from "node:fs";
import { getAssetKeys, getRawAsset, isSea } from "node:sea";
import { setFlagsFromString } from "node:v8";
import { constants, Script } from "node:vm";
import type { AssetName } from "../src/base/assets.ts";
import type { FromKeeper } from "../src/base/messages.ts";

/** As Node itself wraps a script. What `require` is differs in an executable, and is passed on. */
type Wrapped = (
  exports: object,
  require: NodeJS.Require,
  module: NodeJS.Module,
  filename: string,
  directory: string,
) => void;

/** `program` is all ASCII, as esbuild writes it. */
function compile(program: Buffer, cachedData?: Buffer): Script {
  const source = `(function(exports,require,module,__filename,__dirname){${program.toString("latin1")}\n})`;
  return new Script(source, {
    filename: "main.cjs",
    ...(cachedData === undefined ? {} : { cachedData }),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
}

function run(script: Script): void {
  const wrapped: Wrapped = script.runInThisContext();
  wrapped(exports, require, module, __filename, __dirname);
}

/** A view of the executable's own read-only pages. */
const read = (name: AssetName) => Buffer.from(getRawAsset(name));

function launch(): void {
  const hasCache = getAssetKeys().includes("main.cache" satisfies AssetName);
  const script = compile(read("main.cjs"), hasCache ? read("main.cache") : undefined);
  // As Node says it of a main script; the trial run of a new executable refuses what says anything.
  if (script.cachedDataRejected === true) process.emitWarning("Code cache data rejected.");
  run(script);
}

/**
 * What V8 does with functions that are called often, or no more: compile them to machine code, forget them. How far that
 * is, is a matter of time, and would be seen in the cache.
 */
const AFTERTHOUGHTS = ["sparkplug", "maglev", "turbofan", "flush-bytecode"];

/**
 * Ends when the program, which is started as a keeper, says that it is ready: always after the same functions. A cache
 * fits where the options are those of its making, so these are on again by then, as they are by default.
 */
function rehearse(program: string, cache: string, words: readonly string[]): void {
  for (const name of AFTERTHOUGHTS) setFlagsFromString(`--no-${name}`);
  const script = compile(readFileSync(program));
  process.argv = [process.execPath, program, ...words];
  process.send = (message: FromKeeper) => {
    for (const name of AFTERTHOUGHTS) setFlagsFromString(`--${name}`);
    if (message.kind === "ready") writeFileSync(cache, script.createCachedData());
    process.exit();
  };
  run(script);
}

const [, , program = "", cache = "", ...words] = process.argv;
if (isSea()) launch();
else rehearse(program, cache, words);
