import { describe, expect, it } from "vitest";
import type { CopyFacts } from "../../../src/plan/copy.ts";
import { decideInPlace } from "../../../src/plan/in-place.ts";
import { DATABASE, emptyReplica, REPLICA, remembers, replicaUpTo } from "./facts.ts";

const absent: CopyFacts = {
  database: { path: DATABASE, state: "absent" },
  replica: emptyReplica,
  state: undefined,
  litestream: undefined,
  unborn: false,
};
const present: CopyFacts = { ...absent, database: { path: DATABASE, state: "present" } };

const refusal = (code: string, text: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(text) as string });

describe("decideInPlace", () => {
  it("waits for a database that the app is to make", () => {
    expect(decideInPlace(absent)).toEqual({ kind: "wait" });
    expect(decideInPlace({ ...absent, database: { path: DATABASE, state: "empty" } })).toEqual({ kind: "wait" });
  });

  it("attaches to one that is there, by the rules of a start", () => {
    expect(decideInPlace(present)).toMatchObject({ kind: "attach", copy: { kind: "keep", position: undefined } });
    const known = { ...present, replica: replicaUpTo(7n), state: remembers({ acked: 7n }) };
    expect(decideInPlace(known)).toMatchObject({ kind: "attach", copy: { position: { txid: 7n } } });
  });

  it("restores nothing under an app: the history has to be brought back first", () => {
    const lost = { ...absent, replica: replicaUpTo(7n) };
    expect(() => decideInPlace(lost)).toThrow(
      refusal("E_DIVERGED", `it is not there, and "${REPLICA}" holds its history`),
    );
    expect(() => decideInPlace(lost)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining(`flysqlite restore -o ${DATABASE}`) as string }),
    );
  });

  it("refuses what a start refuses", () => {
    const others = { ...present, replica: replicaUpTo(7n, "another's"), state: remembers({ acked: 7n }) };
    expect(() => decideInPlace(others)).toThrow(refusal("E_DIVERGED", "the history of another database"));
    const older = { ...present, replica: replicaUpTo(9n), state: remembers({ acked: 7n }) };
    expect(() => decideInPlace(older)).toThrow(refusal("E_DIVERGED", "older than its replica"));
    const both = { ...absent, state: remembers({ acked: 7n }) };
    expect(() => decideInPlace(both)).toThrow(refusal("E_CONFIG", "this volume had that database"));
  });

  it("leaves a database alone whose first start did not end", () => {
    for (const facts of [absent, present]) {
      expect(() => decideInPlace({ ...facts, unborn: true })).toThrow(refusal("E_DB_INVALID", "only half made"));
    }
  });
});
