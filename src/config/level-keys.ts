// How the replica's levels are kept, as litestream.yml says it.
// Source: Litestream 0.5, "Configuration File": levels, snapshot, l0-retention, retention

import type { Node, YAMLMap } from "yaml";
import { type LevelSettings, MAX_LEVELS } from "../base/level-settings.ts";
import type { KeySet, YmlReader } from "./litestream-yml.ts";
import type { Sourced } from "./settings.ts";

/** Keys of the file's top that are read here. */
export const LEVEL_KEYS = ["levels", "snapshot", "l0-retention", "l0-retention-check-interval", "retention"] as const;

const IN_LEVEL = keySet("a level", "interval");
const IN_SNAPSHOT = keySet("snapshot", "interval", "retention");
const IN_RETENTION = keySet("retention", "enabled");

/** What is said at the file's top and in its databases, which may repeat but not contradict it. */
export function readLevels(top: YAMLMap, databases: readonly YAMLMap[], reader: YmlReader): Partial<LevelSettings> {
  const { duration, problems } = reader;
  const intervalsMs = readIntervals(top, reader);
  const snapshots = [top, ...databases].map((map) => readMap(map, "snapshot", IN_SNAPSHOT, reader));
  const agreed = (key: "interval" | "retention") =>
    snapshots
      .flatMap((map) => (map === undefined ? [] : (duration(map, key, "long") ?? [])))
      .reduce<Sourced<number> | undefined>((first, found) => {
        if (first !== undefined && first.value !== found.value) {
          problems.push(`${found.source}: snapshot: ${key}: ${first.source} says something else`);
        }
        return first ?? found;
      }, undefined)?.value;
  const retention = readMap(top, "retention", IN_RETENTION, reader);
  const found = {
    intervalsMs,
    snapshotIntervalMs: agreed("interval"),
    snapshotRetentionMs: agreed("retention"),
    uploadRetentionMs: duration(top, "l0-retention", "long or zero")?.value,
    uploadRetentionCheckMs: duration(top, "l0-retention-check-interval", "long")?.value,
    deletes: retention === undefined ? undefined : reader.flag(retention, "enabled"),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

function readIntervals(top: YAMLMap, reader: YmlReader): readonly number[] | undefined {
  const { list, value, follow, asMap, checkKeys, duration, problems, place } = reader;
  const node = value(top, "levels");
  if (node === undefined) return undefined;
  const before = problems.length;
  const items = list(top, "levels");
  if (problems.length > before) return undefined;
  if (items.length === 0 || items.length > MAX_LEVELS) {
    problems.push(`${place(node)}: levels: there may be 1 to ${MAX_LEVELS}`);
    return undefined;
  }
  return items.flatMap((item) => {
    const map = asMap(follow(item), "levels");
    if (map === undefined) return [];
    checkKeys(map, IN_LEVEL);
    const interval = duration(map, "interval", "long");
    if (interval === undefined && value(map, "interval") === undefined) {
      problems.push(`${place(map)}: levels: a level needs an interval`);
    }
    return interval === undefined ? [] : [interval.value];
  });
}

function readMap(map: YAMLMap, key: string, keys: KeySet, { value, asMap, checkKeys }: YmlReader): YAMLMap | undefined {
  const node: Node | undefined = value(map, key);
  const found = asMap(node, key);
  if (found !== undefined) checkKeys(found, keys);
  return found;
}

function keySet(what: string, ...keys: readonly string[]): KeySet {
  return { what, known: new Set(keys), followed: new Set(keys) };
}
