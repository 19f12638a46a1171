// What a start will do, as a value: `run --dry` prints it, `run` performs it. Pure.

import { assert } from "../base/assert.ts";
import { FlysqliteError, toFlysqliteError } from "../base/errors.ts";
import type { Step } from "../base/events.ts";
import { formatBytes, formatCount, formatDuration } from "../base/format.ts";
import type { Settings } from "../config/settings.ts";
import type { Refusal } from "../prisma/ledger.ts";
import { chooseFormat } from "../replica/choose.ts";
import { hasHistory, type ReplicaContent } from "../replica/inspect.ts";
import { describeHolder, LEASE_TIMES, nextEpoch, type Standing, standingOf } from "../replica/lease/rules.ts";
import { planRestore } from "../replica/ltx/plan.ts";
import { planV03 } from "../replica/v03/plan.ts";
import { type CopyDecision, decideCopy } from "./copy.ts";
import type { Facts } from "./facts.ts";
import { decidePlacement, type Placement } from "./placement.ts";

export type PlanLine = {
  readonly step: Step;
  /** What will be done, or "nothing". */
  readonly action: string;
  readonly reason: string;
};

export type Plan = {
  readonly facts: Facts;
  readonly placement: Placement;
  readonly copy: CopyDecision;
  /** The seed command, where it will run. */
  readonly seed: string | undefined;
  readonly lines: readonly PlanLine[];
};

/** Decides all, or gives every reason why a start would fail. */
export function makePlan(facts: Facts, settings: Settings): Plan | readonly FlysqliteError[] {
  const problems: FlysqliteError[] = [];
  const decide = <Value>(decision: () => Value): Value | undefined => {
    try {
      return decision();
    } catch (error) {
      problems.push(toFlysqliteError(error));
      return undefined;
    }
  };
  const replicaHasHistory = facts.replica !== undefined && hasHistory(facts.replica);
  const found = decide(() => decideCopy(facts, settings.onStaleVolume.value));
  const placement = decide(() => decidePlacement({ ...facts, replicaHasHistory }));
  // A file that is moved to the volume is an existing database too: nothing is created then.
  const moved = placement?.kind === "link" && placement.before === "move the file to the volume";
  const copy: CopyDecision | undefined = moved
    ? { kind: "keep", why: "it is moved to the volume", position: undefined }
    : found;
  if (copy?.kind === "keep" && facts.migrations?.kind === "refused") problems.push(migrationsRefused(facts.migrations));
  const { replica } = facts;
  const format = copy?.kind === "restore" && replica ? decide(() => decideFormat(replica)) : undefined;
  if (copy === undefined || placement === undefined || problems.length > 0) return problems;

  const seedCommand = settings.seed?.value ?? facts.manifest.seed;
  const isUnseeded = copy.kind === "keep" && facts.unfinished?.what === "seed" && facts.unfinished.isNew;
  const seed = copy.kind === "create" || isUnseeded ? seedCommand : undefined;
  const lines: PlanLine[] = [
    { step: "volume", action: `use ${facts.volume.path}`, reason: facts.volume.source },
    ...leaseLines(facts, settings),
    linkLine(placement, facts),
    restoreLine(copy, facts),
    migrateLine(copy, facts),
    seedLine({ seed, configured: seedCommand, copy }),
    replicateLine({ copy, format, facts }),
    launchLine(facts),
  ];
  return { facts, placement, copy, seed, lines };
}

/** In which of Litestream's formats the newest state is. Fails where that can't be restored, before anything is done. */
function decideFormat({ files, v03 }: ReplicaContent): "ltx" | "v03" {
  const target = { kind: "latest" } as const;
  const { format } = chooseFormat({ ltx: files, v03, target });
  if (format === "ltx") planRestore(files, target);
  else planV03(v03, target);
  return format;
}

/** Prisma's refusal, as a failure of ours. */
export function migrationsRefused({ code, message, wayOut }: Refusal): FlysqliteError {
  return new FlysqliteError("E_MIGRATE", `Cannot migrate: ${code} ${message.split("\n")[0] ?? ""}`, {
    problems: message
      .split("\n")
      .slice(1)
      .filter((line) => line !== ""),
    hint: wayOut,
  });
}

export function linkLine(placement: Placement, { url, database }: Facts): PlanLine {
  if (placement.kind === "direct")
    return { step: "link", action: "nothing", reason: `${url.source} leads to ${database.path}` };
  if (placement.kind === "variable") {
    return {
      step: "link",
      action: `set ${placement.name}=${placement.url} for the app`,
      reason: `${url.source} holds the url`,
    };
  }
  if (placement.before === "already linked")
    return { step: "link", action: "nothing", reason: `${placement.from} is linked` };
  const first = placement.before === "nothing" ? "" : `${placement.before}, then `;
  return { step: "link", action: `${first}link ${placement.from} to ${placement.to}`, reason: `${url.source} says so` };
}

