import { describe, expect, it } from "vitest";
import { type CopyFacts, decideCopy } from "../../../src/plan/copy.ts";
import { DATABASE, emptyReplica, litestreamReplicaUpTo, position, REPLICA, remembers, replicaUpTo } from "./facts.ts";

const absent: CopyFacts = {
  database: { path: DATABASE, state: "absent" },
  replica: undefined,
  state: undefined,
  unborn: false,
};
const empty: CopyFacts = { ...absent, database: { path: DATABASE, state: "empty" } };
const present: CopyFacts = { ...absent, database: { path: DATABASE, state: "present" } };

const refusal = (code: string, text = "") =>
  expect.objectContaining({ code, message: expect.stringContaining(text) as string });

describe("decideCopy, where the volume has no database", () => {
  it.each([
    ["no file", absent],
    ["an empty file, as a crashed first open leaves it", empty],
  ])("makes one where there is %s and no replica is configured", (_, facts) => {
    expect(decideCopy(facts)).toEqual({
      kind: "create",
      why: "the volume has none, and no replica is configured",
    });
  });

  it.each([
    ["no file", absent],
    ["an empty file", empty],
  ])("makes one where there is %s and the replica is proved to be empty", (_, facts) => {
    expect(decideCopy({ ...facts, replica: emptyReplica })).toEqual({
      kind: "create",
      why: "the volume has none, and the replica is empty",
    });
  });

  it("makes one where the replica has an identity and no history", () => {
    expect(decideCopy({ ...absent, replica: { ...emptyReplica, databaseId: "mine" } }).kind).toBe("create");
  });

  it.each([
    ["no file", absent],
    ["an empty file", empty],
  ])("restores where there is %s and the replica holds a history", (_, facts) => {
    expect(decideCopy({ ...facts, replica: replicaUpTo(7n) })).toEqual({
      kind: "restore",
      why: "the volume has no database",
    });
  });

  it("restores what Litestream wrote, which names no database", () => {
    expect(decideCopy({ ...absent, replica: litestreamReplicaUpTo(7n) }).kind).toBe("restore");
  });

  it.each([
    ["what it knows", remembers({ acked: 7n })],
    ["an older one", remembers({ acked: 9n })],
    ["another database", remembers({ acked: 7n, databaseId: "other" })],
  ])("restores whatever the volume remembers of its lost database: %s", (_, state) => {
    expect(decideCopy({ ...absent, replica: replicaUpTo(7n), state }).kind).toBe("restore");
  });

  it.each([
    ["no replica is configured", undefined, "now no replica is configured"],
    ["the replica is empty", emptyReplica, `now "${REPLICA}" is empty`],
  ])("refuses to begin anew where the volume had a replicated database, and %s", (_, replica, text) => {
    for (const facts of [absent, empty]) {
      const decide = () => decideCopy({ ...facts, replica, state: remembers({ acked: 7n }) });
      expect(decide).toThrow(refusal("E_CONFIG", text));
      expect(decide).toThrow(refusal("E_CONFIG", `replicated it to "${REPLICA}"`));
    }
  });
});

