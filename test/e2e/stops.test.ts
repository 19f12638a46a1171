// No commit is lost by a stop, whoever stops, whatever the app ends with. More runs: npm run stops -- --runs 100

import { describe, expect, it } from "vitest";
import { STOP_CASES, stopAgainAndAgain } from "../support/stops.ts";

const RUNS = 20;

describe("a stop, with the volume thrown away after it", () => {
  it.each(STOP_CASES)(
    `loses no commit in ${RUNS} runs: $name`,
    async (stop) => {
      const { commits, lost, problems } = await stopAgainAndAgain(stop, { runs: RUNS, seed: 16 });
      expect(problems).toEqual([]);
      expect(commits).toBeGreaterThan(RUNS);
      expect(lost).toBe(0);
    },
    180_000,
  );
});
