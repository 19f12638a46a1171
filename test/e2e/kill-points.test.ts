// A sample of what `npm run kill-everywhere` does in full.

import { describe, expect, it } from "vitest";
import { whyNoKillPoints } from "../support/kill-points.ts";
import { prepareScenario, SCENARIOS } from "../support/kill-scenarios.ts";

/** Of each scenario; spread over its course. */
const KILLS = 4;

/** One that a run does not come by, as its work was parted otherwise, is no kill: the next is tried. */
const POINTS_TO_REACH_ONE = 5;

describe("a start that is killed at a system call", () => {
  it("can be had here", () => expect(whyNoKillPoints()).toBeUndefined());

  it.each(SCENARIOS)(
    "is followed by one that comes to the right end: $name",
    { timeout: 180_000 },
    async (scenario) => {
      using prepared = await prepareScenario(scenario);
      const { points } = prepared;
      expect(points.length).toBeGreaterThan(15);
      for (let kill = 0; kill < KILLS; kill += 1) {
        const victim = kill % 2 === 0 ? "everyone" : "it";
        const from = Math.floor(((kill + 0.5) / KILLS) * points.length);
        let killed = false;
        for (const point of points.slice(from, from + POINTS_TO_REACH_ONE)) {
          const { reached, wrong } = await prepared.try(point, victim);
          expect(wrong, `${victim} at ${JSON.stringify(point)}`).toBeUndefined();
          killed = reached;
          if (killed) break;
        }
        expect(killed, `${victim} near ${JSON.stringify(points[from])}`).toBe(true);
      }
    },
  );
});
