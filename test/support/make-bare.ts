// Before the e2e tests: makes the executable that carries no app, where the program is newer than the one that is there.

import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { BARE, ROOT } from "./box.ts";

export function setup(): void {
  const program = statSync(join(ROOT, "dist/main.cjs"), { throwIfNoEntry: false });
  if (program === undefined) throw new Error("dist/main.cjs is missing: run `npm run build` first");
  const bare = statSync(BARE, { throwIfNoEntry: false });
  if (bare !== undefined && bare.mtimeMs > program.mtimeMs) return;
  const node = join(ROOT, "node_modules/.bin/node");
  execFileSync(node, [join(ROOT, "dist/npx.mjs"), "build", "--bare", "--out", BARE], { stdio: "pipe" });
}
