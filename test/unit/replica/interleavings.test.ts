import { afterAll, describe, expect, it } from "vitest";
import { createInterleavingsPool, type InterleavingsOptions, runInterleavings } from "../../sim/interleavings.ts";
import { SCENARIO_NAMES } from "../../sim/scenarios.ts";
import { formatSchedule, INTERJECTIONS, parseSchedule, schedules, toPlaces } from "../../sim/schedule.ts";

const pool = createInterleavingsPool(2);
afterAll(() => pool[Symbol.dispose]());

/** What went wrong, with the schedules where it did, and how many there were. */
async function failures(options: Omit<InterleavingsOptions, "scenarios"> & Partial<InterleavingsOptions>) {
  const wrong: string[] = [];
  let count = 0;
  for await (const { task, result } of runInterleavings(pool, { scenarios: SCENARIO_NAMES, ...options })) {
    count += 1;
    if (result.violation !== undefined) wrong.push(`${task.scenario}, ${task.schedule}: ${result.violation}`);
  }
  return { wrong, count };
}

describe("whatever happens between two steps of the keeper", { timeout: 240_000 }, () => {
  it("gets into the replica, each thing at each point of the protocol", async () => {
    const { wrong, count } = await failures({ of: INTERJECTIONS, actions: 1, every: 1, withStatements: false });
    expect(wrong).toEqual([]);
    expect(count).toBeGreaterThan(1000);
  });

  it("gets into the replica, each commit before each SQL statement", async () => {
    const { wrong } = await failures({ of: ["commit"], actions: 1, every: 1, withStatements: true });
    expect(wrong).toEqual([]);
  });

  it("gets into the replica, two commits while the log is sealed", async () => {
    const options = { scenarios: ["seal"], of: ["commit", "spill"] } as const;
    const { wrong } = await failures({ ...options, actions: 2, every: 1, withStatements: false });
    expect(wrong).toEqual([]);
  });

  it("gets into the replica, two things at a time, of which there are too many to try them all here", async () => {
    const { wrong } = await failures({ of: INTERJECTIONS, actions: 2, every: 5003, withStatements: true });
    expect(wrong).toEqual([]);
  });
});

describe("schedules", () => {
  const places = toPlaces(["begin", "capture", "capture"]);

  it("have two things happen in each order at one place, and never a later one first", () => {
    const all = [...schedules(places, { actions: 2, of: ["commit", "truncate"] })].map(formatSchedule);
    expect(all).toHaveLength(6 * 4);
    expect(all).toContain("capture 1: truncate, capture 1: commit");
    expect(all).toContain("capture 1: commit, capture 2: commit");
    expect(all).not.toContain("capture 2: commit, capture 1: commit");
  });

  it("leave out what can't happen, such as the end of a reading that was begun already", () => {
    const all = [...schedules(places, { actions: 2, of: ["begin to read", "end reading"] })].map(formatSchedule);
    expect(all).toContain("begin 1: begin to read, capture 2: end reading");
    expect(all).not.toContain("begin 1: begin to read, capture 2: begin to read");
  });

  it("are read as they are written", () => {
    const text = "BEGIN IMMEDIATE 1: commit, reader begun 12: spill and roll back";
    expect(formatSchedule(parseSchedule(text))).toBe(text);
  });

  it.each(["capture: commit", "capture 1: sleep", "capture 1"])('refuse "%s"', (text) => {
    expect(() => parseSchedule(text)).toThrow("is no placement");
  });
});
