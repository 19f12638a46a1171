// The standard streams: the log's lines on stderr, answers on stdout, and no secret on either.

import type { FlysqliteError } from "../base/errors.ts";
import { type Log, warn } from "../base/events.ts";
import { createRedactor } from "../base/redact.ts";
import { systemClock } from "../base/system.ts";
import { isTerminal } from "../base/terminal.ts";
import type { Flags } from "../cli/arguments.ts";
import { colourLine, wantsColour } from "../cli/colour.ts";
import { createLineWriter, type LineWriter, writeAll } from "../cli/line-writer.ts";
import { createLog, renderFailure, renderLine } from "../cli/render-event.ts";
import type { LogFormat } from "../config/settings.ts";

export const STDIN = 0;
const STDOUT = 1;
export const STDERR = 2;

/** How long the end of the log may take where nobody reads it, in milliseconds. */
const FLUSH_MS = 200;

/** How lines are written. The command line may say so, once it is read. */
let format = formatTold({});

export const redact = createRedactor(process.env);
const hasColour = wantsColour(process.env, { isTerminal: isTerminal(STDERR) });
let lines: LineWriter | undefined;

/** The format as far as it is known before all settings are read; a wrong one is told by the keeper. */
function formatTold(flags: Flags): LogFormat {
  const told = flags.log ?? process.env["FLYSQLITE_LOG"];
  return told === "json" || told === "quiet" || told === "debug" ? told : "text";
}

/** Writes lines from now on as the command line says. */
export function useFormatOf(flags: Flags): void {
  format = formatTold(flags);
}

/** Writes events as lines to stderr. */
export function processLog(as: LogFormat = format): Log {
  return createLog(as, writeLine, systemClock);
}

/** Writes one line of the log to stderr. */
export function writeLine(line: string): void {
  const describeDropped = (count: number) =>
    renderLine(warn("log", `${count} lines were dropped, as nobody read them`), format);
  lines ??= createLineWriter({ fd: STDERR, describeDropped });
  const shown = redact(line);
  lines.write(hasColour && format !== "json" ? colourLine(shown) : shown);
}

/** Writes an answer to stdout, whole. */
export const print = (text: string) => void writeAll(STDOUT, text);

/** Tells of a failure as the log tells it. */
export function tell(failure: FlysqliteError): void {
  for (const line of renderFailure(failure, format)) writeLine(line);
}

/** Ends the process once its lines are read, or nobody seems to. */
export function end(exitStatus: number): never {
  lines?.flush(FLUSH_MS);
  process.exit(exitStatus);
}
