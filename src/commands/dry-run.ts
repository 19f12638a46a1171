// `flysqlite run --dry`: what a start would find and do, and with which status it would be refused.

import type { FlysqliteError } from "../base/errors.ts";
import { renderReport, reportAsJson } from "../cli/render-report.ts";
import type { StepContext } from "../steps/context.ts";
import { survey, type ToldEarly } from "./survey.ts";

export type Telling = {
  readonly json: boolean;
  readonly print: (text: string) => void;
  /** Prints a value as JSON. */
  readonly answer: (value: object) => void;
  /** Tells a problem with its way out. */
  readonly tell: (problem: FlysqliteError) => void;
};

/** Gives the exit status. */
export async function dryRunCommand(
  context: StepContext,
  early: ToldEarly,
  { json, print, answer, tell }: Telling,
): Promise<number> {
  const report = await survey(context, early);
  if (json) answer(reportAsJson(report));
  else print(renderReport(report, context.clock.now()));
  for (const problem of report.problems) tell(problem);
  return report.exitStatus;
}
