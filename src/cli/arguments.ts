// The command line, read. Pure.

import { parseArgs } from "node:util";
import { describe, FlysqliteError } from "../base/errors.ts";
import { FLAGS, type Flag } from "../config/settings.ts";

export type CommandLine =
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | {
      readonly kind: "run";
      readonly dry: boolean;
      readonly json: boolean;
      readonly flags: { readonly [flag in Flag]?: string };
      /** The app's command; empty where the start script is meant. */
      readonly command: readonly string[];
    }
  /** A word that is not for this program: the package's own entry handles it. */
  | { readonly kind: "build" };

/**
 * Reads `[run] [flags] [--] [command args…]`. The first word that is neither a flag of ours nor its value begins
 * the app's command, and nothing from there on is looked at.
 */
export function parseCommandLine(words: readonly string[]): CommandLine {
  if (words[0] === "help") return { kind: "help" };
  if (words[0] === "build") return { kind: "build" };
  const rest = words[0] === "run" ? words.slice(1) : words;
  const { ours, command } = splitAtCommand(rest);
  const values = parse(ours);
  if (values["help"] === true) return { kind: "help" };
  if (values["version"] === true) return { kind: "version" };
  const flags: { [flag in Flag]?: string } = {};
  for (const flag of FLAGS) {
    const value = values[flag];
    if (typeof value === "string") flags[flag] = value;
  }
  const json = values["json"] === true;
  const dry = values["dry"] === true;
  if (json && !dry)
    throw new FlysqliteError(
      "E_USAGE",
      "Cannot use --json without --dry: it is the plan's format (for events there is --log json)",
    );
  return { kind: "run", dry, json, flags, command };
}

const BOOLEAN_FLAGS = ["dry", "json", "help", "version"] as const;

function splitAtCommand(words: readonly string[]): { readonly ours: string[]; readonly command: readonly string[] } {
  let at = 0;
  while (at < words.length) {
    const word = words[at] ?? "";
    if (word === "--") return { ours: words.slice(0, at), command: words.slice(at + 1) };
    if (!word.startsWith("-")) break;
    const takesNext = !word.includes("=") && FLAGS.some((flag) => word === `--${flag}`);
    at += takesNext ? 2 : 1;
  }
  return { ours: words.slice(0, at), command: words.slice(at) };
}

function parse(words: string[]) {
  const options: Record<string, { type: "string" | "boolean"; short?: string }> = {};
  for (const flag of FLAGS) options[flag] = { type: "string" };
  for (const flag of BOOLEAN_FLAGS) options[flag] = { type: "boolean" };
  options["help"] = { type: "boolean", short: "h" };
  try {
    return parseArgs({ args: words, options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new FlysqliteError("E_USAGE", describe(error).split(/\.(?:\s|$)/)[0] ?? "");
  }
}
