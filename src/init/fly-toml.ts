// What Fly has to know: the volume, that it grows, and how long a stop may take. Comments and order of a file that
// exists stay; no name and no region is made up for one that doesn't. Pure.
// Source: https://fly.io/docs/reference/configuration/

import { posix } from "node:path";
import { DEFAULT_VOLUME } from "../config/volume.ts";
import type { ProjectFacts } from "./facts.ts";
import { applyEdits, type LineEdit, splitLines } from "./text-lines.ts";
import { readToml, scalar, type TomlKey, type TomlTable } from "./toml-lines.ts";

/** From the signal to stop to the kill. Fly's default of 5 s is short for a last sync that has to try again. */
const KILL_TIMEOUT = "30s";

/** What Fly takes where kill_timeout is not there, in milliseconds. */
const FLY_KILL_TIMEOUT_MS = 5000;

/** Of the time that Fly gives; as flysqlite's default of 4500 ms is of Fly's default. */
const STOP_SHARE = 0.9;

/** Grow by 1 GB, at 80 % of the volume, up to 10 GB: so that a growing database never finds it full. */
const GROWTH: readonly (readonly [string, string])[] = [
  ["auto_extend_size_threshold", "80"],
  ["auto_extend_size_increment", '"1GB"'],
  ["auto_extend_size_limit", '"10GB"'],
];

const STOP_VARIABLE = "FLYSQLITE_STOP_TIMEOUT";

export type EditedToml = {
  readonly text: string;
  readonly notes: readonly string[];
};

/** A file for a project that has none. `fly launch` asks whether to take it, and adds name and region. */
export function makeFlyToml({ framework }: ProjectFacts): string {
  return `# \`npx flysqlite init\` made this. \`fly launch --no-deploy\` takes it over, and adds the app's name and region.

# From the signal to stop to the end of everything: time for the last sync.
kill_timeout = "${KILL_TIMEOUT}"

[env]
  ${STOP_VARIABLE} = "${stopTimeout(KILL_TIMEOUT)}" # nine tenths of kill_timeout

[http_service]
  internal_port = ${framework.port}
  force_https = true
  auto_stop_machines = "stop"
  auto_start_machines = true
  min_machines_running = 0

# The volume with the database. It grows by itself; one machine has it, as SQLite takes one writer.
[mounts]
  source = "data"
  destination = "${DEFAULT_VOLUME}"
  initial_size = "1GB"
${GROWTH.map(([key, value]) => `  ${key} = ${value}`).join("\n")}
`;
}

/** Adds to a file what is missing in it. */
export function editFlyToml(text: string): EditedToml {
  const tables = readToml(text);
  const edits = [
    ...editKillTimeout(tables),
    ...editRelease(tables),
    ...editMounts(tables, text),
    ...editEnv(tables, text),
  ];
  return { text: applyEdits(text, edits), notes: noteTables(tables) };
}

/** Where the file mounts the volume; undefined where it mounts none. */
export function flyVolume(text: string): string | undefined {
  const mounts = readToml(text).find(({ name }) => name === "mounts" || name === "mount");
  return textOf(mounts, "destination")?.replace(/(?<=.)\/+$/, "");
}

/** The port that Fly's proxy speaks to; undefined where the file has none. */
export function flyPort(text: string): number | undefined {
  const tables = readToml(text);
  const port = ["http_service", "services"]
    .map((name) =>
      textOf(
        tables.find((table) => table.name === name),
        "internal_port",
      ),
    )
    .find((value) => value !== undefined);
  return port === undefined ? undefined : Number(port);
}

/** What [env] sets. */
export function flyEnvironment(text: string): ReadonlyMap<string, string> {
  const keys = readToml(text).find(({ name }) => name === "env")?.keys ?? [];
  return new Map(keys.map((key) => [key.name, scalar(key.text) ?? ""]));
}

/** The Dockerfile that [build] names, relative to the app's directory; the usual one else. */
export function flyDockerfile(text: string): string {
  const build = readToml(text).find(({ name }) => name === "build");
  return posix.normalize(textOf(build, "dockerfile") ?? "Dockerfile");
}

function editKillTimeout([top]: readonly TomlTable[]): readonly LineEdit[] {
  if (top === undefined || find(top, "kill_timeout") !== undefined) return [];
  const last = top.keys.at(-1);
  const line = `kill_timeout = "${KILL_TIMEOUT}" # time for the last sync`;
  if (last !== undefined) return [{ at: last.end, remove: 0, insert: [line] }];
  return [{ at: 0, remove: 0, insert: [line, ""] }]; // before the first table, or it would be a key of that
}

