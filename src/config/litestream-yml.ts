// litestream.yml, of both of Litestream's lines, as far as this release follows it. Keys that Litestream does
// not know are refused here, where Litestream passes over them: a misspelt setting would silently not hold.
// Source: Litestream 0.3 and 0.5, "Configuration File"

import type { LineCounter, Node, YAMLMap } from "yaml";
import { describe } from "../base/errors.ts";
import type { LevelSettings } from "../base/level-settings.ts";
import { type DurationRange, parseDuration } from "./duration.ts";
import { LEVEL_KEYS, readLevels } from "./level-keys.ts";
import { REPLICA_KEYS_FOLLOWED, type ReplicaKeys } from "./replica-place.ts";
import type { Sourced } from "./settings.ts";

export type DatabaseEntry = {
  /** "litestream.yml:3", where the entry begins. */
  readonly source: string;
  readonly path: Sourced<string> | undefined;
  readonly replica: Sourced<ReplicaKeys> | undefined;
  readonly syncInterval: Sourced<number> | undefined;
};

export type YmlReport = {
  readonly entries: readonly DatabaseEntry[];
  /** What is said of the replica's levels; the rest has defaults. */
  readonly levels: Partial<LevelSettings>;
  /** What stops a start, each with file and line. */
  readonly problems: readonly string[];
  /** Keys that are right but that this release does not follow. */
  readonly notes: readonly string[];
};

/** A configuration is a page of text. The parser's time grows with the square of it: with this much, under a second. */
const MAX_YML_BYTES = 32 * 1024;

/** Who has more than this many is helped by the first ones too. */
const MAX_PROBLEMS = 20;

/** Items of a list that are looked at. From the second on they are a problem anyway, and each alias costs a search. */
const MAX_ITEMS = 20;

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

const GLOBAL_KEYS = words(`
  access-key-id addr auto-recover bucket dbs endpoint exec force-path-style heartbeat-interval heartbeat-url
  l0-retention l0-retention-check-interval levels logging mcp-addr path region replica-defaults retention
  secret-access-key shutdown-sync-interval shutdown-sync-timeout skip-verify snapshot socket sync-interval type url
  validation verify-compaction sign-payload require-content-md5 max-sync-ltx-files storage-class
`);
const DATABASE_KEYS = words(`
  busy-timeout checkpoint-interval dir max-checkpoint-page-count max-sync-wal-bytes meta-dir meta-path
  min-checkpoint-page-count monitor-interval path pattern recursive replica replicas restore-if-db-not-exists
  snapshot truncate-page-n watch
`);
const REPLICA_KEYS = words(`
  access-key-id account-key account-name age auto-recover bucket client-cert client-key concurrency
  concurrent-writes creds endpoint force-path-style host host-key jwt key-path max-reconnects max-sync-ltx-files
  name nkey part-size password path reconnect-wait region require-content-md5 retention retention-check-interval
  root-cas sas-token secret-access-key seed sign-payload skip-verify snapshot-interval sse-customer-algorithm
  sse-customer-key sse-customer-key-path sse-kms-key-id storage-class sync-interval timeout tls token type url user
  username validation-interval webdav-password webdav-url webdav-username
`);
/** None that a line of text needs; YAML forbids them too, and no path can hold a NUL. */
const CONTROL_CHARACTER = /(?![\t\n\r\u0085])\p{Cc}/u;

/** Replica keys that may also stand at the top, as defaults for all replicas. `url`, `type` and `path` may not. */
const GLOBAL_REPLICA_KEYS = REPLICA_KEYS_FOLLOWED.filter((key) => !["url", "type", "path"].includes(key));

export type KeySet = {
  readonly what: string;
  readonly known: ReadonlySet<string>;
  readonly followed: ReadonlySet<string>;
};

/** What may stand in each kind of map, and what of it has an effect. */
const AT_TOP: KeySet = {
  what: "litestream.yml",
  known: GLOBAL_KEYS,
  followed: new Set(["dbs", "sync-interval", ...LEVEL_KEYS, ...GLOBAL_REPLICA_KEYS]),
};
const IN_DATABASE: KeySet = {
  what: "a database in dbs",
  known: DATABASE_KEYS,
  followed: new Set(["path", "replica", "replicas", "snapshot"]),
};
const IN_REPLICA: KeySet = {
  what: "a replica",
  known: REPLICA_KEYS,
  followed: new Set(["name", "sync-interval", ...REPLICA_KEYS_FOLLOWED]),
};

