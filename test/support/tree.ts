// A directory as a value, so that a test can say that nothing in it changed.

import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** What each path below `directory` is: a file's bytes, a link's target, or "directory". */
export function treeOf(directory: string): { readonly [path: string]: string } {
  const paths = readdirSync(directory, { recursive: true, encoding: "utf8" }).sort();
  return Object.fromEntries(paths.map((path) => [path, content(join(directory, path))]));
}

function content(path: string): string {
  const stats = lstatSync(path);
  if (stats.isDirectory()) return "directory";
  return stats.isSymbolicLink() ? `-> ${readlinkSync(path)}` : readFileSync(path, "base64");
}
