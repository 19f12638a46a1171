import { describe, expect, it } from "vitest";
import type { OfflineStatus } from "../../../src/base/control.ts";
import { summarizeOffline } from "../../../src/commands/offline-status.ts";

type Facts = Omit<OfflineStatus, "answer" | "summary">;

const base: Facts = { keeper: "none", version: "1.2.3", database: "/data/app.db" };
const there = { databaseBytes: 8192 };
const inReplica = { replica: "s3://b/a", replicated: "0000000000000007" };

describe("what is told without a keeper", () => {
  it.each<[string, Partial<Facts>, string]>([
    ["no replica", there, "no replica is configured"],
    [
      "a replica that is away",
      { ...there, replica: "s3://b/a", replicaError: "refused" },
      "its replica can't be asked: refused",
    ],
    ["nothing on the volume", inReplica, "it is only in s3://b/a"],
    [
      "all of it",
      { ...there, ...inReplica, missingCommits: 0 },
      "all that it holds is in s3://b/a, up to transaction 0000000000000007",
    ],
    ["one commit more", { ...there, ...inReplica, missingCommits: 1 }, "s3://b/a lacks its last commit"],
    ["more commits", { ...there, ...inReplica, missingCommits: 12 }, "s3://b/a lacks its last 12 commits"],
    [
      "no place to compare",
      { ...there, ...inReplica },
      "whether s3://b/a, up to transaction 0000000000000007, has all of it can't be told from outside",
    ],
  ])("%s", (_, facts, text) => {
    expect(summarizeOffline({ ...base, ...facts }, { isEmpty: false })).toBe(
      `/data/app.db: no flysqlite runs for it, and ${text}`,
    );
  });

  it("an empty replica is said to be empty", () => {
    const empty = { ...base, replica: "s3://b/a" };
    expect(summarizeOffline(empty, { isEmpty: true })).toContain("there is no database, nor anything in s3://b/a");
    expect(summarizeOffline({ ...empty, ...there }, { isEmpty: true })).toContain("nothing of it is in s3://b/a");
  });

  it("a keeper that is there and says nothing is another thing than none", () => {
    expect(summarizeOffline({ ...base, keeper: "silent" }, { isEmpty: false })).toContain(
      "the flysqlite that has it does not answer",
    );
  });
});
