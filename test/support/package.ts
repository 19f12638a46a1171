// The npm package as a user gets it, and the test app as one that has it among its dependencies.

import { execFileSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./box.ts";

export type PackedPackage = {
  /** Of the tarball. */
  readonly path: string;
  /** What is in it, by path. */
  readonly files: readonly string[];
};

/** Packs what `npm publish` would, from the dist/ that is there. */
export function packPackage(directory: string): PackedPackage {
  const told = execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", directory], {
    cwd: ROOT,
    encoding: "utf8",
  });
  const [packed] = JSON.parse(told) as { readonly filename: string; readonly files: { readonly path: string }[] }[];
  if (packed === undefined) throw new Error(`npm pack answers ${told}`);
  return { path: join(directory, packed.filename), files: packed.files.map(({ path }) => path) };
}

/** The test app in `directory`, with the package at `tarball` among what it needs for its build. Nothing is installed. */
export function writeAppWithPackage(directory: string, tarball: string): void {
  cpSync(join(ROOT, "test/app"), directory, {
    recursive: true,
    filter: (path) => !/node_modules|generated|dev\.db/.test(path),
  });
  const file = join(directory, "package.json");
  const content = JSON.parse(readFileSync(file, "utf8")) as {
    devDependencies: Record<string, string>;
    overrides: unknown;
  };
  // As in this project: a release whose addon comes with it, and needs no compiler in the image.
  content.overrides = { "better-sqlite3": "13.2.0" };
  content.devDependencies["flysqlite"] = `file:${tarball}`;
  writeFileSync(file, JSON.stringify(content, undefined, 2));
}
