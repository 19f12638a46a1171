// The command line, and what is told by it before all settings are read.

import { Refusal, toFlysqliteError } from "../base/errors.ts";
import { asksForJson, type CommandLine, parseCommandLine } from "../cli/arguments.ts";
import { type Flag, variableOf } from "../config/settings.ts";
import { print, useFormatOf } from "./streams.ts";

export type Run = Extract<CommandLine, { kind: "run" }>;
export type Doctor = Extract<CommandLine, { kind: "doctor" }>;
export type ReplicaCommand = Extract<CommandLine, { kind: "restore" | "snapshots" | "verify" }>;
export type DatabaseCommand = Extract<CommandLine, { kind: "migrate" | "resolve" | "seed" }>;
export type Sidecar = Extract<CommandLine, { kind: "replicate" }>;
export type ControlCommand = Extract<CommandLine, { kind: "status" | "sync" }>;

/** Reads the words; the answer to words that ask for JSON is JSON also where they can't be read. */
export async function readCommandLine(words: readonly string[]): Promise<CommandLine> {
  try {
    const commandLine = parseCommandLine(words);
    if (commandLine.kind === "run" || commandLine.kind === "replicate" || commandLine.kind === "doctor")
      useFormatOf(commandLine.flags);
    return commandLine;
  } catch (error) {
    const { renderRefusalJson } = await import("../cli/render-plan.ts");
    if (asksForJson(words)) print(renderRefusalJson(asRefusal(error).failures));
    throw error;
  }
}

/** A setting that is needed before all of them are read. */
export function told(run: Pick<Run, "flags">, flag: Flag): string | undefined {
  return run.flags[flag] ?? process.env[variableOf(flag)];
}

export function asRefusal(error: unknown): Refusal {
  return error instanceof Refusal ? error : new Refusal([toFlysqliteError(error)]);
}
