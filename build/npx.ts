// The command of the npm package: `flysqlite build` makes executables, and `flysqlite init` makes a project ready for
// that; everything else is the program itself, which an executable has inside and this has beside it.

import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { describe, FlysqliteError, systemCode, toFlysqliteError } from "../src/base/errors.ts";
import { info } from "../src/base/events.ts";
import { parseCommandLine } from "../src/cli/arguments.ts";
import { commandHelp } from "../src/cli/help.ts";
import { createLog, renderFailure } from "../src/cli/render-event.ts";
import { runBuildCommand } from "./command.ts";
import { NODE_MAJOR } from "./target.ts";

const [command, ...words] = process.argv.slice(2);
try {
  if (command === "build") {
    await runBuildCommand(words, {
      workingDirectory: process.cwd(),
      execPath: process.execPath,
      program: import.meta.dirname,
      print: (text) => void process.stdout.write(text),
      log: createLog("text", (line) => void process.stdout.write(`${line}\n`)),
    });
  } else if (command === "init") {
    await runInit(words);
  } else {
    runProgram();
  }
} catch (error) {
  const failure = toFlysqliteError(error);
  for (const line of renderFailure(failure, "text")) process.stderr.write(`${line}\n`);
  process.exitCode = failure.exitStatus;
}

/** Here and not in the program: a project's own Node may be older than the program's. */
async function runInit(words: readonly string[]): Promise<void> {
  const commandLine = parseCommandLine(["init", ...words]);
  const print = (text: string) => void process.stdout.write(text);
  if (commandLine.kind !== "init") return print(commandHelp("init"));
  process.stdout.on("error", () => {}); // a reader that goes away, such as `head`, stops nothing
  const { initCommand } = await import("../src/commands/init.ts");
  const hasPerson = process.stdin.isTTY === true && process.stdout.isTTY === true && !process.env["CI"];
  await initCommand(commandLine, {
    appDirectory: process.cwd(),
    print,
    tell: (text) => void process.stderr.write(text),
    ask: hasPerson ? ask : undefined,
  });
}

async function ask(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  // Ctrl-C and Ctrl-D are no answer.
  const closed = new Promise<string>((resolve) => terminal.once("close", () => resolve("no")));
  try {
    return await Promise.race([terminal.question(question), closed]);
  } finally {
    terminal.close();
  }
}

/** The program's words are in `process.argv` as an executable has them, from the third on. */
function runProgram(): void {
  if (Number.parseInt(process.versions.node, 10) < NODE_MAJOR) {
    throw new FlysqliteError("E_USAGE", `flysqlite needs Node ${NODE_MAJOR}, and this is ${process.version}`, {
      hint: "Run it with a newer Node, or run an executable that `npx flysqlite build` made",
    });
  }
  readDotenv();
  createRequire(import.meta.filename)("./main.cjs");
}

/**
 * Sets what `.env` says and nobody else does, as Prisma and most frameworks do in a project. An executable reads none:
 * it runs where there is no project, and secrets come from the platform.
 */
function readDotenv(): void {
  const before = new Set(Object.keys(process.env));
  try {
    process.loadEnvFile(".env");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return;
    throw new FlysqliteError("E_CONFIG", `Cannot read "${join(process.cwd(), ".env")}": ${describe(error)}`);
  }
  const names = Object.keys(process.env).filter((name) => !before.has(name));
  const log = createLog("text", (line) => void process.stderr.write(`${line}\n`));
  if (names.length > 0) log(info("config", `from .env, which an image does not get: ${names.join(", ")}`));
}
