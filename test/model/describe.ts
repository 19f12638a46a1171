// The model's paths, as a table. Pure.

import type { Step } from "./search.ts";
import { NO_READ, type Position, SLOT_0, type State } from "./state.ts";

const HEAD = ["", "log", "in the file", "our reads", "position", "on the volume"];

/** A line for each step, with the state that it leads to; `log` says its salt and commits, `our reads` slot or mark. */
export function describePath(path: readonly Step<State>[]): readonly string[] {
  const rows = [HEAD, ...path.map(({ name, to }) => [name, ...describeState(to)])];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

function describeState(s: State): readonly string[] {
  const reads = [s.reader, s.spare, s.view, s.lock].filter((read) => read !== NO_READ);
  return [
    `${s.salt}: ${describeLog(s)}`,
    describeCommits(0, s.stored),
    reads.map((read) => (read === SLOT_0 ? "slot 0" : `frame ${read}`)).join(", ") || "none",
    `${describePosition(s.position)}${s.sealed ? ", sealed" : ""}`,
    describeCommits(0, s.kept),
  ];
}

function describeLog({ base, frames, tail }: State): string {
  return `${describeCommits(base, frames)}${tail === "none" ? "" : `, then ${tail}`}`;
}

function describeCommits(before: number, count: number): string {
  if (count === 0) return "-";
  return count === 1 ? `${before + 1}` : `${before + 1}-${before + count}`;
}

function describePosition(position: Position | undefined): string {
  if (position === undefined) return "none";
  return position.kind === "file" ? "the file" : `${position.salt}: frame ${position.frame}`;
}
