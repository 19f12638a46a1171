// The plan's steps as text, and what refuses a start as JSON. Pure.

import type { FlysqliteError } from "../base/errors.ts";
import type { PlanLine } from "../plan/plan.ts";
import { singleLine } from "./render-event.ts";

/** Numbered lines, each with its reason. */
export function renderSteps(lines: readonly PlanLine[]): string {
  const width = Math.max(...lines.map(({ step }) => step.length));
  return `${lines.map((line, index) => renderLine(line, index + 1, width)).join("\n")}\n`;
}

function renderLine({ step, action, reason }: PlanLine, number: number, width: number): string {
  return `${number}. ${step.padEnd(width)}  ${singleLine(action)}\n   ${" ".repeat(width)}  because: ${singleLine(reason)}`;
}

export function renderRefusalJson(failures: readonly FlysqliteError[]): string {
  const exitStatus = failures[0]?.exitStatus;
  return `${JSON.stringify({ ok: false, exitStatus, problems: problemsAsJson(failures) }, undefined, 2)}\n`;
}

export function problemsAsJson(failures: readonly FlysqliteError[]) {
  return failures.map(({ code, exitStatus, message, problems, hint }) => ({
    code,
    exitStatus,
    message,
    problems,
    try: hint,
  }));
}