/** A release command runs on a machine without the volume. */
function editRelease(tables: readonly TomlTable[]): readonly LineEdit[] {
  const command = tables
    .filter(({ name }) => name === "deploy")
    .map((table) => find(table, "release_command"))
    .find((key) => key !== undefined);
  if (command === undefined || !/\bprisma (?:migrate|db)\b/.test(command.text)) return [];
  const { start, end, indent, text } = command;
  const insert = [
    `${indent}# flysqlite migrates at each start; a release machine has no volume.`,
    ...`release_command = ${text}`.split("\n").map((line) => `${indent}# ${line}`),
  ];
  return [{ at: start, remove: end - start, insert }];
}

function editMounts(tables: readonly TomlTable[], text: string): readonly LineEdit[] {
  if (tables[0]?.keys.some(({ name }) => /^mounts?(?:\.|$)/.test(name)) === true) return [];
  const mounts = tables.find(({ name }) => name === "mounts" || name === "mount");
  const all: readonly (readonly [string, string])[] = [
    ["source", '"data"'],
    ["destination", `"${DEFAULT_VOLUME}"`],
    ...GROWTH,
  ];
  if (mounts === undefined) {
    const lines = ["# The volume with the database. It grows by itself.", "[mounts]"];
    return [append(text, [...lines, ...all.map(([key, value]) => `  ${key} = ${value}`)])];
  }
  const missing = all.filter(([key]) => find(mounts, key) === undefined);
  return [
    addKeys(
      mounts,
      missing.map(([key, value]) => `${key} = ${value}`),
    ),
  ];
}

function editEnv(tables: readonly TomlTable[], text: string): readonly LineEdit[] {
  const [top] = tables;
  if (top?.keys.some(({ name }) => /^env(?:\.|$)/.test(name)) === true) return [];
  const env = tables.find(({ name }) => name === "env");
  if (env !== undefined && find(env, STOP_VARIABLE) !== undefined) return [];
  const timeout = top === undefined ? undefined : find(top, "kill_timeout");
  const line = `${STOP_VARIABLE} = "${stopTimeout(timeout === undefined ? KILL_TIMEOUT : (scalar(timeout.text) ?? ""))}"`;
  const told = `${line} # nine tenths of kill_timeout`;
  return [env === undefined ? append(text, ["[env]", `  ${told}`]) : addKeys(env, [told])];
}

/** Fly takes "30s", "1m" or a number of seconds. */
function stopTimeout(killTimeout: string): string {
  const [, number, unit] = /^(\d+)(ms|s|m|h)?$/.exec(killTimeout) ?? [];
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  const ms = number === undefined ? FLY_KILL_TIMEOUT_MS : Number(number) * (units[unit ?? "s"] ?? 1000);
  return `${Math.floor(ms * STOP_SHARE)}ms`;
}

function noteTables(tables: readonly TomlTable[]): readonly string[] {
  const notes: string[] = [];
  const processes = tables.find(({ name }) => name === "processes")?.keys ?? [];
  if (processes.length > 1) {
    const names = processes.map(({ name }) => name).join(", ");
    notes.push(`fly.toml: each of [processes] (${names}) is a machine of its own: only one can have the database`);
  }
  const experimental = tables.find(({ name }) => name === "experimental");
  if (experimental !== undefined && find(experimental, "entrypoint") !== undefined) {
    notes.push(
      "fly.toml: `entrypoint` in [experimental] takes the place of the image's, and so of flysqlite: remove it",
    );
  }
  const build = tables.find(({ name }) => name === "build");
  const other = ["image", "builder"].find((key) => build !== undefined && find(build, key) !== undefined);
  if (other !== undefined) {
    notes.push(`fly.toml: [build] says \`${other}\`, so that the Dockerfile is not used: remove it`);
  }
  const release = tables.map((table) => find(table, "release_command")).find((key) => key !== undefined);
  if (release !== undefined && !/\bprisma (?:migrate|db)\b/.test(release.text)) {
    notes.push("fly.toml: release_command runs on a machine without the volume, where flysqlite does not start");
  }
  if (tables.filter(({ name }) => name === "mounts").length > 1) {
    notes.push("fly.toml: of several mounts flysqlite takes the first one");
  }
  return notes;
}

const find = ({ keys }: TomlTable, name: string): TomlKey | undefined => keys.find((key) => key.name === name);

function textOf(table: TomlTable | undefined, name: string): string | undefined {
  const key = table === undefined ? undefined : find(table, name);
  return key === undefined ? undefined : scalar(key.text);
}

function addKeys(table: TomlTable, lines: readonly string[]): LineEdit {
  const last = table.keys.at(-1);
  const indent = last?.indent ?? "  ";
  return { at: last?.end ?? table.start + 1, remove: 0, insert: lines.map((line) => indent + line) };
}

function append(text: string, lines: readonly string[]): LineEdit {
  return { at: splitLines(text).length, remove: 0, insert: ["", ...lines] };
}
