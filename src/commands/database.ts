// What the commands need that change the app's database by hand: the look of a start, and its lock.

import type { AppBundle } from "../steps/app-bundle.ts";
import type { StepContext } from "../steps/context.ts";
import type { Leased } from "../steps/lease.ts";

/** Locks the database and takes its replica's lease as a start does, puts it back where that is unfinished business, and plans. */
export type LockAndPlan = (bundle: AppBundle, context: StepContext) => Promise<Disposable & Leased>;

/** A start's settings, with ourselves in the place of the app's command, which is not to be launched. */
export function withoutApp(context: StepContext): StepContext {
  return { ...context, settings: { ...context.settings, command: [context.program[0]] } };
}
