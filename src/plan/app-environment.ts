// The environment that the app, and its seed, run with. Pure.

import type { Placement } from "./placement.ts";

/** Litestream's names for the keys of a bucket: they are for whoever replicates. */
const REPLICATION_SECRETS: ReadonlySet<string> = new Set([
  "LITESTREAM_ACCESS_KEY_ID",
  "LITESTREAM_SECRET_ACCESS_KEY",
  "LITESTREAM_SESSION_TOKEN",
]);

/**
 * Ours, without what is for us alone, and with the database's url in the variable that the app reads, where it has
 * one. `AWS_*` stays, as apps use the same names for a bucket of their own, unless `shareAws` is false.
 */
export function appEnvironment(
  environment: NodeJS.ProcessEnv,
  { placement, shareAws }: { readonly placement: Placement; readonly shareAws: boolean },
): NodeJS.ProcessEnv {
  const kept = Object.entries(environment).filter(
    ([name]) =>
      !name.startsWith("FLYSQLITE_") && !REPLICATION_SECRETS.has(name) && (shareAws || !name.startsWith("AWS_")),
  );
  const url = placement.kind === "variable" ? { [placement.name]: placement.url } : {};
  return { ...Object.fromEntries(kept), ...url };
}
