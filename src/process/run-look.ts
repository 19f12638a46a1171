// `run --dry` and `doctor`, which look at all that a start depends on.

import type { FlysqliteError } from "../base/errors.ts";
import type { ToldEarly } from "../commands/survey.ts";
import { type Flag, variableOf } from "../config/settings.ts";
import type { StepContext } from "../steps/context.ts";
import type { Identity } from "../supervisor/privileges.ts";
import { builtInSqlite, createContext } from "./context.ts";
import { stopOnSignals } from "./stop.ts";
import { print, redact, tell } from "./streams.ts";
import { asRefusal, type Doctor, type Run, told } from "./words.ts";

/** A dry run, or that and the doctor's probes. */
export async function runLook(words: Run | Doctor): Promise<number> {
  const stop = stopOnSignals();
  const telling = {
    json: words.json,
    print: (text: string) => print(redact(text)),
    // Each string by itself: what is hidden of the whole could be its syntax.
    answer: (value: object) => {
      const hidden = (_name: string, part: unknown) => (typeof part === "string" ? redact(part) : part);
      print(`${JSON.stringify(value, hidden, 2)}\n`);
    },
    tell,
  };
  try {
    const told = await createContext(words, stop.signal);
    // Node's own SQLite: it reads a database without leaving side files beside it.
    const context: StepContext = { ...told, sqlite: builtInSqlite, isOffline: words.offline };
    if (words.kind === "run") {
      const { dryRunCommand } = await import("../commands/dry-run.ts");
      return await dryRunCommand(context, await readEarly(words), telling);
    }
    const { doctorCommand } = await import("../commands/doctor.ts");
    return await doctorCommand(context, await readEarly(words), { ...telling, keeperSqlite: told.sqlite });
  } catch (error) {
    if (stop.signal.aborted) return stop.status;
    if (words.json) telling.answer(await refusalOf(words.kind, asRefusal(error).failures));
    throw error;
  }
}

/** The answer where not even the settings could be read. */
async function refusalOf(kind: "run" | "doctor", failures: readonly FlysqliteError[]): Promise<object> {
  const { refusedDoctor } = await import("../commands/doctor.ts");
  const { reportAsJson } = await import("../cli/render-report.ts");
  const { refusedReport } = await import("../plan/report.ts");
  return kind === "doctor" ? refusedDoctor(failures) : reportAsJson(refusedReport(failures));
}

/** What a supervisor is told before the settings are read, and whom it would become. */
async function readEarly(words: Run | Doctor): Promise<ToldEarly> {
  const { lookUpUser } = await import("../supervisor/privileges.ts");
  const sourceOf = (flag: Flag) => (words.flags[flag] === undefined ? variableOf(flag) : `--${flag}`);
  const settings = (["user", "swap"] as const).flatMap((name) => {
    const value = told(words, name);
    return value === undefined ? [] : [{ name, value, source: sourceOf(name) }];
  });
  const user = told(words, "user");
  const source = user === undefined ? "who runs this" : sourceOf("user");
  return { user: { ...lookUpUser(user, process as Identity), source }, settings };
}
