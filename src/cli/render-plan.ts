// The plan, for people and as JSON.

import type { FlysqliteError } from "../base/errors.ts";
import type { Plan, PlanLine } from "../plan/plan.ts";
import { singleLine } from "./render-event.ts";

/** Numbered lines, each with its reason. */
export function renderPlan({ lines }: Plan): string {
  const width = Math.max(...lines.map(({ step }) => step.length));
  return `${lines.map((line, index) => renderLine(line, index + 1, width)).join("\n")}\n`;
}

function renderLine({ step, action, reason }: PlanLine, number: number, width: number): string {
  return `${number}. ${step.padEnd(width)}  ${singleLine(action)}\n   ${" ".repeat(width)}  because: ${singleLine(reason)}`;
}

export function renderPlanJson({ lines, facts }: Plan): string {
  const { path, state, sizeBytes } = facts.database;
  return `${JSON.stringify({ ok: true, database: { path, state, sizeBytes }, volume: facts.volume.path, steps: lines }, undefined, 2)}\n`;
}

export function renderRefusalJson(failures: readonly FlysqliteError[]): string {
  const problems = failures.map(({ code, exitStatus, message, problems, hint }) => ({
    code,
    exitStatus,
    message,
    problems,
    try: hint,
  }));
  return `${JSON.stringify({ ok: false, problems }, undefined, 2)}\n`;
}
