// Makes the pictures of docs/: boot.svg of the list of steps, demo.svg of a run of the demo on this machine.
// Usage: npm run docs:pictures

import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { BOOT } from "./documents/boot.ts";
import { bootPicture } from "./documents/boot-picture.ts";
import { type Line, pace, stable } from "./documents/recording.ts";
import { terminalPicture } from "./documents/terminal-picture.ts";

const docs = join(import.meta.dirname, "../docs");

writeFileSync(join(docs, "boot.svg"), bootPicture(BOOT));

const title =
  "The demo in a terminal: an app boots on an empty volume, is migrated, seeded and replicated, rows are written, " +
  "the volume is destroyed, and the next boot brings every row back";
const lines = await record(join(import.meta.dirname, "demo.ts"));
writeFileSync(join(docs, "demo.svg"), terminalPicture(pace(lines), { title, bar: "$ npm run demo" }));

/** Runs a script of ours, and notes each line when it comes. Throws unless it ends with 0. */
async function record(script: string): Promise<readonly Line[]> {
  const lines: Line[] = [];
  const startedMs = performance.now();
  const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  createInterface({ input: child.stdout }).on("line", (text) => {
    lines.push({ atMs: performance.now() - startedMs, text: stable(text) });
  });
  const exitStatus = await ended;
  if (exitStatus !== 0) throw new Error(`${script} ended with ${exitStatus}: ${lines.at(-1)?.text}`);
  return lines;
}
