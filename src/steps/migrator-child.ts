// Asks the migrating child for something: another SQLite library than the keeper's, and a crash there leaves the keeper
// whole.

import { spawn } from "node:child_process";
import { FAILURES, FlysqliteError } from "../base/errors.ts";
import { MIGRATOR_ROLE } from "../base/roles.ts";
import type { FailedStatement } from "../prisma/errors.ts";
import type { MigratorAnswer, MigratorNews, MigratorTask } from "../prisma/migrator.ts";
import { LEADING_COMMENTS } from "../prisma/statements.ts";
import { waitForEnd } from "./child.ts";
import type { StepContext } from "./context.ts";

/** Its answer, or how it ended without one. */
export type Answer = MigratorAnswer | { readonly kind: "died"; readonly how: string };

export type Asking = Pick<StepContext, "program" | "environment" | "signal">;

/**
 * Starts a child for one task, and waits until it is gone. When the signal is aborted, the child is ended and the
 * signal's reason is thrown.
 */
export async function askMigrator(
  task: MigratorTask,
  { program, environment, signal }: Asking,
  { onBegan = () => {} }: { readonly onBegan?: (migration: string) => void } = {},
): Promise<Answer> {
  const [file, ...first] = program;
  const child = spawn(file, [...first, MIGRATOR_ROLE], {
    stdio: ["ignore", 2, 2, "ipc"],
    env: environment,
    detached: true,
    serialization: "advanced",
  });
  let answer: MigratorAnswer | undefined;
  child.on("message", (message: MigratorAnswer | MigratorNews) => {
    if (message.kind === "began") onBegan(message.migration);
    else answer = message;
  });
  const disconnected = new Promise((resolve) => child.once("disconnect", resolve));
  child.send(task, () => {}); // one that is gone already says so by its end
  const { exitStatus, signal: killer } = await waitForEnd(child, { signal });
  await disconnected; // what it said last may come after its end
  if (answer !== undefined) return answer;
  return { kind: "died", how: killer === undefined ? `ended with status ${exitStatus}` : `was ended by ${killer}` };
}

/** The answer where it is of that kind; throws the failure that it is otherwise. */
export function requireAnswer<Kind extends Answer["kind"]>(
  answer: Answer,
  kind: Kind,
  what: string,
): Extract<Answer, { readonly kind: Kind }> {
  if (isOfKind(answer, kind)) return answer;
  throw failureOf(answer, what) ?? new FlysqliteError("E_INTERNAL", `the migrating process answered "${answer.kind}"`);
}

function isOfKind<Kind extends Answer["kind"]>(
  answer: Answer,
  kind: Kind,
): answer is Extract<Answer, { readonly kind: Kind }> {
  return answer.kind === kind;
}

/** The failure that an answer is, where it is one; `what` is what could not be done. */
export function failureOf(answer: Answer, what: string): FlysqliteError | undefined {
  if (answer.kind === "died") return new FlysqliteError("E_MIGRATE", `${what}: the migrating process ${answer.how}`);
  if (answer.kind === "busy") return new FlysqliteError("E_MIGRATE", `${what}: another process has it open`);
  if (answer.kind !== "failed") return undefined;
  const { code, message, statement, hint } = answer;
  // A line that ends with a colon says what the next one is.
  const [head = "", ...rest] = message
    .replaceAll(":\n", ": ")
    .split("\n")
    .filter((line) => line !== "");
  const problems = statement === undefined ? rest : [...rest, describeStatement(statement)];
  const found = `${code === undefined ? "" : `${code} `}${head}`;
  return new FlysqliteError("E_MIGRATE", found.startsWith(what) ? found : `${what}: ${found}`, {
    problems,
    hint: hint ?? (/\bdatabase is locked\b/.test(message) ? LOCKED_HINT : FAILURES.E_MIGRATE.hint),
  });
}

const LOCKED_HINT = "End what else has the database open, then start again";

/** As much of a statement as says which one it is, in characters. */
const STATEMENT_LENGTH = 300;

function describeStatement({ number, line, text }: FailedStatement): string {
  const shown = text.replace(LEADING_COMMENTS, "").replace(/\s+/g, " ");
  const cut = shown.length > STATEMENT_LENGTH ? `${shown.slice(0, STATEMENT_LENGTH)}…` : shown;
  return `Statement ${number}, line ${line}: ${cut}`;
}
