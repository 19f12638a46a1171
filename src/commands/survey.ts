// What a start would find and do, looked at as a whole: for `run --dry` and `doctor`. Changes nothing.

import { type FlysqliteError, toFlysqliteError } from "../base/errors.ts";
import { listSettings, type SettingRow } from "../config/list-settings.ts";
import type { Facts } from "../plan/facts.ts";
import { planOffline } from "../plan/offline.ts";
import { makePlan, type PlanLine } from "../plan/plan.ts";
import { type AppUser, type Inside, makeReport, type StartReport } from "../plan/report.ts";
import { openBundle } from "../steps/app-bundle.ts";
import type { StepContext } from "../steps/context.ts";
import { lookInside } from "../steps/look-inside.ts";
import { findVolume, type Observed, observeAll } from "../steps/observe.ts";

/** What a start is told that is no part of the settings: it counts before they are read. */
export type ToldEarly = { readonly user: AppUser; readonly settings: readonly SettingRow[] };

/** Looks, plans and reports. With `mayLackCommand` it is no problem where no command of the app is told or found. */
export async function survey(
  context: StepContext,
  early: ToldEarly,
  { mayLackCommand = false }: { readonly mayLackCommand?: boolean } = {},
): Promise<StartReport> {
  const report = await surveyAll(context, early);
  const isUntold = context.settings.command.length === 0;
  if (!mayLackCommand || !isUntold || !report.problems.some(({ code }) => code === "E_COMMAND_NOT_FOUND"))
    return report;
  // Any program will do to see what else there is.
  const settings = { ...context.settings, command: [context.program[0]] };
  const { command: _, steps, notLookedAt, ...others } = await surveyAll({ ...context, settings }, early);
  return {
    ...others,
    notLookedAt: [...notLookedAt, "the app's command: none was given"],
    steps: steps.filter(({ step }) => step !== "launch"),
  };
}

async function surveyAll(context: StepContext, early: ToldEarly): Promise<StartReport> {
  const { settings } = context;
  const observed = await observeProject(context);
  const found = observed.facts ?? observed.found;
  const planned = observed.facts === undefined ? observed.problems : planOf(observed.facts, context);
  const { database } = found;
  return makeReport({
    found,
    inside: database?.state === "present" ? await quietly(() => lookInside(database.path, context)) : undefined,
    settings: [...listSettings(settings), ...early.settings],
    notes: settings.notes,
    warning: "lines" in planned ? planned.warning : undefined,
    user: early.user,
    steps: "lines" in planned ? planned.lines : [],
    problems: "lines" in planned ? [] : planned,
  });
}

/** A project that can't be read is one problem, and the reason why nothing but the volume was found. */
async function observeProject(context: StepContext): Promise<Observed> {
  try {
    return await observeAll(await openBundle(context), context);
  } catch (error) {
    context.signal.throwIfAborted();
    return { facts: undefined, found: { volume: volumeOf(context) }, problems: [toFlysqliteError(error)] };
  }
}

function volumeOf({ settings }: StepContext): Facts["volume"] | undefined {
  try {
    return findVolume(settings);
  } catch {
    return undefined; // a start would not get so far as to tell
  }
}

type Planned = { readonly lines: readonly PlanLine[]; readonly warning?: string | undefined };

function planOf(facts: Facts, { settings }: StepContext): Planned | readonly FlysqliteError[] {
  const { unasked } = facts;
  if (unasked !== undefined) return planOffline({ ...facts, unasked }, settings);
  const plan = makePlan(facts, settings);
  if (!("lines" in plan)) return plan;
  return { lines: plan.lines, warning: plan.copy.kind === "keep" ? plan.copy.warning : undefined };
}

/** What is only told for people must not refuse what would start. */
async function quietly(look: () => Promise<Inside | undefined>): Promise<Inside | undefined> {
  try {
    return await look();
  } catch {
    return undefined;
  }
}
