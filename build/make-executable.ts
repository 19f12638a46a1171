// One executable: Node, the program, SQLite's addon and the app's bundle in a single file.
// Source: https://nodejs.org/docs/latest-v24.x/api/single-executable-applications.html

import { execFile } from "node:child_process";
import { chmod, copyFile, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import type { AssetName } from "../src/base/assets.ts";
import { describe, FlysqliteError } from "../src/base/errors.ts";
import { version } from "../src/base/version.ts";
import type { PackedBundle } from "./pack-bundle.ts";
import { type Rehearsed, rehearse } from "./rehearse.ts";
import { addonPath, koffiPath, type NodeBinary } from "./target.ts";

export type Ingredients = {
  /** Directory of the bundles: `main.cjs` and `others.cjs`, the program, and `launch.cjs`, which launches it. */
  readonly program: string;
  /** Undefined for an executable that reads `prisma/` where it is started. */
  readonly bundle: PackedBundle | undefined;
  readonly node: NodeBinary;
  /** Where the executable will be. */
  readonly out: string;
};

export type Executable = {
  readonly sizeBytes: number;
  /** False where binutils' `strip` is not there, or does not know the target: the file is 18 MB larger then. */
  readonly stripped: boolean;
  /** Why a start of it could not be rehearsed, so that each start will compile what it calls; else undefined. */
  readonly unrehearsed: string | undefined;
};

/**
 * Options of the Node inside. NODE_OPTIONS does not reach PID 1, and goes on to the app untouched; only the word
 * `--node-options=` changes them, which src/runtime/run-as-node.ts gives where this executable is the app's Node.
 *
 * V8 would let the heap grow to 256 MB and more, which a container of 256 MB does not have. Pages and files are
 * buffers, outside of this heap; 128 MB of old objects and 3 x 8 MB of young ones is ten times what was seen. Young ones
 * have 4 MB from the beginning, which is what a start makes: with 1 MB some of it is taken for old, and kept, by chance.
 */
const NODE_OPTIONS = [
  "--disable-sigusr1",
  "--max-old-space-size=128",
  "--max-semi-space-size=8",
  "--min-semi-space-size=4",
];

/**
 * Given to the Node that makes the code cache too. Without a fixed seed, the order of V8's hash tables makes every
 * cache another one. V8 accepts a cache whatever the seed is, which is not so for most options, `--hash-seed` among them.
 */
const CACHE_OPTIONS = [...NODE_OPTIONS, "--random-seed=1"];

/** Makes the executable. It appears at `out` whole and tried, or not at all. */
export async function makeExecutable({ program, bundle, node, out }: Ingredients): Promise<Executable> {
  const workshop = await makeWorkshop(dirname(out));
  try {
    const base = join(workshop, "base");
    const rehearsed = await rehearse({ program, node: node.path, options: CACHE_OPTIONS, directory: workshop });
    const blob = await makeBlob({ program, rehearsed, bundle, node, workshop });
    const stripped = await copyStripped(node.path, base);
    await inject(base, blob);
    await chmod(base, 0o755);
    await smokeTest(base);
    const { size } = await stat(base);
    await moveInto(base, out);
    return { sizeBytes: size, stripped, unrehearsed: "whyNone" in rehearsed ? rehearsed.whyNone : undefined };
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}

/** Beside the executable, so that it can be renamed into its place. */
async function makeWorkshop(directory: string): Promise<string> {
  try {
    return await mkdtemp(join(directory, ".flysqlite-build-"));
  } catch (error) {
    throw new FlysqliteError("E_BUILD", `Cannot write to "${directory}": ${describe(error)}`, { cause: error });
  }
}

async function moveInto(executable: string, out: string): Promise<void> {
  try {
    await rename(executable, out);
  } catch (error) {
    throw new FlysqliteError("E_BUILD", `Cannot write "${out}": ${describe(error)}`, { cause: error });
  }
}

type BlobIngredients = Omit<Ingredients, "out"> & {
  readonly rehearsed: Rehearsed;
  readonly workshop: string;
};

/** Gives its path. Made by the target's Node itself: another one could not read it. */
async function makeBlob(ingredients: BlobIngredients): Promise<string> {
  const { program, rehearsed, bundle, node, workshop } = ingredients;
  const files: { readonly [name in AssetName]?: Uint8Array } = {
    ...(bundle === undefined ? {} : { "index.json": bundle.indexJson, "bundle.tar": bundle.bundleTar }),
    ...(bundle?.template === undefined ? {} : { "template.db": bundle.template }),
  };
  const assets: { readonly [name in AssetName]?: string } = {
    ...Object.fromEntries(Object.keys(files).map((name) => [name, name])),
    "main.cjs": join(program, "main.cjs"),
    "others.cjs": join(program, "others.cjs"),
    ...("caches" in rehearsed ? { "main.cache": rehearsed.caches.main, "others.cache": rehearsed.caches.others } : {}),
    "better_sqlite3.node": addonPath(node.target),
    "koffi.node": koffiPath(node.target),
  };
  const config = {
    // Relative names, as the blob remembers this one.
    main: "launch.cjs",
    output: "program.blob",
    disableExperimentalSEAWarning: true,
    useSnapshot: false,
    useCodeCache: false,
    execArgv: NODE_OPTIONS,
    execArgvExtension: "cli",
    assets,
  };
  await Promise.all([
    copyFile(join(program, config.main), join(workshop, config.main)),
    ...Object.entries(files).map(([name, bytes]) => writeFile(join(workshop, name), bytes)),
    writeFile(join(workshop, "sea.json"), JSON.stringify(config)),
  ]);
  await run(node.path, ["--experimental-sea-config", "sea.json"], { cwd: workshop });
  return join(workshop, config.output);
}

/** Copies Node without its symbol table. Gives false where it was copied as it is. */
async function copyStripped(source: string, target: string): Promise<boolean> {
  try {
    await promisify(execFile)("strip", ["--strip-all", "-o", target, source]);
    return true;
  } catch {
    await copyFile(source, target);
    return false;
  }
}

/** What Node looks for in its own file. Source: src/node_sea_bin.cc */
const RESOURCE = "NODE_SEA_BLOB";
const FUSE = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";

/** In a process of its own: the injector is WebAssembly that holds the file several times, and talks. */
async function inject(executable: string, blob: string): Promise<void> {
  await chmod(executable, 0o700);
  const postject = createRequire(import.meta.filename).resolve("postject/dist/cli.js");
  await run(process.execPath, [postject, executable, RESOURCE, blob, "--sentinel-fuse", FUSE]);
}

/** Starts it once: this is when Node tells that a code cache does not fit, or the loader that a library is missing. */
async function smokeTest(executable: string): Promise<void> {
  const { stdout, stderr } = await run(executable, ["--version"]);
  if (stderr === "" && stdout.includes(version)) return;
  throw new FlysqliteError("E_BUILD", `The new executable answers --version with "${(stdout + stderr).trim()}"`);
}

type Output = { readonly stdout: string; readonly stderr: string };

async function run(file: string, words: readonly string[], { cwd }: { readonly cwd?: string } = {}): Promise<Output> {
  try {
    const where = cwd === undefined ? {} : { cwd };
    // Without the environment: NODE_OPTIONS of the build must not find its way into what is built.
    return await promisify(execFile)(file, [...words], { ...where, env: {}, timeout: 120_000 });
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : "";
    throw new FlysqliteError("E_BUILD", `Cannot run "${basename(file)}": ${said || describe(error)}`, { cause: error });
  }
}
