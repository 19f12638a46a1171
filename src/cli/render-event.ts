// Events and failures as lines. One line an event, so that a log collector keeps them apart.

import type { Clock } from "../base/context.ts";
import type { FlysqliteError } from "../base/errors.ts";
import type { Event, Log } from "../base/events.ts";
import type { LogFormat } from "../config/settings.ts";

const NAME = "flysqlite";

/**
 * Renders for people, or as JSON. `write` takes whole lines. With "debug" each line begins with the time since
 * its process began, by `clock`.
 */
export function createLog(format: LogFormat, write: (line: string) => void, clock?: Pick<Clock, "monotonic">): Log {
  return (event) => {
    if (event.level === "debug" && format !== "debug") return;
    if (event.level !== "warn" && format === "quiet") return;
    const time = format === "debug" && clock !== undefined ? `${clock.monotonic().toFixed(0).padStart(6)} ms  ` : "";
    write(time + renderLine(event, format));
  };
}

export function renderLine(event: Event, format: LogFormat): string {
  return format === "json" ? JSON.stringify(event) : renderEvent(event);
}

export function renderEvent({ level, step, text }: Event): string {
  const marked = level === "warn" ? `warning: ${text}` : text;
  return `${NAME}  ${step.padEnd(10)} ${singleLine(marked)}`;
}

/**
 * A failure as lines: what it is, its parts, and the way out. No link: the code is the name of its section in
 * docs/errors.md, and a line more, the same each time, would only stand between what was found and the way out.
 */
export function renderFailure({ code, message, problems, hint }: FlysqliteError, format: LogFormat): readonly string[] {
  if (format === "json") return [JSON.stringify({ level: "error", code, text: message, problems, try: hint })];
  const indent = " ".repeat(NAME.length + 2);
  return [
    `${NAME}  ${"failed".padEnd(10)} ${code}: ${singleLine(message)}`,
    ...problems.map((problem) => `${indent}${" ".repeat(10)} - ${singleLine(problem)}`),
    `${indent}${"try".padEnd(10)} ${singleLine(hint)}`,
  ];
}

/** Text from a database or a file can't fake a line of its own or reach a terminal's controls. */
export function singleLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (character) => (character === "\n" ? " | " : "?"));
}
