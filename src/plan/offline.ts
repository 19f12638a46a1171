// What a start will do, as far as it can be told without asking the replica: for `run --dry --offline`. Pure.
// Nobody performs such a plan: which copy of the database is right, only the replica can tell.

import { type FlysqliteError, toFlysqliteError } from "../base/errors.ts";
import { formatBytes } from "../base/format.ts";
import type { Settings } from "../config/settings.ts";
import type { Facts } from "./facts.ts";
import { decidePlacement, type Placement } from "./placement.ts";
import { launchLine, linkLine, migrateLine, migrationsRefused, type PlanLine } from "./plan.ts";

const NOT_ASKED = "the replica was not asked: --offline";

export type OfflineFacts = Facts & { readonly unasked: NonNullable<Facts["unasked"]> };

/** The plan's lines, or every reason found so far why a start would fail. */
export function planOffline(
  facts: OfflineFacts,
  settings: Settings,
): { readonly lines: readonly PlanLine[] } | readonly FlysqliteError[] {
  const { volume, database, migrations, unborn, unasked } = facts;
  const placement = decide(facts);
  const problems = "kind" in placement ? [] : [placement.problem];
  const isThere = database.state === "present" && !unborn;
  if (isThere && migrations?.kind === "refused") problems.push(migrationsRefused(migrations));
  if (!("kind" in placement) || problems.length > 0) return problems;

  const moved = placement.kind === "link" && placement.before === "move the file to the volume";
  const seed = settings.seed?.value ?? facts.manifest.seed;
  const fenced = settings.fence.value !== "off";
  const lines: PlanLine[] = [
    { step: "volume", action: `use ${volume.path}`, reason: volume.source },
    ...(fenced ? [{ step: "lease", action: "take the replica's", reason: NOT_ASKED } as const] : []),
    linkLine(placement, facts),
    isThere || moved ? kept(facts) : restored(facts),
    migrateLine(
      isThere || moved
        ? { kind: "keep", why: "it is on the volume", position: undefined }
        : { kind: "restore", why: NOT_ASKED },
      facts,
    ),
    seedLine(seed, isThere || moved),
    { step: "replicate", action: `to ${unasked.address} (${unasked.source})`, reason: NOT_ASKED },
    launchLine(facts),
  ];
  return { lines };
}

function decide(facts: Facts): Placement | { readonly problem: FlysqliteError } {
  try {
    return decidePlacement({ ...facts, replicaHasHistory: false });
  } catch (error) {
    return { problem: toFlysqliteError(error) };
  }
}

function kept({ database }: Facts): PlanLine {
  const size = database.state === "present" ? `, ${formatBytes(database.sizeBytes)}` : "";
  return {
    step: "restore",
    action: "nothing, unless the replica is ahead of the volume",
    reason: `the database is on the volume${size}; ${NOT_ASKED}`,
  };
}

function restored({ database, unasked }: OfflineFacts): PlanLine {
  return {
    step: "restore",
    action: `restore ${database.path} from ${unasked.address}, if that holds its history; else make a new database`,
    reason: `the volume has none; ${NOT_ASKED}`,
  };
}

function seedLine(seed: string | undefined, isThere: boolean): PlanLine {
  if (seed === undefined) return { step: "seed", action: "nothing", reason: "no seed is configured" };
  if (isThere) return { step: "seed", action: "nothing", reason: "the database exists" };
  return { step: "seed", action: `run ${seed}, if the database is made anew`, reason: NOT_ASKED };
}
