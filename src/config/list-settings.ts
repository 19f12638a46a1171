// All settings as rows of text, each with where it was set. Pure.

import { formatDuration } from "../base/format.ts";
import { s3Address } from "../storage/s3/place.ts";
import type { ReplicaPlace } from "./replica-place.ts";
import type { Flag, Settings, Sourced } from "./settings.ts";
import { DEFAULT_VOLUME } from "./volume.ts";

export type SettingRow = {
  /** As the flag has it, without the dashes. */
  readonly name: Flag;
  readonly value: string;
  /** "--volume", "FLYSQLITE_VOLUME", "litestream.yml:4", "default". */
  readonly source: string;
};

/** Those that have a value, in the order in which --help lists them. */
export function listSettings(settings: Settings): readonly SettingRow[] {
  const rows: SettingRow[] = [];
  const add = <Value>(name: Flag, setting: Sourced<Value> | undefined, text: (value: Value) => string) => {
    if (setting !== undefined) rows.push({ name, value: text(setting.value), source: setting.source });
  };
  const asIs = (value: string) => value;
  const onOff = (value: boolean) => (value ? "on" : "off");
  add("volume", settings.volume ?? { value: DEFAULT_VOLUME, source: "default" }, asIs);
  add("database", settings.databaseUrl, asIs);
  add("replica", settings.replica, replicaText);
  add("sync-interval", settings.syncIntervalMs, formatDuration);
  add("stop-timeout", settings.stopTimeoutMs, formatDuration);
  add("seed", settings.seed, asIs);
  add("seed-timeout", settings.seedTimeoutMs, formatDuration);
  add("fence", settings.fence, asIs);
  add("on-stale-volume", settings.onStaleVolume, asIs);
  add("on-migration-failure", settings.onMigrationFailure, asIs);
  for (const hook of ["before-migrate", "after-migrate", "before-launch"] as const)
    add(hook, settings.hooks[hook], asIs);
  add("hook-timeout", settings.hookTimeoutMs, formatDuration);
  add("log", settings.log, asIs);
  add("restart", settings.restart, asIs);
  add("share-aws", settings.shareAws, onOff);
  add("keep-package-manager", settings.keepPackageManager, onOff);
  return rows;
}

function replicaText(place: ReplicaPlace): string {
  return place.kind === "file" ? place.path : s3Address(place.place);
}
