// `flysqlite doctor`: the dry run, and probes of all that a start and its replication depend on. What a probe writes it
// removes.

import { basename } from "node:path";
import { FAILURES, type FlysqliteError, toFlysqliteError } from "../base/errors.ts";
import { renderDiagnosis, renderFinding } from "../cli/render-doctor.ts";
import { renderReport, reportAsJson } from "../cli/render-report.ts";
import { attempt, type Finding, failed, ok, skipped, warning } from "../doctor/finding.ts";
import { makeProbeDirectory } from "../doctor/probe-directory.ts";
import { findAppLibraries, judgeAppSqlite, judgeOwnSqlite } from "../doctor/sqlite-versions.ts";
import { judgeClock, probeAccess, probeLease } from "../doctor/store.ts";
import { withoutTraces } from "../doctor/traceless.ts";
import { judgeRoom, judgeSync, measureSync, probeNotices, probeWalMode, readRoom } from "../doctor/volume.ts";
import { refusedReport, type StartReport } from "../plan/report.ts";
import type { StepContext } from "../steps/context.ts";
import type { Telling } from "./dry-run.ts";
import { survey, type ToldEarly } from "./survey.ts";

/** Gives the exit status: 0 where nothing failed, else that of the first failure. */
export async function doctorCommand(
  context: StepContext,
  early: ToldEarly,
  { json, print, answer, keeperSqlite }: Omit<Telling, "tell"> & { readonly keeperSqlite: StepContext["sqlite"] },
): Promise<number> {
  const report = await survey(context, early, { mayLackCommand: true });
  if (!json) print(`${renderReport(report, context.clock.now())}\n`);
  const findings: Finding[] = [];
  for await (const finding of examine(report, { ...context, keeperSqlite })) {
    findings.push(finding);
    if (!json) print(renderFinding(finding));
  }
  if (json) answer(asJson(findings, report));
  else print(`\n${renderDiagnosis(findings)}`);
  return exitStatusOf(findings);
}

/** The answer where not even the settings could be read, so that nothing else could be looked at. */
export function refusedDoctor(problems: readonly FlysqliteError[]): object {
  const report = refusedReport(problems);
  return asJson(startFindings(report), report);
}

function asJson(findings: readonly Finding[], report: StartReport): object {
  const exitStatus = exitStatusOf(findings);
  return { ok: exitStatus === 0, exitStatus, findings, start: reportAsJson(report) };
}

function exitStatusOf(findings: readonly Finding[]): number {
  const failure = findings.find(({ result }) => result === "failed")?.code;
  return failure === undefined ? 0 : FAILURES[failure].exitStatus;
}

type Context = StepContext & { readonly keeperSqlite: StepContext["sqlite"] };

/** Each finding as soon as it is there. */
async function* examine(report: StartReport, context: Context): AsyncGenerator<Finding, void, void> {
  yield* startFindings(report);
  yield* await storeFindings(report, context);
  yield* volumeFindings(report, context);
  yield* sqliteFindings(report, context);
}

function startFindings({ ok: isOk, problems, notLookedAt, warnings, user }: StartReport): readonly Finding[] {
  const but = notLookedAt.length === 0 ? "" : `, as far as was looked; not at ${notLookedAt.join(", nor at ")}`;
  const start = isOk ? [ok("start", `would go ahead${but}`)] : problems.map((problem) => failed("start", problem));
  const odd = warnings.map((text) => warning("start", text, "Look whether that is meant; docs/plan.md says more"));
  if (user?.isKnown !== false) return [...start, ...odd];
  const unknown = `this system has no user "${user.name}" (${user.source})`;
  return [...start, ...odd, warning("user", unknown, "Name a user of the image, or its numbers, such as 1000:1000")];
}

async function storeFindings(report: StartReport, context: Context): Promise<readonly Finding[]> {
  try {
    return await probeStore(report, context);
  } catch (error) {
    context.signal.throwIfAborted();
    return [failed("replica", toFlysqliteError(error))];
  }
}

async function probeStore({ database }: StartReport, context: Context): Promise<readonly Finding[]> {
  const { settings, isOffline, signal } = context;
  const place = settings.replica?.value;
  if (place === undefined) return [skipped("replica", "none is configured")];
  if (isOffline === true && place.kind === "s3") return [skipped("replica", "not asked: --offline")];
  if (database === undefined && place.kind === "s3" && place.pathByName)
    return [skipped("replica", "its path follows from the database's name, which is not known")];
  const { store } = (await context.replica(basename(database?.path ?? ""))) ?? {};
  if (store === undefined) return [skipped("replica", "none is configured")];

  const probe = async () => {
    const { access, written, canDelete } = await probeAccess(store, context);
    const clock = written === undefined ? skipped("clock", "there is no time to compare with") : judgeClock(written);
    if (settings.fence.value === "off")
      return [access, clock, skipped("lease", `not asked for: ${settings.fence.source}`)];
    if (!canDelete) return [access, clock, skipped("lease", "not tried: a probe could not be deleted again")];
    const isRequired = settings.fence.value === "required";
    return [access, clock, await attempt("lease", () => probeLease(store, { ...context, isRequired }), { signal })];
  };
  return place.kind === "file" ? withoutTraces(place.path, probe) : probe();
}

async function* volumeFindings(
  { volume, database }: StartReport,
  context: Context,
): AsyncGenerator<Finding, void, void> {
  if (volume === undefined) {
    yield skipped("volume", "there is none that can be used");
    return;
  }
  const { path } = volume;
  const databaseBytes = database?.sizeBytes ?? 0;
  yield await attempt("room", async () => judgeRoom(await readRoom(path), { databaseBytes }), context);
  let made: Awaited<ReturnType<typeof makeProbeDirectory>>;
  try {
    made = await makeProbeDirectory(path);
  } catch (error) {
    yield failed("volume", toFlysqliteError(error));
    return;
  }
  await using directory = made;
  yield await attempt("disk", async () => judgeSync(await measureSync(directory.path, context)), context);
  yield await attempt("notices", () => probeNotices(directory.path, context), context);
  yield await attempt("WAL mode", async () => probeWalMode(directory.path, await context.sqlite(path)), context);
}

async function* sqliteFindings(
  { volume }: StartReport,
  { settings, keeperSqlite, ...context }: Context,
): AsyncGenerator<Finding, void, void> {
  const databaseDirectory = volume?.path ?? settings.appDirectory;
  yield await attempt("SQLite", async () => judgeOwnSqlite(await keeperSqlite(databaseDirectory)), context);
  yield* judgeAppSqlite(findAppLibraries(settings.appDirectory));
}
