// An app that commits until it is told to stop, stopped again and again, each time on a machine whose volume is then
// thrown away: what the next one restores must hold every commit that had returned.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { BARE, createBox, ROOT } from "./box.ts";
import { prisma6 } from "./project.ts";
import { seededRandom } from "./random.ts";

export type StopCase = {
  readonly name: string;
  readonly signal: "SIGTERM" | "SIGINT";
  /** Under an init of the platform's. */
  readonly init: boolean;
  /** How the app ends when it is told to. */
  readonly app: "0" | "3" | "default";
  readonly exitStatus: number;
  /** After which the platform kills all that is left, in milliseconds. */
  readonly graceMs: number;
};

export const STOP_CASES: readonly StopCase[] = [
  { name: "docker stop", signal: "SIGTERM", init: false, app: "0", exitStatus: 0, graceMs: 10_000 },
  {
    name: "docker stop, an app that ends with 143",
    signal: "SIGTERM",
    init: false,
    app: "default",
    exitStatus: 143,
    graceMs: 10_000,
  },
  { name: "docker stop, an app that fails", signal: "SIGTERM", init: false, app: "3", exitStatus: 3, graceMs: 10_000 },
  { name: "Fly's default: SIGINT under an init", signal: "SIGINT", init: true, app: "0", exitStatus: 0, graceMs: 5000 },
  {
    name: "SIGINT under an init, an app that ends with 130",
    signal: "SIGINT",
    init: true,
    app: "default",
    exitStatus: 130,
    graceMs: 5000,
  },
];

export type StopResult = {
  readonly stops: number;
  /** Commits that had returned, over all runs. */
  readonly commits: number;
  readonly lost: number;
  /** What a run had to say that did not end as it should. */
  readonly problems: readonly string[];
};

const COMMITTER = readFileSync(join(ROOT, "test/support/committer.mjs"), "utf8");

export async function stopAgainAndAgain(
  stop: StopCase,
  { runs, seed }: { readonly runs: number; readonly seed: number },
): Promise<StopResult> {
  using box = createBox({ executable: BARE, app: prisma6('env("DATABASE_URL")', { "committer.mjs": COMMITTER }) });
  const random = seededRandom(seed);
  const notes = join(box.app, "notes");
  let acknowledged = 0;
  let lost = 0;
  let commits = 0;
  const problems: string[] = [];
  // The last start only looks at what the last stop has left.
  for (let run = 0; run <= runs; run++) {
    writeFileSync(notes, "");
    const running = await box.start({
      words: ["node", "committer.mjs", "/app/notes", stop.app],
      environment: { DATABASE_URL: "file:./dev.db" },
      init: stop.init,
    });
    await running.line(/committing/);
    const [, count, last] = /found (\d+) rows, the last is (\d+)/.exec(running.output()) ?? [];
    if (count !== last) problems.push(`run ${run} found ${count} rows up to number ${last}: a hole`);
    lost += Math.max(0, acknowledged - Number(last));
    await delay(20 + random.unit() * 300);
    running.signal(stop.signal);
    const ended = await Promise.race([running.ended, delay(stop.graceMs, "late" as const)]);
    if (ended !== stop.exitStatus) problems.push(`run ${run} ended with ${ended}:\n${running.output()}`);
    if (ended === "late") await running.kill();
    const noted = readFileSync(notes, "utf8").trimEnd().split("\n").filter(Boolean);
    acknowledged = Math.max(acknowledged, Number(noted.at(-1) ?? 0));
    commits += noted.length;
    box.loseVolume();
  }
  return { stops: runs, commits, lost, problems };
}
