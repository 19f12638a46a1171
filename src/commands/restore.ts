// `flysqlite restore`: a database from the replica, as it was at any point that the replica holds.

import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { FlysqliteError } from "../base/errors.ts";
import { info, type Log, warn } from "../base/events.ts";
import { formatBytes, formatDuration } from "../base/format.ts";
import type { CommandLine } from "../cli/arguments.ts";
import { chooseFormat } from "../replica/choose.ts";
import { hasHistory, inspectReplica, type ReplicaContent } from "../replica/inspect.ts";
import type { LtxFileInfo } from "../replica/ltx/names.ts";
import { planRestore } from "../replica/ltx/plan.ts";
import { parseTxid } from "../replica/ltx/txid.ts";
import { findPoint } from "../replica/migration-points.ts";
import { type Integrity, type RestorePlan, type RestoreProgress, restoreTo } from "../replica/restore-to.ts";
import { parseGeneration, parseWalIndex } from "../replica/v03/names.ts";
import { planV03, type V03Target } from "../replica/v03/plan.ts";
import type { StepContext } from "../steps/context.ts";
import { lockDatabase } from "../steps/lock.ts";
import { noteRestored } from "../steps/note-restored.ts";
import { stateDirectory } from "../steps/places.ts";
import { removeUnfinished } from "../steps/unfinished.ts";
import type { ObjectStore } from "../storage/store.ts";
import { findDatabase, findReplica, requireHistory } from "./locate.ts";

export type RestoreWords = Omit<Extract<CommandLine, { kind: "restore" }>, "kind" | "flags">;

export type RestoreTelling = {
  readonly log: Log;
  /** Takes text for stdout. */
  readonly print: (text: string) => void;
  readonly progress: (progress: RestoreProgress) => void;
};

export async function restoreCommand(
  words: RestoreWords,
  context: StepContext,
  telling: RestoreTelling,
): Promise<void> {
  const { clock, signal } = context;
  const integrity = parseIntegrity(words.integrity ?? "quick");
  const asked = parseTarget(words);
  const output = words.output === undefined ? undefined : resolve(context.settings.appDirectory, words.output);
  const found = await findReplica(context, { output });
  if (words.ifReplicaExists && !hasHistory(found.content)) {
    telling.log(info("restore", `nothing: ${found.store.address} is empty`));
    return;
  }
  requireHistory(found);
  const { store } = found;
  let { content } = found;
  const target = await resolveTarget(asked, store, signal);
  let plan = await planFor(target, { store, content, signal });
  if (words.dry) return telling.print(describePlan(plan));

  const path = output ?? (await findDatabase(context));
  if (existsSync(path) && !words.force) {
    throw new FlysqliteError("E_USAGE", `Cannot restore to "${path}": a file is there`, {
      hint: "Name another path with -o, or use --force: the file is moved aside once the new one is verified",
    });
  }
  const driver = await context.sqlite(dirname(path));
  const isApps = output === undefined;
  using _lock = isApps || existsSync(stateDirectory(path)) ? await lockDatabase(path, driver) : undefined;
  if (isApps) {
    // A keeper that had the lock until now has shipped its last commits.
    content = await inspectReplica(store, { signal });
    plan = await planFor(target, { store, content, signal });
  }
  const startedMs = clock.monotonic();
  const restored = await restoreTo({
    store,
    plan,
    target: path,
    driver,
    clock,
    signal,
    integrity,
    replaces: words.force,
    // The next start finds a database that it knows, and goes on from it.
    ...(isApps ? { verified: (image) => noteRestored(path, { store, content, restored: image }, context) } : {}),
    progress: telling.progress,
    replan: async () => planFor(target, { store, content: await inspectReplica(store, { signal }), signal }),
  });
  for (const aside of restored.movedAside) telling.log(info("restore", `what was there is kept as ${aside}`));
  if (existsSync(stateDirectory(path))) await removeUnfinished(path); // what was to be put back is no longer there
  for (const note of restored.notes) telling.log(warn("restore", note));
  const took = formatDuration(clock.monotonic() - startedMs);
  const size = formatBytes(restored.sizeBytes);
  telling.log(info("restore", `${path}: ${size} from ${restored.fileCount} objects in ${took}, verified`));
}

/** The point before a migration, as its transaction. */
async function resolveTarget(asked: AskedTarget, store: ObjectStore, signal: AbortSignal): Promise<Target> {
  if (asked.kind !== "before migration") return asked;
  const point = await findPoint(store, asked.name, { signal });
  if (point !== undefined) return { kind: "txid", txid: point.txid };
  throw new FlysqliteError(
    "E_REPLICA_GAP",
    `Cannot restore from "${store.address}": it notes no point before the migration "${asked.name}"`,
    {
      hint: "Only migrations of a database with data have one, while it was replicated; see `flysqlite snapshots --all`",
    },
  );
}

