import { describe, expect, it } from "vitest";
import { type CopyFacts, decideCopy } from "../../../src/plan/copy.ts";
import { hasHistory } from "../../../src/replica/inspect.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import { parseGeneration } from "../../../src/replica/v03/names.ts";
import {
  DATABASE,
  emptyReplica,
  lease,
  litestreamReplicaUpTo,
  newestFile,
  position,
  REPLICA,
  remembers,
  replicaUpTo,
  v03Replica,
} from "./facts.ts";

const absent: CopyFacts = {
  database: { path: DATABASE, state: "absent" },
  replica: undefined,
  state: undefined,
  litestream: undefined,
  unborn: false,
};
const empty: CopyFacts = { ...absent, database: { path: DATABASE, state: "empty" } };
const present: CopyFacts = { ...absent, database: { path: DATABASE, state: "present" } };

const GENERATION = "0123456789abcdef";
const OTHER_GENERATION = "fedcba9876543210";

/** What Litestream 0.5 or 0.3 leaves beside a database. */
const ltxState = (last: bigint) => ({ generation: undefined, lastTxid: toTxid(last) });
const v03State = (generation: string) => ({ generation: parseGeneration(generation), lastTxid: toTxid(0n) });

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

  it("makes none beside another one that the volume has: an app whose database was renamed would be empty", () => {
    const facts = { ...absent, database: { ...absent.database, others: ["/data/old.db"] } };
    for (const replica of [undefined, emptyReplica]) {
      expect(() => decideCopy({ ...facts, replica })).toThrow(refusal("E_CONFIG", '"/data/old.db"'));
    }
    expect(decideCopy({ ...facts, replica: replicaUpTo(7n) }).kind).toBe("restore");
    expect(decideCopy({ ...facts, unborn: true }).kind).toBe("create");
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

  it("restores what Litestream 0.3 wrote", () => {
    expect(decideCopy({ ...absent, replica: v03Replica(GENERATION) }).kind).toBe("restore");
  });

  it("takes a replica that no release can read for a history: it is not empty", () => {
    const betaKey = `generations/${GENERATION}/snapshots/0000000000000000.snapshot.lz4`;
    const replica = { ...emptyReplica, v03: { ...emptyReplica.v03, betaKey } };
    expect(decideCopy({ ...absent, replica }).kind).toBe("restore");
    expect(() => decideCopy({ ...present, replica })).toThrow(refusal("E_DIVERGED"));
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
    ["nothing", undefined, undefined],
    ["another replica", { ...remembers({ acked: 7n }), replica: "s3://elsewhere/app" }, undefined],
    ["this very replica", remembers({ acked: 7n }), `"${REPLICA}" held this database up to transaction`],
    ["a first upload to it", remembers({ pending: 1n }), "0000000000000001 and is empty now"],
  ])("keeps it and copies it whole where the replica is empty and it remembers %s", (_, state, warning) => {
    expect(decideCopy({ ...present, replica: emptyReplica, state })).toEqual({
      kind: "keep",
      why: "it is on the volume, and the replica is empty",
      position: undefined,
      warning: warning === undefined ? undefined : expect.stringContaining(warning),
    });
  });

  it("continues where the replica ends at the acknowledged position", () => {
    const decision = decideCopy({ ...present, replica: replicaUpTo(7n), state: remembers({ acked: 7n }) });
    expect(decision).toMatchObject({ kind: "keep", position: position(7n) });
  });

  it("continues at the pending position where its upload had succeeded", () => {
    const state = remembers({ acked: 7n, pending: 8n });
    const facts = { ...present, replica: replicaUpTo(8n), state, newest: newestFile(8n) };
    expect(decideCopy(facts)).toMatchObject({ position: position(8n) });
  });

  it("continues at the acknowledged position where the pending upload had failed", () => {
    const state = remembers({ acked: 7n, pending: 8n });
    expect(decideCopy({ ...present, replica: replicaUpTo(7n), state })).toMatchObject({ position: position(7n) });
  });

  it("continues at a first upload that was not acknowledged", () => {
    const facts = { ...present, replica: replicaUpTo(1n), state: remembers({ pending: 1n }), newest: newestFile(1n) };
    expect(decideCopy(facts)).toMatchObject({ position: position(1n) });
  });

  it.each([
    ["another machine wrote what it was about to write", newestFile(8n, { commit: 11 }), "which another machine wrote"],
    ["it can't be told who wrote that", undefined, "which can't be told to be its own"],
  ])("refuses where %s", (_, newest, text) => {
    const state = remembers({ acked: 7n, pending: 8n });
    const decide = () => decideCopy({ ...present, replica: replicaUpTo(8n), state, newest });
    expect(decide).toThrow(refusal("E_DIVERGED", text));
    expect(decide).toThrow(refusal("E_DIVERGED", "ends at 0000000000000008"));
  });

  it("trusts what was acknowledged without a look at it: nobody can replace it", () => {
    const facts = { ...present, replica: replicaUpTo(7n), state: remembers({ acked: 7n }), newest: newestFile(9n) };
    expect(decideCopy(facts)).toMatchObject({ position: position(7n) });
  });

  it("keeps it and copies it whole where the replica has lost its newest files", () => {
    const state = remembers({ acked: 7n, pending: 8n });
    const facts = { ...present, replica: replicaUpTo(5n), state };
    const warning = expect.stringContaining("up to transaction 0000000000000007 and ends at 0000000000000005");
    expect(decideCopy(facts)).toMatchObject({ kind: "keep", position: undefined, warning });
    expect(decideCopy({ ...facts, lease: lease({ by: "mine" }) })).toMatchObject({ kind: "keep", warning });
    const elsewhere = { ...state, replica: "s3://elsewhere/app" };
    expect(decideCopy({ ...facts, state: elsewhere })).toMatchObject({ kind: "keep", warning: undefined });
  });

  it("refuses a replica that ends earlier, and that another machine has written to since", () => {
    const facts = { ...present, replica: replicaUpTo(5n), state: remembers({ acked: 7n }) };
    const decide = () => decideCopy({ ...facts, lease: lease({ by: "another" }) });
    expect(decide).toThrow(refusal("E_DIVERGED", 'ends at 0000000000000005 now: machine "m2" (epoch 5) wrote since'));
  });

  it.each([
    ["the acknowledged", remembers({ acked: 7n }), 8n, "0000000000000007"],
    ["the pending", remembers({ acked: 7n, pending: 8n }), 9n, "0000000000000008"],
    ["a first pending", remembers({ pending: 1n }), 2n, "0000000000000001"],
  ])("refuses where the replica goes on beyond %s position, and names both", (_, state, last, known) => {
    const decide = () => decideCopy({ ...present, replica: replicaUpTo(last), state });
    expect(decide).toThrow(refusal("E_DIVERGED", `up to transaction ${known}`));
    expect(decide).toThrow(refusal("E_DIVERGED", `goes on to 000000000000000${last}`));
    expect(decide).toThrow(expect.objectContaining({ hint: expect.stringContaining("--on-stale-volume=restore") }));
  });

  it.each([
    ["another machine had the lease since", lease({ by: "another" }), ', which machine "m2" (epoch 5) wrote to since'],
    [
      "that machine released it",
      lease({ by: "another", state: "released" }),
      ', which machine "m2" (epoch 5) wrote to since',
    ],
    ["it had the lease itself last", lease({ by: "mine" }), ": the volume is older than its replica, or"],
    ["it never had the lease", lease({ by: "another", remembered: false }), ": the volume is older"],
  ])("says of a replica that goes on what is known of who wrote it, where %s", (_, held, text) => {
    const facts = { ...present, replica: replicaUpTo(8n), state: remembers({ acked: 7n }), lease: held };
    expect(() => decideCopy(facts)).toThrow(refusal("E_DIVERGED", text));
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

describe("decideCopy, where Litestream replicated the volume's database before", () => {
  const taken = { kind: "keep", why: "it is on the volume, and Litestream replicated it before", position: undefined };

  it.each([
    ["all that its replica holds", 7n],
    ["more than its replica holds", 9n],
  ])("keeps it, and copies it whole, where its state has %s", (_, last) => {
    const facts = { ...present, replica: litestreamReplicaUpTo(7n), litestream: ltxState(last) };
    expect(decideCopy(facts)).toEqual(taken);
  });

  it("keeps it where its state has the replica's newest generation", () => {
    const litestream = v03State(GENERATION);
    expect(decideCopy({ ...present, replica: v03Replica(GENERATION), litestream })).toEqual(taken);
    expect(decideCopy({ ...present, replica: v03Replica(OTHER_GENERATION, GENERATION), litestream })).toEqual(taken);
  });

  it.each([
    ["no state", litestreamReplicaUpTo(7n), undefined],
    ["a state that ends before its replica", litestreamReplicaUpTo(7n), ltxState(6n)],
    ["a state of another line", litestreamReplicaUpTo(7n), v03State(GENERATION)],
    ["no state of 0.3", v03Replica(GENERATION), undefined],
    ["another generation", v03Replica(GENERATION), v03State(OTHER_GENERATION)],
    ["an older generation", v03Replica(GENERATION, OTHER_GENERATION), v03State(GENERATION)],
    ["a state of 0.5 and a replica of 0.3", v03Replica(GENERATION), ltxState(7n)],
    ["a replica that flysqlite took over since", replicaUpTo(7n), ltxState(7n)],
  ])("refuses where there is %s", (_, replica, litestream) => {
    expect(() => decideCopy({ ...present, replica, litestream })).toThrow(
      refusal("E_DIVERGED", "holds the history of another database"),
    );
  });

  it("keeps it where Litestream went on on this volume after flysqlite", () => {
    const facts = { ...present, replica: replicaUpTo(9n), state: remembers({ acked: 7n }), litestream: ltxState(9n) };
    const why = "it is on the volume, and Litestream replicated it since";
    expect(decideCopy(facts)).toMatchObject({ kind: "keep", why, position: undefined });
    const behind = { ...facts, litestream: ltxState(8n) };
    expect(() => decideCopy(behind)).toThrow(refusal("E_DIVERGED", "goes on to 0000000000000009"));
  });

  it("goes by flysqlite's own state where there is one", () => {
    const facts = { ...present, replica: replicaUpTo(7n), litestream: ltxState(3n), state: remembers({ acked: 7n }) };
    expect(decideCopy(facts)).toMatchObject({ kind: "keep", position: position(7n) });
  });
});

describe("decideCopy, told to restore over a stale volume", () => {
  const onStale = (facts: CopyFacts) => decideCopy(facts, "restore");

  it.each([
    ["goes on beyond it", { replica: replicaUpTo(9n), state: remembers({ acked: 7n }) }, "goes on to"],
    [
      "ends at another machine's transaction",
      {
        replica: replicaUpTo(8n),
        state: remembers({ acked: 7n, pending: 8n }),
        newest: newestFile(8n, { commit: 11 }),
      },
      "which another machine wrote",
    ],
    [
      "was written anew by another machine",
      { replica: replicaUpTo(5n), state: remembers({ acked: 7n }), lease: lease({ by: "another" }) },
      "ends at 0000000000000005 now",
    ],
  ])("restores where the replica %s, with the volume's database moved aside", (_, facts, text) => {
    const why = expect.stringContaining(text);
    expect(onStale({ ...present, ...facts })).toEqual({ kind: "restore", why, stale: true });
  });

  it.each([
    ["holds another database's history", { replica: replicaUpTo(9n, "other"), state: remembers({ acked: 7n }) }],
    ["is nothing that it knows of", { replica: replicaUpTo(9n) }],
    ["is in a format that it did not write", { replica: v03Replica(GENERATION), state: remembers({ acked: 7n }) }],
  ])("refuses all the same where the replica %s: that is no older state of it", (_, facts) => {
    expect(() => onStale({ ...present, ...facts })).toThrow(refusal("E_DIVERGED", "history of another database"));
  });

  it("restores over nothing that is not stale", () => {
    expect(onStale({ ...present, replica: replicaUpTo(7n), state: remembers({ acked: 7n }) }).kind).toBe("keep");
    expect(onStale({ ...present, replica: emptyReplica, state: remembers({ acked: 7n }) }).kind).toBe("keep");
    expect(onStale({ ...absent, replica: replicaUpTo(7n) })).not.toHaveProperty("stale");
    const unborn = { ...present, unborn: true, replica: replicaUpTo(7n) };
    expect(() => onStale(unborn)).toThrow(refusal("E_DIVERGED", "was never finished"));
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
  const replicas = [
    ...[undefined, emptyReplica, replicaUpTo(7n), replicaUpTo(8n), replicaUpTo(9n), replicaUpTo(7n, "x")],
    ...[litestreamReplicaUpTo(7n), v03Replica(GENERATION), v03Replica(OTHER_GENERATION)],
  ];
  const litestreams = [undefined, ltxState(7n), v03State(GENERATION)];
  const lookedAt = [
    {},
    { newest: newestFile(8n) },
    { newest: newestFile(8n, { commit: 11 }), lease: lease({ by: "another" }) },
    { lease: lease({ by: "mine" }) },
  ];
  const combinations = (["absent", "empty", "present"] as const).flatMap((file) =>
    states.flatMap((state) =>
      replicas.flatMap((replica) =>
        litestreams.flatMap((litestream) =>
          [true, false].flatMap((unborn) =>
            lookedAt.map(
              (more): CopyFacts => ({
                ...{ database: { path: DATABASE, state: file }, state, litestream, replica, unborn },
                ...more,
              }),
            ),
          ),
        ),
      ),
    ),
  );

  const decide = (facts: CopyFacts, onStaleVolume: "refuse" | "restore") => {
    try {
      return decideCopy(facts, onStaleVolume);
    } catch {
      return { kind: "refused" } as const;
    }
  };
  const decisions = combinations.map((facts) => ({ facts, kind: decide(facts, "refuse").kind }));

  it("restores over a database only where it was told to, and only in place of a refusal", () => {
    for (const { facts, kind } of decisions) {
      const told = decide(facts, "restore");
      if (told.kind !== kind) {
        expect([kind, told], JSON.stringify(facts, replacer)).toMatchObject([
          "refused",
          { kind: "restore", stale: true },
        ]);
      }
      if (told.kind === "restore" && facts.database.state === "present") expect(told.stale).toBe(true);
    }
  });

  it("never begins a database beside a history, and never restores over one", () => {
    for (const { facts, kind } of decisions) {
      const holds = facts.replica !== undefined && hasHistory(facts.replica);
      if (holds) expect(kind, JSON.stringify(facts, replacer)).not.toBe("create");
      if (facts.database.state === "present") expect(kind).not.toBe("restore");
      if (kind === "keep") expect(facts.database.state).toBe("present");
      if (kind === "restore") expect(holds).toBe(true);
    }
  });

  it("never makes a database anew that an app has seen", () => {
    for (const { facts, kind } of decisions) {
      if (facts.database.state === "present" && !facts.unborn) expect(kind).not.toBe("create");
    }
  });
});

const replacer = (_: string, value: unknown) => (typeof value === "bigint" ? `${value}` : value);