/** Where there is a replica: who may write to it, as things stand. */
function leaseLines({ replica, lease }: Facts, { fence }: Settings): readonly PlanLine[] {
  const line = (action: string, reason: string): readonly PlanLine[] => [{ step: "lease", action, reason }];
  if (replica === undefined) return [];
  if (lease === undefined) {
    return fence.value === "off"
      ? line("nothing: whether another machine writes there is not asked", fence.source)
      : [];
  }
  const standing = standingOf(lease);
  const take = `take the replica's, epoch ${nextEpoch(lease)}`;
  switch (standing.kind) {
    case "absent":
      return line(`${take}, if the store keeps to conditions`, "nobody has had it yet");
    case "released":
      return line(take, `machine "${standing.content.machine}" released it`);
    case "own":
      return line(take, "this volume has it, from a run that did not release it");
    case "held":
      return line(
        `wait for the replica's for up to ${formatDuration(LEASE_TIMES.waitMs)}, then take it`,
        holder(standing),
      );
  }
}

function holder({ content }: Extract<Standing, { kind: "held" }>): string {
  return `${describeHolder(content)}, has it`;
}

function restoreLine(copy: CopyDecision, { replica, database, unfinished }: Facts): PlanLine {
  if (copy.kind === "keep" && unfinished !== undefined) {
    const action = `put ${database.path} back to what it was before ${unfinished.names.join(", ")}`;
    return { step: "restore", action, reason: "an earlier start was cut off there" };
  }
  if (copy.kind !== "restore") {
    const size = database.state === "present" ? `, ${formatBytes(database.sizeBytes)}` : "";
    return { step: "restore", action: "nothing", reason: copy.kind === "keep" ? `${copy.why}${size}` : copy.why };
  }
  const { files = [], v03 } = replica ?? {};
  const count = files.length + (v03?.snapshots.length ?? 0) + (v03?.segments.length ?? 0);
  const first = copy.stale === true ? `move ${database.path} aside, then ` : "";
  return {
    step: "restore",
    action: `${first}restore ${database.path} from ${replica?.address}`,
    reason: `${copy.why}, the replica has ${count} objects`,
  };
}

export function migrateLine(copy: CopyDecision, facts: Facts): PlanLine {
  const { manifest, manifestSource, migrations, unfinished } = facts;
  const bundled = `${manifest.migrations.length} in ${manifestSource}`;
  if (copy.kind === "create")
    return {
      step: "migrate",
      action: `apply ${formatCount(manifest.migrations.length, "migration")}`,
      reason: "the database is new",
    };
  if (copy.kind === "restore")
    return { step: "migrate", action: "apply what the restored database lacks", reason: bundled };
  if (migrations === undefined && unfinished !== undefined)
    return { step: "migrate", action: "apply what the database lacks once it is put back", reason: bundled };
  // A file that is moved to the volume is looked into once it is there.
  if (migrations === undefined)
    return { step: "migrate", action: "apply what the moved database lacks", reason: bundled };
  if (migrations.kind === "up-to-date") {
    const { unknown } = migrations;
    const newer = unknown.length === 0 ? "" : `, and ${unknown.length} more by a newer release`;
    return { step: "migrate", action: "nothing", reason: `all applied, ${bundled}${newer}` };
  }
  assert(migrations.kind === "pending", "a refusal makes no plan");
  return { step: "migrate", action: `apply ${migrations.names.join(", ")}`, reason: `pending of ${bundled}` };
}

function seedLine({
  seed,
  configured,
  copy,
}: {
  readonly seed: string | undefined;
  readonly configured: string | undefined;
  readonly copy: CopyDecision;
}): PlanLine {
  if (seed !== undefined) return { step: "seed", action: `run ${seed}`, reason: "the database is new" };
  if (configured === undefined) return { step: "seed", action: "nothing", reason: "no seed is configured" };
  const why = copy.kind === "restore" ? "the database is restored, not created" : "the database exists";
  return { step: "seed", action: "nothing", reason: why };
}

function replicateLine({
  copy,
  format,
  facts: { replica },
}: {
  readonly copy: CopyDecision;
  readonly format: "ltx" | "v03" | undefined;
  readonly facts: Facts;
}): PlanLine {
  if (replica === undefined)
    return {
      step: "replicate",
      action: "nothing",
      reason: "no replica is configured: lost with the volume, the data is lost",
    };
  // The history of Litestream 0.3 is read and never written on.
  const continues = format === "ltx" || (copy.kind === "keep" && copy.position !== undefined);
  const how = continues ? "it continues from there" : "begins with a copy of the whole database";
  return { step: "replicate", action: `to ${replica.address} (${replica.source})`, reason: how };
}

export function launchLine({ command }: Facts): PlanLine {
  return { step: "launch", action: [command.file, ...command.arguments].join(" "), reason: command.source };
}
