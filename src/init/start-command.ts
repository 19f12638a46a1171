// What a start script means for an image whose flysqlite migrates and seeds by itself. Pure.

import type { LeftOut } from "./facts.ts";

export type StartCommand = {
  readonly command: readonly string[];
  /** As the script's own words say. */
  readonly port?: number;
  /** First program that the command starts, where that can be told. */
  readonly program?: string;
  /** A script that builds, which the start script runs first: an image builds once, with tools that it loses then. */
  readonly build?: string;
  readonly leftOut?: LeftOut;
};

type Scripts = ReadonlyMap<string, string>;

/**
 * Reads a script; it must be there. Parts that only migrate, seed or generate are left out: no image needs Prisma's CLI.
 * So is one that builds, where the rest can be run without a shell.
 */
export function readStart(name: string, scripts: Scripts): StartCommand {
  const script = scripts.get(name) ?? "";
  const parts = script.split("&&").map((part) => part.trim());
  const kept = parts.filter((part) => !isPrismas(part, scripts));
  const port = readPort(script);
  const [first = "", ...served] = kept;
  const built = served.length === 1 ? buildScript(first, scripts) : undefined;
  const withoutBuild = built === undefined ? undefined : plainCommand(served);
  const build = withoutBuild === undefined ? undefined : built;
  const program = firstProgram((build === undefined ? first : served[0]) ?? "");
  const more = {
    ...(port === undefined ? {} : { port }),
    ...(program === undefined ? {} : { program }),
    ...(build === undefined ? {} : { build }),
  };
  const itself = ["npm", "run", name];
  if (kept.length === parts.length) return { command: withoutBuild ?? itself, ...more };

  const part = parts.filter((one) => !kept.includes(one)).join(" && ");
  const generates = parts.some((one) => !kept.includes(one) && /\bprisma generate\b/.test(resolved(one, scripts)));
  const leftOut = { script: name, part, generates };
  const command = plainCommand(kept);
  if (command === undefined) return { command: withoutBuild ?? itself, ...more, leftOut };
  return { command, ...more, leftOut: { ...leftOut, command } };
}

/** The words of what is left of a script; undefined where a shell is needed for it. */
function plainCommand(parts: readonly string[]): readonly string[] | undefined {
  const [only = "", another] = parts;
  const isPlain = another === undefined && /^[\w@%+:,./= -]+$/.test(only) && !/^\w+=/.test(only);
  return isPlain ? directly(only.split(/ +/)) : undefined;
}

/** Whether a part of a script only runs Prisma's CLI, or a script that does. */
function isPrismas(part: string, scripts: Scripts): boolean {
  if (/^(?:(?:npx|bunx|pnpm(?: exec)?|yarn|bunx?) )?(?:--\S+ )*prisma (?:migrate|db|generate)\b/.test(part))
    return true;
  const script = resolved(part, scripts);
  return script !== part && script.split("&&").every((one) => isPrismas(one.trim(), new Map()));
}

/** The script that a part runs by name; else the part itself. */
function resolved(part: string, scripts: Scripts): string {
  return scripts.get(calledScript(part)) ?? part;
}

/** Name of the script that a part runs, if it runs one that builds: "build", "build:ts". */
function buildScript(part: string, scripts: Scripts): string | undefined {
  const called = calledScript(part);
  return /^build(?:[:.-]|$)/.test(called) && scripts.has(called) ? called : undefined;
}

function calledScript(part: string): string {
  return /^(?:npm|pnpm|yarn|bun) (?:run )?([\w:.-]+)$/.exec(part)?.[1] ?? "";
}

/** Words that start a program of the app's packages, too: flysqlite runs `npx X` without npm. */
function directly(words: readonly string[]): readonly string[] {
  const [program = ""] = words;
  const isOnPath = ["node", "bun", "deno", "npm", "npx", "pnpm", "yarn", "sh"].includes(program);
  return isOnPath || program.includes("/") ? words : ["npx", ...words];
}

function readPort(script: string): number | undefined {
  const digits = /(?:^|\s)(?:PORT=|-p[ =]?|--port[ =])(\d{2,5})\b/.exec(script)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The first word that is no variable: "tsx" of `PORT=80 npx tsx server.ts`. */
export function firstProgram(command: string): string | undefined {
  return command
    .trim()
    .split(/\s+/)
    .find((word) => !/^\w+=/.test(word) && !["npx", "bunx", "exec"].includes(word) && word !== "");
}
