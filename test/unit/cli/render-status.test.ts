import { describe, expect, it } from "vitest";
import type { OfflineStatus, Status } from "../../../src/base/control.ts";
import { renderOfflineStatus, renderStatus } from "../../../src/cli/render-status.ts";

const safe: Status = {
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
  lastUpload: "2026-11-24T09:28:00.000Z",
  log: { bytes: 41_232, frames: 10, checkpointedFrames: 4 },
};
const NOW = Date.parse("2026-11-24T09:30:00.500Z");

describe("a status as text", () => {
  it("answers in its first line, and says why in the others", () => {
    expect(
      renderStatus(safe, NOW),
    ).toBe(`safe: everything committed is in s3://bucket/app, up to transaction 00000000000004d2
  database     /data/app.db
  position     transaction 00000000000004d2 on the volume, 00000000000004d2 in the replica
  complete to  2026-11-24T09:30:00.000Z (500 ms ago)
  last upload  2026-11-24T09:28:00.000Z (2 min 1 s ago)
  log          41 kB, 10 frames, 4 of them in the database
`);
  });

  it("tells what waits, for how long, what went wrong, and what comes next", () => {
    const text = renderStatus(
      {
        ...safe,
        answer: "not safe",
        summary: "s3://bucket/app lacks 2 transactions (2 kB), the oldest commit 1 min 35 s old: refused",
        keeper: "stopping",
        waiting: { transactions: 2, bytes: 2048, uncapturedBytes: 0, wholeDatabase: false },
        lagMs: 95_000,
        lastError: { message: "refused\nby the bucket", since: "2026-11-24T09:28:25.000Z", tries: 7 },
        lease: { epoch: 4, state: "held" },
        upcoming: [{ task: "compact to level 1", time: "2026-11-24T09:30:30.000Z" }],
      },
      NOW,
    );
    expect(text.split("\n")).toEqual(
      expect.arrayContaining([
        "not safe: s3://bucket/app lacks 2 transactions (2 kB), the oldest commit 1 min 35 s old: refused",
        "  keeper       makes the last sync, and ends",
        "  waiting      2 transactions, 2 kB",
        "  lag          1 min 35 s, of at most 10.0 s",
        "  last error   refused | by the bucket; 7 times since 2026-11-24T09:28:25.000Z (1 min 36 s ago)",
        "  lease        epoch 4, held",
        "  next         compact to level 1 at 2026-11-24T09:30:30.000Z",
      ]),
    );
  });

  it("is not misled by a clock that goes back", () => {
    expect(renderStatus(safe, Date.parse("2026-11-24T09:00:00Z"))).toContain("(0 ms ago)");
  });
});

describe("what is found without a keeper, as text", () => {
  const offline: OfflineStatus = {
    answer: "not replicated",
    summary: "/data/app.db: no flysqlite runs for it, and no replica is configured",
    keeper: "none",
    version: "1.2.3",
    database: "/data/app.db",
  };

  it("begins with the answer too", () => {
    expect(renderOfflineStatus(offline)).toBe(
      `not replicated: ${offline.summary}\n  database  /data/app.db, not there\n`,
    );
    const known = {
      databaseBytes: 8192,
      captured: "0000000000000009",
      replica: "s3://b/a",
      replicated: "0000000000000007",
    };
    expect(
      renderOfflineStatus({ ...offline, ...known })
        .split("\n")
        .slice(1),
    ).toEqual([
      "  database  /data/app.db, 8 kB",
      "  volume    knows of transaction 0000000000000009",
      "  replica   s3://b/a, up to transaction 0000000000000007",
      "",
    ]);
    expect(renderOfflineStatus({ ...offline, replica: "s3://b/a", replicaError: "refused" })).toMatch(
      /replica +s3:\/\/b\/a, no answer\n +last error +refused\n$/,
    );
  });
});
