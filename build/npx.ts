// The command of the npm package: `flysqlite build` makes executables; everything else is the program itself, which
// an executable has inside and this has beside it.

import { createRequire } from "node:module";
import { join } from "node:path";
import { FlysqliteError, toFlysqliteError } from "../src/base/errors.ts";
import { createLog, renderFailure } from "../src/cli/render-event.ts";
import { runBuildCommand } from "./command.ts";
import { NODE_MAJOR } from "./target.ts";

const [command, ...words] = process.argv.slice(2);
try {
  if (command === "build") {
    await runBuildCommand(words, {
      workingDirectory: process.cwd(),
      execPath: process.execPath,
      program: join(import.meta.dirname, "main.cjs"),
      print: (text) => void process.stdout.write(text),
      log: createLog("text", (line) => void process.stdout.write(`${line}\n`)),
    });
  } else {
    runProgram();
  }
} catch (error) {
  const failure = toFlysqliteError(error);
  for (const line of renderFailure(failure, "text")) process.stderr.write(`${line}\n`);
  process.exitCode = failure.exitStatus;
}

/** The program's words are in `process.argv` as an executable has them, from the third on. */
function runProgram(): void {
  if (Number.parseInt(process.versions.node, 10) < NODE_MAJOR) {
    throw new FlysqliteError("E_USAGE", `flysqlite needs Node ${NODE_MAJOR}, and this is ${process.version}`, {
      hint: "Run it with a newer Node, or run an executable that `npx flysqlite build` made",
    });
  }
  createRequire(import.meta.filename)("./main.cjs");
}
