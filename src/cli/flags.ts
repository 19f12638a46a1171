// What each flag takes and means, said once: --help, the shells' completions and docs/settings.md show it. Pure.

import { DEFAULT_STOP_TIMEOUT, DEFAULT_SYNC_INTERVAL, DEFAULT_TIME_LIMIT, type Flag } from "../config/settings.ts";
import { DEFAULT_VOLUME } from "../config/volume.ts";
import { COMMANDS, type Command } from "./arguments.ts";

export type FlagText = {
  /** What its value is, such as "DIR"; left out where it takes none. */
  readonly value?: string;
  /** The words that its value is one of. */
  readonly words?: readonly string[];
  /** What holds without it: a value that it could be given, or in words what is taken. */
  readonly default?: string;
  /** Short: a line of help. */
  readonly meaning: string;
};

/** The flags that are settings: each is a variable too. */
export const SETTING_TEXTS: { readonly [flag in Flag]: FlagText } = {
  volume: { value: "DIR", default: DEFAULT_VOLUME, meaning: "where the volume is mounted" },
  database: { value: "URL", default: "the schema's", meaning: "url of the database, such as file:./dev.db" },
  replica: {
    value: "URL",
    default: "BUCKET_NAME's",
    meaning: "where to replicate to: s3://..., file:///..., or none",
  },
  config: {
    value: "FILE",
    default: "./litestream.yml, /etc/litestream.yml",
    meaning: "litestream.yml to read",
  },
  "sync-interval": {
    value: "TIME",
    default: DEFAULT_SYNC_INTERVAL,
    meaning: "least time between two uploads",
  },
  "stop-timeout": {
    value: "TIME",
    default: DEFAULT_STOP_TIMEOUT,
    meaning: "from the signal to stop to our end; the app has 60 % of it",
  },
  seed: { value: "COMMAND", default: "the project's", meaning: "fills a new database" },
  "seed-timeout": { value: "TIME", default: DEFAULT_TIME_LIMIT, meaning: "time that the seed may take" },
  fence: {
    value: "MODE",
    words: ["auto", "required", "off"],
    default: "auto",
    meaning: "one machine at a time writes to the replica",
  },
  "on-stale-volume": {
    value: "WHAT",
    words: ["refuse", "restore"],
    default: "refuse",
    meaning: "where the volume is older than its replica",
  },
  "on-migration-failure": {
    value: "WHAT",
    words: ["rollback", "keep"],
    default: "rollback",
    meaning: "put the database back, or leave it as it is",
  },
  "before-migrate": { value: "COMMAND", default: "none", meaning: "runs at each start, before migrations" },
  "after-migrate": { value: "COMMAND", default: "none", meaning: "runs at each start, after migrations" },
  "before-launch": { value: "COMMAND", default: "none", meaning: "runs at each start, right before the app" },
  "hook-timeout": { value: "TIME", default: DEFAULT_TIME_LIMIT, meaning: "time that each of these three may take" },
  log: {
    value: "FORMAT",
    words: ["text", "json", "quiet", "debug"],
    default: "text",
    meaning: "how lines are written; debug has times",
  },
  restart: {
    value: "WHEN",
    words: ["never", "on-failure"],
    default: "never",
    meaning: "start a failed app again, after 1, 2, 4 ... 30 s",
  },
  user: {
    value: "USER[:GROUP]",
    default: "whoever starts it",
    meaning: "to become before anything is done; root: on purpose",
  },
  "share-aws": {
    value: "on|off",
    words: ["on", "off"],
    default: "on",
    meaning: "whether the app gets the variables AWS_*, the bucket's keys",
  },
  swap: { value: "SIZE", default: "none", meaning: "make a swap file, such as 512MB, where the host lets us" },
  "keep-package-manager": {
    default: "off",
    meaning: "start npm, npx and the like, also where they only start another program",
  },
};

/** Of any command. */
export type AnyFlag = { [command in Command]: (typeof COMMANDS)[command]["strings" | "booleans"][number] }[Command];

/** The flags of a command, which mean the same in each that has them. */
export const COMMAND_FLAG_TEXTS: { readonly [flag in Exclude<AnyFlag, Flag>]: FlagText } = {
  output: { value: "FILE", default: "the app's database", meaning: "where to restore to; -o is short for it" },
  timestamp: { value: "TIME", meaning: "the last state before a time, such as 2026-11-24T09:30:00Z" },
  txid: { value: "ID", meaning: "the state after this transaction, as `snapshots` lists it" },
  "before-migration": { value: "NAME", meaning: "the last state before this migration was applied" },
  generation: { value: "ID", meaning: "of Litestream 0.3: the end of a generation" },
  index: { value: "N", meaning: "of Litestream 0.3, with a generation: the end of one of its logs" },
  integrity: {
    value: "CHECK",
    words: ["quick", "full", "none"],
    default: "quick",
    meaning: "SQLite's check of the result",
  },
  "if-replica-exists": { meaning: "an empty replica is no failure" },
  force: { meaning: "move a file that is there aside, once the new one is verified" },
  all: { meaning: "each point, and not only the snapshots" },
  deep: { meaning: "restore it as well, and compare with the live database" },
  "drop-litestream-tables": { meaning: "drop Litestream's own tables first, beside which Prisma refuses (P3005)" },
  applied: { value: "NAME", meaning: "the migration has been applied" },
  "rolled-back": { value: "NAME", meaning: "the migration has been undone" },
  timeout: { value: "TIME", default: "30s", meaning: "how long to wait, at most 10m" },
  dry: { meaning: "tell what would be done, and change nothing" },
  offline: { meaning: "no network: a replica in a bucket is not asked" },
  json: { meaning: "tell it as JSON" },
  help: { meaning: "show the help; -h is short for it" },
  version: { meaning: "show the version" },
};

const TEXTS: Readonly<Record<AnyFlag, FlagText>> = { ...SETTING_TEXTS, ...COMMAND_FLAG_TEXTS };

export function flagText(flag: AnyFlag): FlagText {
  return TEXTS[flag];
}

/** The flags of a command, those with a value first. */
export function flagsOf(command: Command): readonly AnyFlag[] {
  const { strings, booleans } = COMMANDS[command];
  return [...strings, ...booleans];
}

/** Columns that a flag and its value take in a line of help. */
const FLAG_WIDTH = 28;

/** A line of help for each flag. */
export function flagLines(flags: readonly AnyFlag[]): string {
  return flags.map(flagLine).join("\n");
}

function flagLine(flag: AnyFlag): string {
  const { value, words, default: otherwise, meaning } = TEXTS[flag];
  const head = value === undefined ? `--${flag}` : `--${flag} ${value}`;
  const choice = words === undefined || value === words.join("|") ? "" : `${words.join(", ")}: `;
  const without = otherwise === undefined ? "" : ` (default ${otherwise})`;
  return `  ${head.padEnd(FLAG_WIDTH)} ${choice}${meaning}${without}`;
}
