// A sample of what `npm run kill-everywhere` does in full.

import { describe, expect, it } from "vitest";
import { whyNoKillPoints } from "../support/kill-points.ts";
import { prepareScenario, SCENARIOS } from "../support/kill-scenarios.ts";

/** Of each scenario; spread over its course. */
const KILLS = 4;

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
        const point = points[Math.floor(((kill + 0.5) / KILLS) * points.length)];
        if (point === undefined) throw new Error("there are points enough");
        const victim = kill % 2 === 0 ? "everyone" : "it";
        expect(await prepared.try(point, victim), `${victim} at ${JSON.stringify(point)}`).toEqual({
          reached: true,
          wrong: undefined,
        });
      }
    },
  );
});
