import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { seal } from "../../../src/base/sealed.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import {
  forgetPlaces,
  formatState,
  parseState,
  type ReplicatedPosition,
  type ReplicationState,
  readPositions,
  readState,
  writeCaptured,
  writeState,
} from "../../../src/replica/state.ts";
import { seededRandom } from "../../support/random.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { pageSizeOf } from "./ltx/support.ts";

const inLog: ReplicatedPosition = {
  txid: toTxid(0x1234n),
  pageCount: 77,
  position: {
    kind: "log",
    header: { pageSize: pageSizeOf(4096), salts: [0xffff_ffff, 0], checksum: [1, 0xdead_beef], bigEndian: false },
    frame: 1025,
    checksum: [0x8000_0000, 3],
  },
};
const inFile: ReplicatedPosition = {
  txid: toTxid(2n ** 64n - 1n),
  pageCount: 1,
  position: { kind: "file", sizeBytes: 4096, modifiedMs: 1795470772180.125 },
};
const state: ReplicationState = { databaseId: "an id", replica: "file:///backup/db", acked: inFile, pending: inLog };

describe("the state of a replication", () => {
  it.each([
    ["both positions", state],
    ["nothing acknowledged yet", { ...state, acked: undefined }],
    ["nothing under way", { ...state, pending: undefined }],
    [
      "uploads of unknown outcome",
      { ...state, begun: [{ txid: inLog.txid, header: "TFRYMQ==" }], durable: inLog.txid },
    ],
    ["uploads that were given up", { ...state, givenUp: [{ txid: inLog.txid, header: "TFRYMQ==" }] }],
    ["neither", { ...state, acked: undefined, pending: undefined }],
    ["odd texts", { ...state, databaseId: '"\\\n\u2028', replica: "s3://bücher/\u{1f4be}" }],
  ] as const)("is read as it was written: %s", async (_, written) => {
    using directory = temporaryDirectory();
    await writeState(directory.path, written);
    expect(readState(directory.path)).toEqual(written);
    expect(readdirSync(directory.path)).toEqual(["replication.json"]);
  });

  it("is unknown where there is none", async () => {
    using directory = temporaryDirectory();
    expect(readState(directory.path)).toBeUndefined();
    expect(readState(join(directory.path, "missing"))).toBeUndefined();
  });

  it("is unknown after any damage: cut off, or one byte changed, or bytes behind it", async () => {
    const text = Buffer.from(formatState(state));
    const random = seededRandom(1);
    for (let size = 0; size < text.byteLength; size += 1) {
      expect(parseState(text.subarray(0, size).toString())).toBeUndefined();
    }
    for (let at = 0; at < text.byteLength; at += 1) {
      for (let variant = 0; variant < 4; variant += 1) {
        const damaged = Buffer.from(text);
        damaged[at] = (damaged[at] ?? 0) ^ (1 + Math.floor(random.unit() * 127));
        expect(parseState(damaged.toString()), damaged.toString()).toBeUndefined();
      }
    }
    expect(parseState(`${text}\n`)).toBeUndefined();
    expect(parseState(`${text}${text}`)).toBeUndefined();
    using directory = temporaryDirectory();
    writeFileSync(join(directory.path, "replication.json"), "");
    expect(readState(directory.path)).toBeUndefined();
  });

  it("is unknown where it is sound but not understood", () => {
    // As a later release, or a person, might write it: with a right checksum.
    const altered = (change: (stored: Record<string, unknown>) => unknown): string => {
      const stored = JSON.parse(formatState(state).split("\n")[0] ?? "");
      return seal(JSON.stringify(change(stored)));
    };
    expect(parseState(altered((stored) => stored))).toEqual(state);
    const position = (change: Record<string, unknown>) => (stored: Record<string, unknown>) => ({
      ...stored,
      pending: { ...(stored["pending"] as object), ...change },
    });
    for (const change of [
      () => null,
      () => [],
      () => 7,
      (stored: object) => ({ ...stored, version: 2 }),
      (stored: object) => ({ ...stored, databaseId: 1 }),
      (stored: object) => ({ ...stored, replica: null }),
      (stored: object) => ({ ...stored, acked: {} }),
      (stored: object) => ({ ...stored, pending: "" }),
      position({ txid: "1" }),
      position({ txid: 1 }),
      position({ pageCount: -1 }),
      position({ pageCount: 1.5 }),
      position({ position: { kind: "elsewhere" } }),
      position({ position: { kind: "file", sizeBytes: 1 } }),
      position({ position: { ...inLog.position, frame: "1" } }),
      position({ position: { ...inLog.position, checksum: [1] } }),
      position({ position: { ...inLog.position, header: { pageSize: 1000 } } }),
    ]) {
      expect(parseState(altered(change))).toBeUndefined();
    }
  });
});

describe("forgetPlaces", () => {
  it("keeps how far the history goes, and no place that a database could have", async () => {
    using directory = temporaryDirectory();
    await writeState(directory.path, { ...state, acked: inLog, pending: { ...inLog, txid: toTxid(0x1235n) } });
    await writeCaptured(directory.path, { ...inLog, txid: toTxid(0x1236n) });
    await forgetPlaces(directory.path);
    const nowhere = { kind: "file", sizeBytes: 0, modifiedMs: 0 };
    expect(readPositions(directory.path)).toEqual([
      { txid: 0x1236n, pageCount: 77, position: nowhere },
      { txid: 0x1235n, pageCount: 77, position: nowhere },
      { txid: 0x1234n, pageCount: 77, position: nowhere },
    ]);
    expect(readState(directory.path)).toMatchObject({ databaseId: "an id", replica: "file:///backup/db" });
  });

  it("has nothing to do where nothing is remembered", async () => {
    using directory = temporaryDirectory();
    await forgetPlaces(directory.path);
    expect(readdirSync(directory.path)).toEqual([]);
  });
});
