// Sources into files: the program's two parts, what launches it in every executable, and the npm package's command.
// Source: https://esbuild.github.io/api/

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type BuildOptions, build, type Plugin } from "esbuild";
import { FlysqliteError } from "../src/base/errors.ts";

/**
 * Bundles src/main.ts and src/others.ts, each with its dependencies, to `main.cjs` and `others.cjs` in the directory
 * `out`: an executable runs nothing else. The one requires the other where it needs it.
 */
export async function bundleProgram(places: { readonly source: string; readonly out: string }): Promise<void> {
  const { source, out } = places;
  await Promise.all([
    bundlePart({ source: join(source, "main.ts"), out: join(out, "main.cjs") }, [apart("others")]),
    bundlePart({ source: join(source, "others.ts"), out: join(out, "others.cjs") }),
  ]);
}

async function bundlePart(
  { source, out }: { readonly source: string; readonly out: string },
  plugins: Plugin[] = [],
): Promise<void> {
  await bundle({
    entryPoints: [source],
    outfile: out,
    plugins: [...plugins, whenUsed],
    format: "cjs",
    target: "node24",
    supported: { using: true }, // since Node 24.0, which esbuild's table doesn't know
    // In the executable `__filename` is the executable.
    define: {
      ...(await versionDefinition()),
      "import.meta.filename": "__filename",
      "import.meta.dirname": "__dirname",
    },
  });
}

/** Bundles build/launch.ts, the main script of an executable. */
export async function bundleLauncher(places: { readonly source: string; readonly out: string }): Promise<void> {
  const { source, out } = places;
  await bundle({ entryPoints: [source], outfile: out, format: "cjs", target: "node24", sourcemap: false });
}

/** Bundles build/npx.ts. `npx flysqlite build` may run on the Node of a project that isn't on the newest yet. */
export async function bundleCommand(places: { readonly source: string; readonly out: string }): Promise<void> {
  const { source, out } = places;
  await bundle({
    entryPoints: [source],
    outfile: out,
    format: "esm",
    target: "node20",
    define: await versionDefinition(),
    // Installed beside it, as they carry files of their own: addons, WebAssembly.
    external: ["better-sqlite3", "postject", "@prisma/*"],
    sourcemap: false,
    banner: { js: "#!/usr/bin/env node" },
  });
}

/** Leaves a file out of a bundle, and requires its own bundle in its place. */
function apart(name: string): Plugin {
  const namespace = "apart";
  return {
    name: `apart: ${name}`,
    setup({ onResolve, onLoad }) {
      onResolve({ filter: new RegExp(`^\\./${name}\\.ts$`) }, () => ({ path: name, namespace }));
      onResolve({ filter: new RegExp(`^\\./${name}\\.cjs$`) }, ({ path }) => ({ path, external: true }));
      onLoad({ filter: /./, namespace }, () => ({ contents: `require("./${name}.cjs");` }));
    },
  };
}

/**
 * Modules of Node that take one to ten milliseconds to load, while many a start has no use for them. Each is loaded
 * when something of it is first used.
 */
const HEAVY = [
  "child_process",
  "crypto",
  "fs/promises",
  "http",
  "https",
  "net",
  "stream",
  "stream/promises",
  "tty",
  "zlib",
];

/** In the place of a heavy module its names, each of which loads it. */
const whenUsed: Plugin = {
  name: "when used",
  setup({ onResolve, onLoad }) {
    const namespace = "when-used";
    const heavy = new RegExp(`^(node:)?(${HEAVY.join("|")})$`);
    onResolve({ filter: heavy }, ({ path, namespace: importer }) =>
      importer === namespace ? { path, external: true } : { path, namespace },
    );
    onLoad({ filter: /./, namespace }, ({ path }) => {
      const names = JSON.stringify(Object.keys(process.getBuiltinModule(path) ?? {}));
      const load = `() => require(${JSON.stringify(path)})[name]`;
      return {
        contents: `for (const name of ${names}) Object.defineProperty(exports, name, { enumerable: true, get: ${load} });`,
      };
    });
  },
};

async function bundle(options: BuildOptions): Promise<void> {
  const { warnings } = await build({
    absWorkingDir: ROOT,
    bundle: true,
    platform: "node",
    minify: true,
    sourcemap: "external",
    logLevel: "silent",
    ...options,
  });
  const [warning] = warnings;
  if (warning !== undefined) {
    const place = warning.location === null ? "" : ` (${warning.location.file}:${warning.location.line})`;
    throw new FlysqliteError("E_BUILD", `esbuild warns of "${warning.text}"${place}`);
  }
}

/** The repository. All paths in the output are relative to it, so that a clone elsewhere gives the same bytes. */
const ROOT = join(import.meta.dirname, "..");

async function versionDefinition(): Promise<Record<string, string>> {
  const { version }: { readonly version?: unknown } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  return { FLYSQLITE_VERSION: JSON.stringify(version) };
}