/** Without these the replica would be less protected than was meant. */
const REFUSED_KEYS: ReadonlyMap<string, string> = new Map([
  ["age", "encryption by age was left behind by Litestream 0.5 and is not supported"],
  ...[...REPLICA_KEYS]
    .filter((key) => key.startsWith("sse-"))
    .map((key) => [key, `"${key}": encryption with a key of one's own is not supported`] as const),
]);

/** What looks into a file, and tells what is wrong with where it stands. */
export type YmlReader = {
  /** Problems so far. */
  readonly problems: string[];
  readonly place: (node: Node) => string;
  readonly checkKeys: (map: YAMLMap, keys: KeySet) => void;
  /** What stands at a key; undefined for null. */
  readonly value: (map: YAMLMap, key: string) => Node | undefined;
  readonly follow: (node: Node | undefined) => Node | undefined;
  readonly list: (map: YAMLMap, key: string) => readonly Node[];
  readonly asMap: (node: Node | undefined, key: string) => YAMLMap | undefined;
  /** In milliseconds. */
  readonly duration: (map: YAMLMap, key: string, range?: DurationRange) => Sourced<number> | undefined;
  readonly flag: (map: YAMLMap, key: string) => boolean | undefined;
};

type Source = { readonly file: string; readonly environment: NodeJS.ProcessEnv };

/** Reads the file's text. `file` names it in messages. */
export async function parseLitestreamYml(text: string, source: Source): Promise<YmlReport> {
  const report = await parse(text, source);
  const more = report.problems.length - MAX_PROBLEMS;
  if (more <= 0) return report;
  return { ...report, problems: [...report.problems.slice(0, MAX_PROBLEMS), `${source.file}: ${more} more problems`] };
}

