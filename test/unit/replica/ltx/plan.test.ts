import { describe, expect, it } from "vitest";
import { type LtxFileInfo, parseLtxName } from "../../../../src/replica/ltx/names.ts";
import { planContinuation, planRestore, type RestoreTarget } from "../../../../src/replica/ltx/plan.ts";
import { parseTxid, toTxid } from "../../../../src/replica/ltx/txid.ts";
import { listReplica, REPLICAS, type RestoreResult, readExpected } from "./support.ts";

describe.each(REPLICAS)("planRestore, for a replica made by Litestream $version", ({ version }) => {
  const files = listReplica(version);
  const { latest, by_txid } = readExpected(version);
  const results: [string, RestoreTarget, RestoreResult][] = [
    ["the latest state", { kind: "latest" }, latest],
    ...Object.entries(by_txid).map(([text, result]): [string, RestoreTarget, RestoreResult] => [
      `transaction ${text}`,
      { kind: "txid", txid: parseTxid(text) },
      result,
    ]),
  ];

  it.each(results)("chooses the files that Litestream chooses: %s", (_, target, result) => {
    if (result.plan_error !== undefined) expect(() => planRestore(files, target)).toThrow(gapError());
    else expect(names(planRestore(files, target))).toEqual(result.plan);
  });

  it("doesn't depend on the listing's order", () => {
    expect(planRestore([...files].reverse(), { kind: "latest" })).toEqual(planRestore(files, { kind: "latest" }));
  });
});

describe("planRestore", () => {
  it("starts with the newest snapshot and goes on with what leads farthest", () => {
    const files = listing("9/1-3", "9/1-5", "0/4-4", "0/5-5", "0/6-6", "0/7-7", "1/6-7", "0/8-8");
    expect(plan(files)).toEqual(["9/1-5", "1/6-7", "0/8-8"]);
  });

  it("needs no snapshot where the first files are there", () => {
    expect(plan(listing("0/1-1", "0/2-2", "2/1-2", "0/3-3"))).toEqual(["2/1-2", "0/3-3"]);
  });

  it("takes files that overlap with what is reached", () => {
    expect(plan(listing("9/1-6", "2/3-10", "0/11-11"))).toEqual(["9/1-6", "2/3-10", "0/11-11"]);
  });

  it("bridges a hole at one level with another", () => {
    expect(plan(listing("0/1-1", "0/4-4", "1/1-2", "2/1-3"))).toEqual(["2/1-3", "0/4-4"]);
  });

  it("prefers, among equally far files, the smaller start, then the higher level, then the older", () => {
    expect(plan(listing("9/1-2", "3/3-5", "1/2-5"))).toEqual(["9/1-2", "1/2-5"]);
    expect(plan(listing("0/1-1", "1/1-1", "0/2-2"))).toEqual(["1/1-1", "0/2-2"]);
    const [older, newer] = [listing("1/1-1"), listing("1/1-1")].map(([file], i) => ({ ...file, modifiedMs: i }));
    expect(planRestore([newer, older] as LtxFileInfo[], { kind: "latest" })).toEqual([older]);
  });

  it("passes over a snapshot level's file that isn't a full copy", () => {
    expect(plan(listing("9/2-3", "0/1-1", "0/2-2"))).toEqual(["0/1-1", "0/2-2"]);
  });

  it("ignores snapshots and files beyond the transaction asked for", () => {
    const files = listing("9/1-2", "9/1-6", "0/3-3", "0/4-4", "1/3-5", "0/5-5");
    expect(plan(files, { kind: "txid", txid: toTxid(4n) })).toEqual(["9/1-2", "0/3-3", "0/4-4"]);
  });

  it("gives the last state strictly before a time", () => {
    const files = listing("9/1-2@10", "0/3-3@20", "0/4-4@30");
    expect(plan(files, { kind: "timestamp", ms: 31 })).toEqual(["9/1-2", "0/3-3", "0/4-4"]);
    expect(plan(files, { kind: "timestamp", ms: 30 })).toEqual(["9/1-2", "0/3-3"]);
    expect(plan(files, { kind: "timestamp", ms: 11 })).toEqual(["9/1-2"]);
  });

  it("stays quick with as many files as a year of neglect leaves", () => {
    const files = Array.from({ length: 200_000 }, (_, i) => info(`0/${i + 1}-${i + 1}`));
    expect(planRestore(files, { kind: "latest" })).toHaveLength(200_000);
  });

  it.each([
    ["one transaction missing", listing("9/1-2", "0/4-4"), undefined, "transaction 3 is missing before", 2],
    ["several missing", listing("9/1-2", "0/6-6", "0/9-9"), undefined, "transactions 3 to 5 are missing before", 2],
    ["the beginning missing", listing("0/3-3"), undefined, "transactions 1 to 2 are missing before", 0],
    ["a hole before the transaction", listing("9/1-2", "0/4-4"), 4, "transaction 3 is missing before", 2],
    ["a transaction not yet there", listing("9/1-2", "0/3-3"), 5, "transactions 4 to 5 are missing", 3],
    ["a transaction within a merge", listing("9/1-2", "1/3-6"), 4, "transaction 4 is kept only within", 2],
    ["no files at all", [], undefined, "no files that begin a history", 0],
    ["no files at all, and a transaction", [], 1, "transaction 1 is missing", 0],
  ])("fails and says what is missing: %s", (_, files, txid, problem, good) => {
    const target: RestoreTarget =
      txid === undefined ? { kind: "latest" } : { kind: "txid", txid: toTxid(BigInt(txid)) };
    const position = good === 0 ? "there is no good position" : `the last good position is ${padded(good)}`;
    const text = problem.replace(/\d+/g, padded);
    expect(() => planRestore(files, target)).toThrow(gapError(text));
    expect(() => planRestore(files, target)).toThrow(gapError(position));
  });

  it("fails where nothing is as old as the time asked for", () => {
    const target = { kind: "timestamp", ms: Date.UTC(2026, 0, 1) } as const;
    expect(() => planRestore(listing("9/1-2@9999999999999"), target)).toThrow(
      gapError("no files are older than 2026-01-01T00:00:00.000Z; there is no good position"),
    );
    expect(() => planRestore([], target)).toThrow(gapError("no files that begin a history"));
  });

  it("fails at a hole before a time, where Litestream would restore the state before the hole", () => {
    const files = listing("9/1-2@10", "0/4-4@30");
    expect(() => planRestore(files, { kind: "timestamp", ms: 31 })).toThrow(gapError("is missing before"));
    expect(plan(files, { kind: "timestamp", ms: 30 })).toEqual(["9/1-2"]);
  });

  it("ends before a hole that a merge from after the time fills", () => {
    const files = listing("9/1-2@10", "1/3-5@40", "0/5-5@30", "0/6-6@50");
    expect(plan(files, { kind: "timestamp", ms: 35 })).toEqual(["9/1-2"]);
    expect(plan(files, { kind: "timestamp", ms: 45 })).toEqual(["9/1-2", "1/3-5"]);
    const snapshot = listing("9/1-2@10", "9/1-5@40", "0/5-5@30");
    expect(() => planRestore(snapshot, { kind: "timestamp", ms: 35 })).toThrow(gapError("are missing before"));
  });
});

