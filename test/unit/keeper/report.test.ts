import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeStatus, type ReportFacts } from "../../../src/keeper/report.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import type { Backlog } from "../../../src/replica/progress.ts";

const DOCUMENT = readFileSync(join(import.meta.dirname, "../../../docs/control.md"), "utf8");

const nothing: Backlog = {
  transactions: 0,
  bytes: 0,
  uncapturedBytes: 0,
  wholeDatabase: false,
  ageMs: 0,
  completeUntilMs: Date.parse("2026-11-24T09:30:00Z"),
};
const facts: ReportFacts = {
  version: "1.2.3",
  database: "/data/app.db",
  replica: "s3://bucket/app",
  syncIntervalMs: 1000,
  isStopping: false,
  captured: toTxid(0x4d2n),
  replicated: toTxid(0x4d2n),
  backlog: nothing,
  lastUploadMs: Date.parse("2026-11-24T09:29:58.25Z"),
  trouble: undefined,
  log: { bytes: 4120, frames: 1, checkpointedFrames: 0 },
};
const waiting = (ageMs: number): Backlog => ({ ...nothing, transactions: 2, bytes: 2048, ageMs });

describe("docs/control.md", () => {
  it("describes every field of a status, and none that there is not", () => {
    const status = makeStatus(
      { ...facts, trouble: { message: "refused", sinceMs: 0, tries: 1 } },
      { lease: { epoch: 1, state: "held" }, upcoming: [{ task: "compact to level 1", time: "" }] },
    );
    const [, section = ""] = /^## GET \/status$([\s\S]*?)^`flysqlite status` ends/m.exec(DOCUMENT) ?? [];
    const described = [...section.matchAll(/^\| `\.?(\w+)`/gm)].map(([, name]) => name);
    const fields = [...Object.keys(status), ...Object.keys(status.waiting)];
    expect(described.toSorted()).toEqual(fields.toSorted());
    for (const part of [status.lastError, status.log, status.lease, status.upcoming?.[0]]) {
      for (const name of Object.keys(part ?? {})) expect(section).toContain(`\`${name}\``);
    }
  });
});

describe("the status of a keeper", () => {
  it("is safe where the replica has everything", () => {
    expect(makeStatus(facts)).toEqual({
      answer: "safe",
      summary: "everything committed is in s3://bucket/app, up to transaction 00000000000004d2",
      keeper: "running",
      version: "1.2.3",
      database: "/data/app.db",
      replica: "s3://bucket/app",
      captured: "00000000000004d2",
      replicated: "00000000000004d2",
      waiting: { transactions: 0, bytes: 0, uncapturedBytes: 0, wholeDatabase: false },
      replicatedUntil: "2026-11-24T09:30:00.000Z",
      lagMs: 0,
      lagLimitMs: 10_000,
      lastUpload: "2026-11-24T09:29:58.250Z",
      log: { bytes: 4120, frames: 1, checkpointedFrames: 0 },
    });
  });

  it("is syncing while the last commits are on their way", () => {
    const status = makeStatus({ ...facts, backlog: waiting(400), captured: toTxid(0x4d4n) });
    expect(status.answer).toBe("syncing");
    expect(status.summary).toBe(
      "all but the last 400 ms is in s3://bucket/app; on its way: 2 transactions (2 kB), the oldest commit 400 ms old",
    );
    expect(status).toMatchObject({ captured: "00000000000004d4", lagMs: 400 });
  });

  it("is not safe once they take longer than 10 s, or than three intervals where those are longer", () => {
    const answer = (ageMs: number, syncIntervalMs = 1000) =>
      makeStatus({ ...facts, backlog: waiting(ageMs), syncIntervalMs }).answer;
    expect([answer(10_000), answer(10_001)]).toEqual(["syncing", "not safe"]);
    expect([answer(60_000, 20_000), answer(60_001, 20_000)]).toEqual(["syncing", "not safe"]);
  });

  it("says what keeps them from the replica", () => {
    const trouble = { message: "connection refused", sinceMs: Date.parse("2026-11-24T09:30:05Z"), tries: 7 };
    const status = makeStatus({ ...facts, backlog: waiting(95_000), trouble });
    expect(status.summary).toBe(
      "s3://bucket/app lacks 2 transactions (2 kB), the oldest commit 1 min 35 s old: connection refused",
    );
    expect(status.lastError).toEqual({ message: "connection refused", since: "2026-11-24T09:30:05.000Z", tries: 7 });
  });

  it("is not safe before the replica was complete for the first time: what it lacks may be of any age", () => {
    const first = { ...waiting(10), completeUntilMs: undefined };
    expect(makeStatus({ ...facts, backlog: first })).toMatchObject({ answer: "not safe" });
    expect(makeStatus({ ...facts, backlog: first })).not.toHaveProperty("replicatedUntil");
    const copying = { ...nothing, wholeDatabase: true, ageMs: 20 };
    expect(makeStatus({ ...facts, backlog: copying }).summary).toMatch(/lacks the whole database/);
    expect(makeStatus({ ...facts, backlog: copying }).answer).toBe("not safe");
  });

  it("is safe in spite of a failure that leaves nothing behind, and tells of it", () => {
    const trouble = { message: "no snapshot", sinceMs: 0, tries: 1 };
    expect(makeStatus({ ...facts, trouble })).toMatchObject({ answer: "safe", lastError: { message: "no snapshot" } });
  });

  it("carries what the lease and the levels say, and is not safe once the lease is another's", () => {
    const upcoming = [{ task: "compact to level 1", time: "2026-11-24T09:30:30.000Z" }];
    const held = makeStatus(facts, { lease: { epoch: 4, state: "held" }, upcoming });
    expect(held).toMatchObject({ answer: "safe", lease: { epoch: 4, state: "held" }, upcoming });
    expect(makeStatus(facts, { lease: { epoch: 4, state: "lost" } })).toMatchObject({
      answer: "not safe",
      summary: expect.stringMatching(/another machine writes there now$/) as string,
    });
  });

  it("tells that it is about to end", () => {
    expect(makeStatus({ ...facts, isStopping: true }).keeper).toBe("stopping");
  });
});
