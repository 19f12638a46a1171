// Questions to another process, each answered before the asker's next line runs: a simulation has one thread, and what
// its app does between two steps of a protocol must be done when the second one begins.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type Callee<Question, Answer> = Disposable & { ask(question: Question): Answer };

/** Starts a script that serves. The pipes have names only until it has them: Node makes none that can be waited for. */
export function startCallee<Question, Answer>(script: string): Callee<Question, Answer> {
  const directory = mkdtempSync(join(tmpdir(), "flysqlite-sim-"));
  const [questions, answers] = [join(directory, "questions"), join(directory, "answers")];
  const { status } = spawnSync("mkfifo", [questions, answers]);
  if (status !== 0) throw new Error("mkfifo failed");
  // Opened for both first, as a pipe that is opened for one waits for the other.
  const unused = [openSync(questions, "r+"), openSync(answers, "r+")];
  const [input, output] = [openSync(questions, "r"), openSync(answers, "w")];
  const [asking, hearing] = [openSync(questions, "w"), openSync(answers, "r")];
  const child: ChildProcess = spawn(process.execPath, [script], { stdio: [input, output, "inherit"] });
  for (const file of [...unused, input, output]) closeSync(file);
  rmSync(directory, { recursive: true });
  child.unref();

  const next = lines(hearing);
  return {
    ask(question) {
      writeSync(asking, `${JSON.stringify(question)}\n`);
      const line = next();
      if (line === undefined) throw new Error(`the process ended while it was asked ${JSON.stringify(question)}`);
      return JSON.parse(line) as Answer;
    },
    [Symbol.dispose]() {
      closeSync(asking); // by which it ends
      closeSync(hearing);
    },
  };
}

/** Answers until nobody is there to ask. To be called by the script, which does nothing else. */
export function serve<Question, Answer>(answer: (question: Question) => Answer): void {
  const next = lines(0);
  for (let line = next(); line !== undefined; line = next()) {
    writeSync(1, `${JSON.stringify(answer(JSON.parse(line) as Question))}\n`);
  }
}

/** Waits for a line; gives undefined at the end. */
function lines(file: number): () => string | undefined {
  const buffer = Buffer.alloc(64 * 1024);
  let text = "";
  return () => {
    for (let end = text.indexOf("\n"); ; end = text.indexOf("\n")) {
      if (end >= 0) {
        const line = text.slice(0, end);
        text = text.slice(end + 1);
        return line;
      }
      const length = readSync(file, buffer);
      if (length === 0) return undefined;
      text += buffer.toString("utf8", 0, length);
    }
  };
}