async function parse(text: string, { file, environment }: Source): Promise<YmlReport> {
  const problems: string[] = [];
  const notes: string[] = [];
  const refuse = (problem: string): YmlReport => ({
    entries: [],
    levels: {},
    problems: [...problems, problem],
    notes,
  });
  if (Buffer.byteLength(text) > MAX_YML_BYTES) return refuse(`${file}: larger than ${MAX_YML_BYTES} bytes`);
  const control = text.search(CONTROL_CHARACTER);
  if (control !== -1) return refuse(`${file}:${text.slice(0, control).split("\n").length}: a control character`);

  const expanded = expandVariables(text, { file, environment, problems });
  const { parseDocument, LineCounter, isAlias, isMap, isSeq, isScalar } = await import("yaml"); // only where there is such a file
  const lines = new LineCounter();
  const document = parseDocument(expanded, { lineCounter: lines, uniqueKeys: true, merge: false });
  for (const { message, pos } of document.errors) {
    // What comes after a colon quotes the file, which may have secrets in it.
    const what = message.split("\n")[0]?.replace(/ at line .*$|(?<=\w): .*$/, "");
    problems.push(`${file}:${lines.linePos(pos[0]).line}: ${what}`);
  }
  if (document.errors.length > 0) return { entries: [], levels: {}, problems, notes };
  if (!isMap(document.contents)) return refuse(`${file}: it holds no settings`);

  const place = placer(file, lines);
  const checkKeys = (map: YAMLMap, { what, known, followed }: KeySet) => {
    for (const { key } of map.items) {
      const name = isScalar(key) ? String(key.value) : "";
      const at = place(key as Node);
      const refused = REFUSED_KEYS.get(name);
      // No key has a colon; what follows one is a value that lacks a space before it, and may be secret.
      if (!known.has(name)) problems.push(`${at}: "${name.replace(/:.*/s, ":…")}" is no key of ${what}`);
      else if (refused !== undefined) problems.push(`${at}: ${refused}`);
      else if (!followed.has(name)) notes.push(`${at}: "${name}" is not followed by this release`);
    }
  };
  /** What stands at `key`: an alias is followed, one step, so that no file can grow by them. Nothing for null. */
  const value = (map: YAMLMap, key: string): Node | undefined => follow(map.get(key, true) as Node | undefined);
  const follow = (node: Node | undefined): Node | undefined => {
    const found = isAlias(node) ? node.resolve(document) : node;
    if (isAlias(node) && found === undefined) problems.push(`${place(node)}: an alias that names no anchor`);
    return isScalar(found) && found.value === null ? undefined : found;
  };
  const list = (map: YAMLMap, key: string): readonly Node[] => {
    const node = value(map, key);
    if (node === undefined) return [];
    if (isSeq(node)) return node.items.slice(0, MAX_ITEMS).map((item) => item as Node);
    problems.push(`${place(node)}: ${key}: it must be a list`);
    return [];
  };
  const asMap = (node: Node | undefined, key: string): YAMLMap | undefined => {
    if (node === undefined || isMap(node)) return node;
    problems.push(`${place(node)}: ${key}: it must hold keys and values`);
    return undefined;
  };
  const scalar = (map: YAMLMap, key: string): Sourced<string> | undefined => {
    const node = value(map, key);
    if (node === undefined) return undefined;
    if (!isScalar(node)) {
      problems.push(`${place(node)}: ${key}: it must be a single value`);
      return undefined;
    }
    // Of what is no string, the text as it stands: a path 0755 is not 493.
    const text = typeof node.value === "string" ? node.value : (node.source ?? String(node.value));
    return { value: text, source: place(node) };
  };
  const duration = (map: YAMLMap, key: string, range?: DurationRange): Sourced<number> | undefined => {
    const found = scalar(map, key);
    if (found === undefined) return undefined;
    try {
      return { value: parseDuration(found.value, range), source: found.source };
    } catch (error) {
      problems.push(`${found.source}: ${key}: ${describe(error)}`);
      return undefined;
    }
  };
  const flag = (map: YAMLMap, key: string): boolean | undefined => {
    const found = scalar(map, key);
    if (found === undefined) return undefined;
    if (found.value === "true" || found.value === "false") return found.value === "true";
    problems.push(`${found.source}: ${key}: it is neither true nor false`);
    return undefined;
  };

  checkKeys(document.contents, AT_TOP);
  const globalInterval = duration(document.contents, "sync-interval");
  const readKeys = (map: YAMLMap, keys: readonly (keyof ReplicaKeys)[]): ReplicaKeys =>
    Object.fromEntries(
      keys.flatMap((key) => {
        const found = scalar(map, key);
        return found === undefined ? [] : [[key, found.value]];
      }),
    );
  const globalKeys = readKeys(document.contents, GLOBAL_REPLICA_KEYS);
  const entries: DatabaseEntry[] = [];
  const databases = list(document.contents, "dbs").flatMap((item) => asMap(follow(item), "dbs") ?? []);
  for (const database of databases) {
    checkKeys(database, IN_DATABASE);
    const replicas = [
      asMap(value(database, "replica"), "replica"),
      ...list(database, "replicas").map((replica) => asMap(follow(replica), "replicas")),
    ].filter((replica) => replica !== undefined);
    for (const replica of replicas) checkKeys(replica, IN_REPLICA);
    const [replica, another] = replicas;
    if (another !== undefined) problems.push(`${place(another)}: this release writes one replica, and more are named`);
    entries.push({
      source: place(database),
      path: scalar(database, "path"),
      replica: replica && {
        value: { ...globalKeys, ...readKeys(replica, REPLICA_KEYS_FOLLOWED) },
        source: place(replica),
      },
      syncInterval: (replica && duration(replica, "sync-interval")) ?? globalInterval,
    });
  }
  const reader: YmlReader = { checkKeys, value, follow, list, asMap, duration, flag, place, problems };
  return { entries, levels: readLevels(document.contents, databases, reader), problems, notes };
}

/**
 * Puts the environment's values in the place of `$NAME` and `${NAME}`, as Litestream does before it parses.
 * An unset variable is a problem: an empty path or key would mean something else than was meant.
 */
function expandVariables(
  text: string,
  {
    file,
    environment,
    problems,
  }: { readonly file: string; readonly environment: NodeJS.ProcessEnv; readonly problems: string[] },
): string {
  return text
    .split("\n")
    .map((line, index) => {
      if (line.trimStart().startsWith("#")) return line;
      return line.replace(/\$(?:\{(\w+)\}|(\w+))/g, (_, braced?: string, bare?: string) => {
        const name = braced ?? bare ?? "";
        const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
        if (value === undefined) problems.push(`${file}:${index + 1}: the variable ${name} is not set`);
        return value ?? "";
      });
    })
    .join("\n");
}

function placer(file: string, lines: LineCounter) {
  return (node: Node): string => `${file}:${lines.linePos(node.range?.[0] ?? 0).line}`;
}
