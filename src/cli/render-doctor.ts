// What the doctor found, as lines. Pure.

import type { Finding } from "../doctor/finding.ts";
import { singleLine } from "./render-event.ts";

/** Widths of the first two columns: those of "warning" and "app's SQLite". */
const RESULT_WIDTH = 7;
const PROBE_WIDTH = 12;

/** One line, and one with the way out where there is one. */
export function renderFinding({ probe, result, text, wayOut, code }: Finding): string {
  const told = code === undefined ? text : `${code}: ${text}`;
  const line = `${result.padEnd(RESULT_WIDTH)}  ${probe.padEnd(PROBE_WIDTH)}  ${singleLine(told)}\n`;
  if (wayOut === undefined) return line;
  return `${line}${" ".repeat(RESULT_WIDTH)}  ${"try".padStart(PROBE_WIDTH)}  ${singleLine(wayOut)}\n`;
}

/** The last line: how many failed, and how many are warnings. */
export function renderDiagnosis(findings: readonly Finding[]): string {
  const count = (wanted: Finding["result"]) => findings.filter(({ result }) => result === wanted).length;
  const [failures, warnings] = [count("failed"), count("warning")];
  const warned = warnings === 0 ? "" : `, ${warnings === 1 ? "1 warning" : `${warnings} warnings`}`;
  return failures === 0 ? `Nothing failed${warned}\n` : `${failures} failed${warned}\n`;
}
