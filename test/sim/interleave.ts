// One schedule, from its beginning to its verdict.

import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Driver } from "../../src/sqlite/driver.ts";
import type { App } from "./app.ts";
import { Dead } from "./life.ts";
import { SCENARIOS, type ScenarioName } from "./scenarios.ts";
import { parseSchedule } from "./schedule.ts";
import { createStage } from "./stage.ts";
import { Violation } from "./violation.ts";

export type Interleaving = {
  readonly scenario: ScenarioName;
  /** As formatSchedule() gives it. */
  readonly schedule: string;
  readonly withStatements: boolean;
  readonly withTrace: boolean;
};

export type InterleavingVerdict = {
  /** What must never be, and was. */
  readonly violation: string | undefined;
  /** True where a place of the schedule never came. */
  readonly isVoid: boolean;
  /** The labels that the scenario came by, in turn. */
  readonly labels: readonly string[];
  /** Why the whole database was copied, each time but the first; all of these had to be. */
  readonly fullCopies: readonly string[];
  readonly trace: readonly string[];
};

export async function interleave({
  scenario,
  schedule: text,
  withStatements,
  withTrace,
  app,
  driver,
}: Interleaving & { readonly app: App; readonly driver: Driver }): Promise<InterleavingVerdict> {
  const schedule = parseSchedule(text);
  const labels: string[] = [];
  const trace: string[] = [];
  const times = new Map<string, number>();
  let isPlaying = false;
  let done = 0;

  function at(label: string): void {
    if (!isPlaying) return;
    labels.push(label);
    const time = (times.get(label) ?? 0) + 1;
    times.set(label, time);
    for (let next = schedule[done]; next?.place.label === label && next.place.time === time; next = schedule[done]) {
      done += 1;
      stage.happen(next.what);
    }
  }

  /** While the keeper does nothing. */
  function apart(label: string): void {
    try {
      at(label);
    } catch (error) {
      if (!(error instanceof Dead)) throw error;
    }
  }

  const directory = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "flysqlite-sim-"));
  const say = (what: string) => {
    if (withTrace) trace.push(what);
  };
  const stage = createStage({ directory, app, driver, at, withStatements, say });
  let violation: string | undefined;
  try {
    const { prepare, play } = SCENARIOS[scenario];
    stage.open();
    await prepare(stage);
    const { lastTxid } = stage;
    isPlaying = true;
    apart("begin");
    await play(stage);
    apart("end");
    isPlaying = false;
    await stage.settle();
    await stage.check(lastTxid);
  } catch (error) {
    violation = error instanceof Violation ? error.message : String(error instanceof Error ? error.stack : error);
  } finally {
    stage.end();
  }
  return { violation, isVoid: done < schedule.length, labels, fullCopies: stage.fullCopies.slice(1), trace };
}