describe("decideCopy, where the volume has a database", () => {
  it.each([
    ["nothing", undefined],
    ["an earlier replica", remembers({ acked: 7n })],
  ])("keeps it where no replica is configured and the volume remembers %s", (_, state) => {
    expect(decideCopy({ ...present, state })).toEqual({
      kind: "keep",
      why: "it is on the volume",
      position: undefined,
    });
  });

  it.each([
    ["nothing", undefined],
    ["a replica that is gone", remembers({ acked: 7n })],
    ["the replica of another database", remembers({ acked: 7n, databaseId: "other" })],
  ])("keeps it and copies it whole where the replica is empty and the volume remembers %s", (_, state) => {
    expect(decideCopy({ ...present, replica: emptyReplica, state })).toEqual({
      kind: "keep",
      why: "it is on the volume, and the replica is empty",
      position: undefined,
    });
  });

  it("continues where the replica ends at the acknowledged position", () => {
    const decision = decideCopy({ ...present, replica: replicaUpTo(7n), state: remembers({ acked: 7n }) });
    expect(decision).toMatchObject({ kind: "keep", position: position(7n) });
  });

  it("continues at the pending position where its upload had succeeded", () => {
    const state = remembers({ acked: 7n, pending: 8n });
    expect(decideCopy({ ...present, replica: replicaUpTo(8n), state })).toMatchObject({ position: position(8n) });
  });

  it("continues at the acknowledged position where the pending upload had failed", () => {
    const state = remembers({ acked: 7n, pending: 8n });
    expect(decideCopy({ ...present, replica: replicaUpTo(7n), state })).toMatchObject({ position: position(7n) });
  });

  it("continues at a first upload that was not acknowledged", () => {
    const state = remembers({ pending: 1n });
    expect(decideCopy({ ...present, replica: replicaUpTo(1n), state })).toMatchObject({ position: position(1n) });
  });

  it("keeps it and copies it whole where the replica has lost its newest files", () => {
    const state = remembers({ acked: 7n, pending: 8n });
    const decision = decideCopy({ ...present, replica: replicaUpTo(5n), state });
    expect(decision).toMatchObject({ kind: "keep", position: undefined });
  });

  it.each([
    ["the acknowledged", remembers({ acked: 7n }), 8n, "0000000000000007"],
    ["the pending", remembers({ acked: 7n, pending: 8n }), 9n, "0000000000000008"],
    ["a first pending", remembers({ pending: 1n }), 2n, "0000000000000001"],
  ])("refuses where the replica goes on beyond %s position, and names both", (_, state, last, known) => {
    const decide = () => decideCopy({ ...present, replica: replicaUpTo(last), state });
    expect(decide).toThrow(refusal("E_DIVERGED", `up to transaction ${known}`));
    expect(decide).toThrow(refusal("E_DIVERGED", `goes on to 000000000000000${last}`));
  });

  it("refuses a volume that remembers nothing of a replica with a history", () => {
    expect(() => decideCopy({ ...present, replica: replicaUpTo(7n) })).toThrow(
      refusal("E_DIVERGED", "holds the history of another database"),
    );
  });

  it.each([
    ["names another database", replicaUpTo(7n, "other")],
    ["names none", litestreamReplicaUpTo(7n)],
  ])("refuses a history that %s than the one that the volume remembers", (_, replica) => {
    expect(() => decideCopy({ ...present, replica, state: remembers({ acked: 7n }) })).toThrow(
      refusal("E_DIVERGED", "holds the history of another database"),
    );
  });
});

describe("decideCopy, where a new database was never finished", () => {
  const unborn: CopyFacts = { ...present, unborn: true };

  it.each([
    ["without a replica", undefined],
    ["with an empty replica", emptyReplica],
  ])("makes it anew %s", (_, replica) => {
    for (const state of ["absent", "empty", "present"] as const) {
      expect(decideCopy({ ...unborn, replica, database: { path: DATABASE, state } })).toEqual({
        kind: "create",
        why: "an earlier start did not finish making it",
      });
    }
  });

  it("restores where nothing of it was made and a replica has come", () => {
    for (const state of ["absent", "empty"] as const) {
      const decision = decideCopy({ ...unborn, replica: replicaUpTo(7n), database: { path: DATABASE, state } });
      expect(decision.kind).toBe("restore");
    }
  });

  it("refuses where it was begun and the replica holds a history", () => {
    expect(() => decideCopy({ ...unborn, replica: replicaUpTo(7n) })).toThrow(
      refusal("E_DIVERGED", "was never finished"),
    );
  });
});

describe("decideCopy, in every combination of facts", () => {
  const states = [undefined, remembers({ acked: 7n }), remembers({ pending: 8n, acked: 7n })];
  const replicas = [undefined, emptyReplica, replicaUpTo(7n), replicaUpTo(8n), replicaUpTo(9n), replicaUpTo(7n, "x")];
  const combinations = (["absent", "empty", "present"] as const).flatMap((file) =>
    states.flatMap((state) =>
      replicas.flatMap((replica) =>
        [true, false].map(
          (unborn): CopyFacts => ({ database: { path: DATABASE, state: file }, state, replica, unborn }),
        ),
      ),
    ),
  );

  const decisions = combinations.map((facts) => {
    try {
      return { facts, kind: decideCopy(facts).kind };
    } catch {
      return { facts, kind: "refused" as const };
    }
  });

  it("never begins a database beside a history, and never restores over one", () => {
    for (const { facts, kind } of decisions) {
      const hasHistory = (facts.replica?.files.length ?? 0) > 0;
      if (hasHistory) expect(kind, JSON.stringify(facts, replacer)).not.toBe("create");
      if (facts.database.state === "present") expect(kind).not.toBe("restore");
      if (kind === "keep") expect(facts.database.state).toBe("present");
      if (kind === "restore") expect(hasHistory).toBe(true);
    }
  });

  it("never makes a database anew that an app has seen", () => {
    for (const { facts, kind } of decisions) {
      if (facts.database.state === "present" && !facts.unborn) expect(kind).not.toBe("create");
    }
  });
});

const replacer = (_: string, value: unknown) => (typeof value === "bigint" ? `${value}` : value);
