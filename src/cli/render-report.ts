// What `run --dry` prints: the facts, then the plan, then how a start would end. As text and as JSON. Pure.

import { formatBytes, formatDuration } from "../base/format.ts";
import type { LeaseReport, ReplicaReport, StartReport } from "../plan/report.ts";
import { singleLine } from "./render-event.ts";
import { problemsAsJson, renderSteps } from "./render-plan.ts";

type Row = readonly [name: string, text: string];

/** `nowMs`: milliseconds since the Unix epoch. Problems are left to the log, which tells each with its way out. */
export function renderReport(report: StartReport, nowMs: number): string {
  const facts = renderRows(factRows(report, nowMs));
  const steps = report.steps.length === 0 ? [] : [renderSteps(report.steps)];
  return [facts, ...steps, `${verdict(report)}\n`].join("\n");
}

/** As docs/plan.md describes it. */
export function reportAsJson({ problems, ...report }: StartReport) {
  return { ...report, problems: problemsAsJson(problems) };
}

function verdict({ ok, exitStatus, problems, notLookedAt }: StartReport): string {
  if (!ok) {
    const many = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    return `A start would be refused with status ${exitStatus}: ${many}`;
  }
  return notLookedAt.length === 0 ? "A start would go ahead" : "A start would go ahead, as far as was looked";
}

function factRows(report: StartReport, nowMs: number): readonly Row[] {
  const { volume, database, link, replica, lease, migrations, seed, command, user, settings, notes } = report;
  const rows: Row[] = [];
  const row = (name: string, text: string | undefined) => void (text !== undefined && rows.push([name, text]));
  row(
    "volume",
    volume && `${volume.path} (${volume.source})${volume.isMountPoint ? ", a mount point" : ", no mount point"}`,
  );
  row("database", database && databaseText(database));
  row("link", link && linkText(link));
  row("replica", replica && replicaText(replica, nowMs));
  row("lease", lease && leaseText(lease));
  if (migrations !== undefined) rows.push(...migrationRows(migrations));
  row("seed", seed ? `${seed.command} (${seed.source})` : migrations && "none is configured");
  row("command", command && `${[command.file, ...command.arguments].join(" ")} (${command.source})`);
  row("user", user && userText(user));
  for (const { name, value, source } of settings)
    if (source !== "default" && !TOLD_ABOVE.has(name)) row("setting", `--${name} ${value} (${source})`);
  for (const note of notes) row("no effect", note);
  for (const text of report.warnings) row("warning", text);
  for (const what of report.notLookedAt) row("not seen", what);
  return rows;
}

/** Settings whose value and source are in a row of their own. */
const TOLD_ABOVE: ReadonlySet<string> = new Set(["volume", "replica", "seed", "user"]);

function databaseText({ path, state, sizeBytes, journalMode, lastMigration }: NonNullable<StartReport["database"]>) {
  if (state !== "present") return `${path}, ${state === "absent" ? "not there" : "an empty file"}`;
  const mode = { wal: ", in WAL mode", rollback: ", with a rollback journal" };
  const last = lastMigration && `, last migration ${lastMigration.name} (${lastMigration.startedAt})`;
  return `${path}, ${formatBytes(sizeBytes)}${journalMode ? mode[journalMode] : ""}${last ?? ""}`;
}

function linkText({ path, source, variable, found, target }: NonNullable<StartReport["link"]>): string {
  const reads = variable === undefined ? source : source === variable ? variable : `${variable}, from ${source}`;
  const what = {
    "on the volume": "on the volume",
    nothing: "nothing there yet",
    link: `a link to ${target}`,
    file: "a file there",
    "hard link": "a file with several names there",
    directory: "a directory there",
    other: "something that is no file there",
  }[found];
  return `the app opens ${path} (${reads}): ${what}`;
}

function replicaText(replica: ReplicaReport, nowMs: number): string {
  switch (replica.state) {
    case "none":
      return "none: lost with the volume, the data is lost";
    case "unknown":
      return `configured (${replica.source}), and nothing can be told of it`;
    case "not asked":
      return `${replica.address} (${replica.source}), not asked`;
    case "empty":
      return `${replica.address} (${replica.source}), empty`;
    case "history": {
      const { address, source, format, lastTransaction, objects, sizeBytes, newest } = replica;
      const place =
        format === "ltx" ? `LTX files up to transaction ${lastTransaction}` : "Litestream 0.3's generations";
      const age = formatAge(nowMs - Date.parse(newest));
      const count = objects === 1 ? "1 object" : `${objects} objects`;
      return `${address} (${source}), ${place}, ${count} of ${formatBytes(sizeBytes)}, the newest ${age} old`;
    }
  }
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** "12.0 s", "3 min 5 s", "5 h", "12 days". A clock that lags behind the store's makes no negative age. */
function formatAge(ms: number): string {
  if (ms >= 2 * DAY_MS) return `${Math.floor(ms / DAY_MS)} days`;
  if (ms >= 2 * HOUR_MS) return `${Math.floor(ms / HOUR_MS)} h`;
  return formatDuration(Math.max(0, ms));
}

function leaseText(lease: LeaseReport): string {
  switch (lease.state) {
    case "not asked":
      return "not asked";
    case "absent":
      return "nobody has had it yet";
    case "released":
      return `epoch ${lease.epoch}, released by machine "${lease.machine}"`;
    case "own":
      return `epoch ${lease.epoch}, this volume's, since ${lease.since}`;
    case "held":
      return `epoch ${lease.epoch}, held by machine "${lease.machine}" since ${lease.since}`;
  }
}

function migrationRows({ source, bundled, state, pending }: NonNullable<StartReport["migrations"]>): readonly Row[] {
  const told = {
    "up to date": "all applied",
    pending: `${pending.length} pending`,
    refused: "Prisma would refuse",
    unknown: "which are pending shows once the database is there",
  }[state];
  return [["migrations", `${bundled} in ${source}, ${told}`], ...pending.map((name): Row => ["", name])];
}

function userText({ name, source, isRoot, isKnown }: NonNullable<StartReport["user"]>): string {
  if (!isKnown) return `${name} (${source}), whom this system does not know`;
  return isRoot ? `${name} (${source}), who may do everything` : `${name} (${source})`;
}

function renderRows(rows: readonly Row[]): string {
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `${name.padEnd(width)}  ${singleLine(text)}\n`).join("");
}