/** A file written as level/first-last@time, in decimal. */
describe("planContinuation", () => {
  const files = listing("9/1-9", "0/3-3", "0/4-4", "0/5-5", "1/2-4", "0/6-6");
  const continued = (from: bigint, to: bigint) =>
    planContinuation(files, { from: toTxid(from), to: toTxid(to) }).map(({ key }) => key);

  it("leads on from a state, by as few files as there are, and never beyond what is asked for", () => {
    expect(continued(3n, 6n)).toEqual(["1/2-4", "0/5-5", "0/6-6"]);
    expect(continued(3n, 4n)).toEqual(["1/2-4"]);
    expect(continued(4n, 5n)).toEqual(["0/5-5"]);
    expect(continued(5n, 5n)).toEqual([]);
  });

  it("fails where there is no way on, also where a merge goes beyond what is asked for", () => {
    expect(() => continued(6n, 7n)).toThrow(gapError("transaction 0000000000000007 is missing"));
    expect(() => continued(1n, 2n)).toThrow(gapError('is kept only within "1/2-4", with later ones'));
  });
});

function info(text: string): LtxFileInfo {
  const [, level, first, last, time] = /^(\d)\/(\d+)-(\d+)(?:@(\d+))?$/.exec(text) ?? [];
  const range = parseLtxName(`${padded(first ?? "")}-${padded(last ?? "")}.ltx`);
  if (range === undefined) throw new Error(`no file: ${text}`);
  return { ...range, level: Number(level), key: text.replace(/@.*/, ""), sizeBytes: 1, modifiedMs: Number(time ?? 0) };
}

function listing(...texts: string[]): readonly LtxFileInfo[] {
  return texts.map(info);
}

function plan(files: readonly LtxFileInfo[], target: RestoreTarget = { kind: "latest" }): readonly string[] {
  return planRestore(files, target).map(({ key }) => key);
}

/** As expected.json names them: level/file. */
function names(files: readonly LtxFileInfo[]): readonly string[] {
  return files.map(({ key }) => key.split("/").slice(-2).join("/"));
}

function padded(number: string | number): string {
  return Number(number).toString(16).padStart(16, "0");
}

function gapError(text = "") {
  return expect.objectContaining({ code: "E_REPLICA_GAP", message: expect.stringContaining(text) });
}
