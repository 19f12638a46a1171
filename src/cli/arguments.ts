// The command line, read. Pure.

import { parseArgs } from "node:util";
import { describe, FlysqliteError } from "../base/errors.ts";
import { COMMAND_WORDS } from "../base/roles.ts";
import { FLAGS, type Flag, SWITCHES } from "../config/settings.ts";

export type CommandLine =
  /** `topic`: the command that help is wanted for, where it has a page of its own. */
  | { readonly kind: "help"; readonly topic?: HelpTopic }
  | { readonly kind: "version" }
  | {
      readonly kind: "run";
      readonly dry: boolean;
      readonly json: boolean;
      /** No network: a replica in a bucket is not asked. Goes with `dry`. */
      readonly offline: boolean;
      readonly flags: Flags;
      /** The app's command; empty where the start script is meant. */
      readonly command: readonly string[];
    }
  | {
      readonly kind: "doctor";
      readonly json: boolean;
      readonly offline: boolean;
      /** As for `run`: what a start would be told is looked at. */
      readonly flags: Flags;
      readonly command: readonly string[];
    }
  | {
      readonly kind: "restore";
      readonly flags: Flags;
      /** Where to; undefined for the app's own database on the volume. */
      readonly output: string | undefined;
      /** At most one of these four says which state; without them it is the newest. */
      readonly timestamp: string | undefined;
      readonly txid: string | undefined;
      readonly beforeMigration: string | undefined;
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
  | {
      readonly kind: "migrate";
      readonly flags: Flags;
      readonly dry: boolean;
      readonly json: boolean;
      /** Litestream's own tables are dropped first, which Prisma refuses to migrate beside. */
      readonly dropLitestreamTables: boolean;
    }
  | {
      readonly kind: "resolve";
      readonly flags: Flags;
      readonly json: boolean;
      readonly migration: string;
      readonly as: "applied" | "rolled back";
    }
  | { readonly kind: "seed"; readonly flags: Flags; readonly json: boolean }
  | { readonly kind: "replicate"; readonly flags: Flags }
  | { readonly kind: "status"; readonly flags: Flags; readonly json: boolean }
  | {
      readonly kind: "sync";
      readonly flags: Flags;
      /** How long to wait, such as "5s". */
      readonly timeout: string | undefined;
      readonly json: boolean;
    }
  | { readonly kind: "completion"; readonly shell: Shell }
  | {
      readonly kind: "init";
      /** Writes without a question. */
      readonly yes: boolean;
      /** Shows what it would write, and ends. */
      readonly dry: boolean;
      /** Files that exist are made anew, in place of edited. */
      readonly force: boolean;
      /** Prints the files whole in place of writing them. */
      readonly stdout: boolean;
      readonly litestreamYml: boolean;
      /** The Prisma schema, or its directory, where it isn't where Prisma looks. */
      readonly schema: string | undefined;
    }
  /** A word that is not for this program: the package's own entry handles it. */
  | { readonly kind: "build" };

/** Commands that have a page of help of their own. */
export const HELP_TOPICS = ["init", ...COMMAND_WORDS, "completion"] as const;

export type HelpTopic = (typeof HELP_TOPICS)[number];

/** Whose completions there are. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

export type Shell = (typeof SHELLS)[number];

export type Flags = { readonly [flag in Flag]?: string };

/** Settings that mean something to the commands that look at a replica. */
const REPLICA_FLAGS = ["volume", "database", "replica", "config", "log"] as const satisfies readonly Flag[];

/** And to those that change a database by hand. */
const DATABASE_FLAGS = [
  ...REPLICA_FLAGS,
  "on-migration-failure",
  "seed",
  "seed-timeout",
] as const satisfies readonly Flag[];

/** Those that say how to replicate a database without an app. */
const IN_PLACE_FLAGS = [...REPLICA_FLAGS, "sync-interval", "stop-timeout"] as const satisfies readonly Flag[];

/** Those that say which state is to be restored, and how. */
const RESTORE_FLAGS = ["output", "timestamp", "txid", "before-migration", "generation", "index", "integrity"] as const;

/** The flags that each command takes: those with a value, and those without. */
export const COMMANDS = {
  run: { strings: FLAGS, booleans: ["dry", "json", "offline", "help", "version", ...SWITCHES] },
  doctor: { strings: FLAGS, booleans: ["json", "offline", "help", ...SWITCHES] },
  restore: { strings: [...REPLICA_FLAGS, ...RESTORE_FLAGS], booleans: ["if-replica-exists", "force", "dry", "help"] },
  snapshots: { strings: REPLICA_FLAGS, booleans: ["json", "all", "help"] },
  verify: { strings: REPLICA_FLAGS, booleans: ["deep", "help"] },
  migrate: { strings: DATABASE_FLAGS, booleans: ["dry", "json", "drop-litestream-tables", "help"] },
  "migrate resolve": { strings: [...DATABASE_FLAGS, "applied", "rolled-back"], booleans: ["json", "help"] },
  seed: { strings: DATABASE_FLAGS, booleans: ["json", "help"] },
  replicate: { strings: IN_PLACE_FLAGS, booleans: ["help"] },
  status: { strings: REPLICA_FLAGS, booleans: ["json", "help"] },
  sync: { strings: [...REPLICA_FLAGS, "timeout"], booleans: ["json", "help"] },
} as const;

export type Command = keyof typeof COMMANDS;

/**
 * Reads `[run] [flags] [--] [command args…]`. The first word that is neither a flag of ours nor its value begins
 * the app's command, and nothing from there on is looked at.
 */
export function parseCommandLine(words: readonly string[]): CommandLine {
  if (words[0] === "help") return helpOn(words[1]);
  if (words[0] === "build") return { kind: "build" };
  if (words[0] === "init") return parseInit(words.slice(1));
  if (words[0] === "restore") return parseRestore(words.slice(1));
  if (words[0] === "snapshots") return parseSnapshots(words.slice(1));
  if (words[0] === "verify") return parseVerify(words.slice(1));
  if (words[0] === "migrate")
    return words[1] === "resolve" ? parseResolve(words.slice(2)) : parseMigrate(words.slice(1));
  if (words[0] === "seed") return parseSeed(words.slice(1));
  if (words[0] === "doctor") return parseDoctor(words.slice(1));
  if (words[0] === "replicate") return parseReplicate(words.slice(1));
  if (words[0] === "status") return parseStatus(words.slice(1));
  if (words[0] === "sync") return parseSync(words.slice(1));
  if (words[0] === "completion") return parseCompletion(words.slice(1));
  const { ours, command } = splitAtCommand(words);
  const values = parse(ours, COMMANDS.run);
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
  const offline = values["offline"] === true;
  if (offline && !dry)
    throw new FlysqliteError("E_USAGE", "Cannot use --offline without --dry: a start has to ask the replica");
  return { kind: "run", dry, json, offline, flags, command };
}

/** True for words that ask for JSON, whether or not the rest of them can be read. */
export function asksForJson(words: readonly string[]): boolean {
  if (words[0] === "doctor") return splitAtCommand(words.slice(1)).ours.includes("--json");
  const isCommand = words[0] === "migrate" || words[0] === "seed" || words[0] === "snapshots";
  return (isCommand ? words : splitAtCommand(words).ours).includes("--json");
}

function parseRestore(words: readonly string[]): CommandLine {
  const values = parse(words, COMMANDS.restore);
  if (values["help"] === true) return helpOn("restore");
  const text = (name: (typeof RESTORE_FLAGS)[number]) => {
    const value = values[name];
    return typeof value === "string" ? value : undefined;
  };
  return {
    kind: "restore",
    flags: readFlags(values),
    output: text("output"),
    timestamp: text("timestamp"),
    txid: text("txid"),
    beforeMigration: text("before-migration"),
    generation: text("generation"),
    index: text("index"),
    integrity: text("integrity"),
    ifReplicaExists: values["if-replica-exists"] === true,
    force: values["force"] === true,
    dry: values["dry"] === true,
  };
}

function parseSnapshots(words: readonly string[]): CommandLine {
  const values = parse(words, COMMANDS.snapshots);
  if (values["help"] === true) return helpOn("snapshots");
  return { kind: "snapshots", flags: readFlags(values), json: values["json"] === true, all: values["all"] === true };
}

function parseVerify(words: readonly string[]): CommandLine {
  const values = parse(words, COMMANDS.verify);
  if (values["help"] === true) return helpOn("verify");
  return { kind: "verify", flags: readFlags(values), deep: values["deep"] === true };
}

function parseMigrate(words: readonly string[]): CommandLine {
  const values = parse(words, COMMANDS.migrate);
  if (values["help"] === true) return helpOn("migrate");
  return {
    kind: "migrate",
    flags: readFlags(values),
    dry: values["dry"] === true,
    json: values["json"] === true,
    dropLitestreamTables: values["drop-litestream-tables"] === true,
  };
}

function parseResolve(words: readonly string[]): CommandLine {
  const values = parse(words, COMMANDS["migrate resolve"]);
  if (values["help"] === true) return helpOn("migrate");
  const [applied, rolledBack] = [values["applied"], values["rolled-back"]];
  const migration = applied ?? rolledBack;
  if (typeof migration !== "string" || (applied !== undefined && rolledBack !== undefined)) {
    throw new FlysqliteError("E_USAGE", "`migrate resolve` takes one of --applied NAME and --rolled-back NAME");
  }
  const as = applied === undefined ? ("rolled back" as const) : ("applied" as const);
  return { kind: "resolve", flags: readFlags(values), json: values["json"] === true, migration, as };
}

function parseSeed(words: readonly string[]): CommandLine {
  const values = parse(words, COMMANDS.seed);
  if (values["help"] === true) return helpOn("seed");
  return { kind: "seed", flags: readFlags(values), json: values["json"] === true };
}

function parseDoctor(words: readonly string[]): CommandLine {
  const { ours, command } = splitAtCommand(words);
  const values = parse(ours, COMMANDS.doctor);
  if (values["help"] === true) return helpOn("doctor");
  const [json, offline] = [values["json"] === true, values["offline"] === true];
  return { kind: "doctor", json, offline, flags: readFlags(values), command };
}

function parseReplicate(words: readonly string[]): CommandLine {
  const values = parse(words, COMMANDS.replicate);
  if (values["help"] === true) return helpOn("replicate");
  return { kind: "replicate", flags: readFlags(values) };
}

function parseStatus(words: readonly string[]): CommandLine {
  const values = parse(words, COMMANDS.status);
  if (values["help"] === true) return helpOn("status");
  return { kind: "status", flags: readFlags(values), json: values["json"] === true };
}

function parseSync(words: readonly string[]): CommandLine {
  const values = parse(words, COMMANDS.sync);
  if (values["help"] === true) return helpOn("sync");
  const timeout = values["timeout"];
  return {
    kind: "sync",
    flags: readFlags(values),
    timeout: typeof timeout === "string" ? timeout : undefined,
    json: values["json"] === true,
  };
}

function parseCompletion([shell, ...rest]: readonly string[]): CommandLine {
  if (shell === "--help" || shell === "-h") return helpOn("completion");
  const known = SHELLS.find((name) => name === shell);
  if (known === undefined || rest.length > 0)
    throw new FlysqliteError("E_USAGE", `\`completion\` takes one word: ${SHELLS.join(", ")}`);
  return { kind: "completion", shell: known };
}

function parseInit(words: readonly string[]): CommandLine {
  const booleans = ["yes", "dry", "force", "stdout", "litestream-yml", "help"];
  const values = parse(words, { strings: ["schema"], booleans });
  if (values["help"] === true) return helpOn("init");
  const schema = values["schema"];
  return {
    kind: "init",
    yes: values["yes"] === true,
    dry: values["dry"] === true,
    force: values["force"] === true,
    stdout: values["stdout"] === true,
    litestreamYml: values["litestream-yml"] === true,
    schema: typeof schema === "string" ? schema : undefined,
  };
}

function helpOn(word: string | undefined): CommandLine {
  const topic = HELP_TOPICS.find((topic) => topic === word);
  return topic === undefined ? { kind: "help" } : { kind: "help", topic };
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
const SHORT: { readonly [name: string]: string } = { help: "h", output: "o", yes: "y" };

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
