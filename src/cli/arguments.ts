// The command line, read. Pure.

import { parseArgs } from "node:util";
import { describe, FlysqliteError } from "../base/errors.ts";
import { FLAGS, type Flag, SWITCHES } from "../config/settings.ts";

export type CommandLine =
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | {
      readonly kind: "run";
      readonly dry: boolean;
      readonly json: boolean;
      readonly flags: Flags;
      /** The app's command; empty where the start script is meant. */
      readonly command: readonly string[];
    }
  | {
      readonly kind: "restore";
      readonly flags: Flags;
      /** Where to; undefined for the app's own database on the volume. */
      readonly output: string | undefined;
      /** At most one of these three says which state; without them it is the newest. */
      readonly timestamp: string | undefined;
      readonly txid: string | undefined;
      readonly generation: string | undefined;
      /** Hex digits; goes with a generation. */
      readonly index: string | undefined;
      readonly integrity: string | undefined;
      /** An empty replica is no failure. */
      readonly ifReplicaExists: boolean;
      /** A file that is at the output is moved aside, once the new one is verified. */
      readonly force: boolean;
      readonly dry: boolean;
    }
  | { readonly kind: "snapshots"; readonly flags: Flags; readonly json: boolean; readonly all: boolean }
  | { readonly kind: "verify"; readonly flags: Flags; readonly deep: boolean }
  /** A word that is not for this program: the package's own entry handles it. */
  | { readonly kind: "build" };

type Flags = { readonly [flag in Flag]?: string };

/** Settings that mean something to the commands that look at a replica. */
const REPLICA_FLAGS = ["volume", "database", "replica", "config", "log"] as const satisfies readonly Flag[];

/**
 * Reads `[run] [flags] [--] [command args…]`. The first word that is neither a flag of ours nor its value begins
 * the app's command, and nothing from there on is looked at.
 */
export function parseCommandLine(words: readonly string[]): CommandLine {
  if (words[0] === "help") return { kind: "help" };
  if (words[0] === "build") return { kind: "build" };
  if (words[0] === "restore") return parseRestore(words.slice(1));
  if (words[0] === "snapshots") return parseSnapshots(words.slice(1));
  if (words[0] === "verify") return parseVerify(words.slice(1));
  const { ours, command } = splitAtCommand(words);
  const values = parse(ours, { strings: FLAGS, booleans: ["dry", "json", "help", "version", ...SWITCHES] });
  if (values["help"] === true) return { kind: "help" };
  if (values["version"] === true) return { kind: "version" };
  const flags = readFlags(values);
  const json = values["json"] === true;
  const dry = values["dry"] === true;
  if (json && !dry)
    throw new FlysqliteError(
      "E_USAGE",
      "Cannot use --json without --dry: it is the plan's format (for events there is --log json)",
    );
  return { kind: "run", dry, json, flags, command };
}

/** True for words that ask for JSON, whether or not the rest of them can be read. */
export function asksForJson(words: readonly string[]): boolean {
  return splitAtCommand(words).ours.includes("--json");
}

function parseRestore(words: readonly string[]): CommandLine {
  const strings = [...REPLICA_FLAGS, "output", "timestamp", "txid", "generation", "index", "integrity"] as const;
  const values = parse(words, { strings, booleans: ["if-replica-exists", "force", "dry", "help"] });
  if (values["help"] === true) return { kind: "help" };
  const text = (name: (typeof strings)[number]) => {
    const value = values[name];
    return typeof value === "string" ? value : undefined;
  };
  return {
    kind: "restore",
    flags: readFlags(values),
    output: text("output"),
    timestamp: text("timestamp"),
    txid: text("txid"),
    generation: text("generation"),
    index: text("index"),
    integrity: text("integrity"),
    ifReplicaExists: values["if-replica-exists"] === true,
    force: values["force"] === true,
    dry: values["dry"] === true,
  };
}

function parseSnapshots(words: readonly string[]): CommandLine {
  const values = parse(words, { strings: REPLICA_FLAGS, booleans: ["json", "all", "help"] });
  if (values["help"] === true) return { kind: "help" };
  return { kind: "snapshots", flags: readFlags(values), json: values["json"] === true, all: values["all"] === true };
}

function parseVerify(words: readonly string[]): CommandLine {
  const values = parse(words, { strings: REPLICA_FLAGS, booleans: ["deep", "help"] });
  if (values["help"] === true) return { kind: "help" };
  return { kind: "verify", flags: readFlags(values), deep: values["deep"] === true };
}

function readFlags(values: Values): Flags {
  const flags: { [flag in Flag]?: string } = {};
  for (const flag of FLAGS) {
    const value = values[flag];
    if (typeof value === "string") flags[flag] = value;
  }
  for (const name of SWITCHES) if (values[name] === true) flags[name] = "on";
  return flags;
}

function splitAtCommand(all: readonly string[]): { readonly ours: string[]; readonly command: readonly string[] } {
  const words = all[0] === "run" ? all.slice(1) : all;
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

type Values = { readonly [name: string]: unknown };

/** One letter for what is typed by hand. */
const SHORT: { readonly [name: string]: string } = { help: "h", output: "o" };

function parse(
  words: readonly string[],
  { strings, booleans }: { readonly strings: readonly string[]; readonly booleans: readonly string[] },
): Values {
  const options: Record<string, { type: "string" | "boolean"; short?: string }> = {};
  const add = (type: "string" | "boolean") => (name: string) => {
    options[name] = SHORT[name] === undefined ? { type } : { type, short: SHORT[name] };
  };
  strings.forEach(add("string"));
  booleans.forEach(add("boolean"));
  try {
    return parseArgs({ args: [...words], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new FlysqliteError("E_USAGE", describe(error).split(/\.(?:\s|$)/)[0] ?? "");
  }
}