type AskedTarget = Target | { readonly kind: "before migration"; readonly name: string };

type Target =
  | { readonly kind: "latest" }
  | { readonly kind: "txid"; readonly txid: ReturnType<typeof parseTxid> }
  | { readonly kind: "timestamp"; readonly ms: number }
  | { readonly kind: "v03"; readonly target: V03Target };

function parseTarget({ timestamp, txid, beforeMigration, generation, index }: RestoreWords): AskedTarget {
  if ([timestamp, txid, beforeMigration, generation].filter((word) => word !== undefined).length > 1) {
    throw usage("--timestamp, --txid, --before-migration and --generation exclude each other");
  }
  if (beforeMigration !== undefined) return { kind: "before migration", name: beforeMigration };
  if (index !== undefined && generation === undefined) throw usage("--index goes with --generation");
  if (txid !== undefined) {
    if (!/^[0-9a-f]{1,16}$/i.test(txid)) throw usage(`--txid "${txid}" is not up to 16 hex digits`);
    return { kind: "txid", txid: parseTxid(txid.toLowerCase().padStart(16, "0")) };
  }
  if (timestamp !== undefined) return { kind: "timestamp", ms: parseTime(timestamp) };
  if (generation === undefined) return { kind: "latest" };
  const named = parseGeneration(generation);
  if (named === undefined) throw usage(`--generation "${generation}" is not 16 hex digits`);
  if (index === undefined) return { kind: "v03", target: { kind: "latest", generation: named } };
  const log = /^[0-9a-f]{1,8}$/i.test(index) ? parseWalIndex(Number.parseInt(index, 16)) : undefined;
  if (log === undefined) throw usage(`--index "${index}" is not up to 8 hex digits`);
  return { kind: "v03", target: { kind: "index", index: log, generation: named } };
}

/** A time with its zone, as RFC 3339 writes it, in milliseconds since the Unix epoch. */
function parseTime(text: string): number {
  const ms = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/i.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (Number.isNaN(ms)) throw usage(`--timestamp "${text}" is no time such as 2026-11-24T09:30:00Z`);
  return ms;
}

function parseIntegrity(text: string): Integrity {
  if (text === "full" || text === "quick" || text === "none") return text;
  throw usage(`--integrity "${text}" is none of full, quick, none`);
}

function usage(problem: string): FlysqliteError {
  return new FlysqliteError("E_USAGE", `Cannot restore: ${problem}`, { hint: "See `flysqlite restore --help`" });
}

async function planFor(
  target: Target,
  {
    store,
    content,
    signal,
  }: { readonly store: ObjectStore; readonly content: ReplicaContent; readonly signal: AbortSignal },
): Promise<RestorePlan> {
  const { files, v03 } = content;
  if (target.kind === "v03") return { format: "v03", plan: planV03(v03, target.target) };
  const ltx = target.kind === "timestamp" ? await withExactTimes(files, { store, signal }) : files;
  const { format } = chooseFormat({ ltx, v03, target });
  if (format === "ltx" || target.kind === "txid") return { format: "ltx", files: planRestore(ltx, target) };
  return { format, plan: planV03(v03, target) };
}

/** How many objects are asked for their time at once, where a listing doesn't tell it exactly. */
const TIMES_AT_ONCE = 32;

async function withExactTimes(
  files: readonly LtxFileInfo[],
  { store, signal }: { readonly store: ObjectStore; readonly signal: AbortSignal },
): Promise<readonly LtxFileInfo[]> {
  const exact: LtxFileInfo[] = [];
  for (let at = 0; at < files.length; at += TIMES_AT_ONCE) {
    const some = files.slice(at, at + TIMES_AT_ONCE);
    const times = await Promise.all(some.map((file) => store.exactTime(file, { signal })));
    exact.push(...some.map((file, i) => ({ ...file, modifiedMs: times[i] ?? file.modifiedMs })));
  }
  return exact;
}

function describePlan(plan: RestorePlan): string {
  const objects = plan.format === "ltx" ? plan.files : [plan.plan.snapshot, ...plan.plan.segments];
  const total = objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const lines = objects.map(({ key, sizeBytes }) => `${formatBytes(sizeBytes).padStart(9)}  ${key}`);
  return `${[...lines, `${formatBytes(total).padStart(9)}  in ${objects.length} objects`].join("\n")}\n`;
}
