// What a start script means for an image whose flysqlite migrates and seeds by itself. Pure.

import type { LeftOut } from "./facts.ts";

export type StartCommand = {
  readonly command: readonly string[];
  /** As the script's own words say. */
  readonly port?: number;
  /** First program that the command starts, where that can be told. */
  readonly program?: string;
  readonly leftOut?: LeftOut;
};

type Scripts = ReadonlyMap<string, string>;

/** Reads a script; it must be there. Parts that only migrate, seed or generate are left out: no image needs Prisma's CLI. */
export function readStart(name: string, scripts: Scripts): StartCommand {
  const script = scripts.get(name) ?? "";
  const parts = script.split("&&").map((part) => part.trim());
  const kept = parts.filter((part) => !isPrismas(part, scripts));
  const port = readPort(script);
  const program = firstProgram(kept[0] ?? "");
  const more = { ...(port === undefined ? {} : { port }), ...(program === undefined ? {} : { program }) };
  if (kept.length === parts.length) return { command: ["npm", "run", name], ...more };

  const [only = "", another] = kept;
  const part = parts.filter((one) => !kept.includes(one)).join(" && ");
  const isPlain = another === undefined && /^[\w@%+:,./= -]+$/.test(only) && !/^\w+=/.test(only);
  const generates = parts.some((one) => !kept.includes(one) && /\bprisma generate\b/.test(resolved(one, scripts)));
  const leftOut = { script: name, part, generates };
  if (!isPlain) return { command: ["npm", "run", name], ...more, leftOut };
  const command = directly(only.split(/ +/));
  return { command, ...more, leftOut: { ...leftOut, command } };
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
  const [, called = ""] = /^(?:npm|pnpm|yarn|bun) (?:run )?([\w:.-]+)$/.exec(part) ?? [];
  return scripts.get(called) ?? part;
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
