import { describe, expect, it } from "vitest";
import {
  describe as describeError,
  FAILURES,
  type FailureCode,
  FlysqliteError,
  Refusal,
  systemCode,
  toFlysqliteError,
} from "../../../src/base/errors.ts";

const codes = Object.keys(FAILURES) as FailureCode[];

describe("FAILURES", () => {
  it.each(codes)("%s has a status that no app uses for itself, and a hint", (code) => {
    const { exitStatus, hint } = FAILURES[code];
    const ofSysexits = exitStatus >= 64 && exitStatus <= 78;
    const ofShells = exitStatus === 126 || exitStatus === 127;
    expect(ofSysexits || ofShells).toBe(true);
    expect(hint).toMatch(/^\S.*[^.\s]$/);
    expect(code).toMatch(/^E_[A-Z_]+$/);
  });

  // A status is a promise: whoever changes one here breaks a script of somebody's.
  it("keeps the statuses that were promised", () => {
    expect(Object.fromEntries(codes.map((code) => [code, FAILURES[code].exitStatus]))).toMatchObject({
      E_USAGE: 64,
      E_CONFIG: 78,
      E_VOLUME: 72,
      E_LINK: 73,
      E_COMMAND_NOT_FOUND: 127,
      E_COMMAND_NOT_EXECUTABLE: 126,
      E_DB_INVALID: 65,
      E_REPLICA_UNREACHABLE: 69,
      E_REPLICA_DENIED: 77,
      E_DIVERGED: 65,
      E_MIGRATE: 70,
      E_FINAL_SYNC: 75,
      E_INTERNAL: 70,
    });
  });
});

describe("FlysqliteError", () => {
  it("carries its code's status and hint", () => {
    const error = new FlysqliteError("E_VOLUME", "Cannot find the volume");
    expect(error).toMatchObject({ name: "FlysqliteError", code: "E_VOLUME", exitStatus: 72, problems: [] });
    expect(error.hint).toBe(FAILURES.E_VOLUME.hint);
    expect(error).not.toHaveProperty("cause");
  });

  it("keeps a hint, problems and a cause of its own", () => {
    const cause = new Error("EIO");
    const error = new FlysqliteError("E_CONFIG", "Cannot start", { cause, problems: ["a"], hint: "Do this" });
    expect(error).toMatchObject({ cause, problems: ["a"], hint: "Do this" });
  });
});

describe("toFlysqliteError", () => {
  it("keeps one of ours, and takes anything else for a defect", () => {
    const ours = new FlysqliteError("E_LINK", "Cannot link");
    expect(toFlysqliteError(ours)).toBe(ours);
    const cause = new TypeError("x is not a function");
    expect(toFlysqliteError(cause)).toMatchObject({ code: "E_INTERNAL", message: "x is not a function", cause });
    expect(toFlysqliteError("text")).toMatchObject({ code: "E_INTERNAL", message: "text" });
    expect(toFlysqliteError(undefined)).toMatchObject({ code: "E_INTERNAL", message: "undefined" });
  });
});

describe("Refusal", () => {
  it("holds several failures, the first of which gives the status", () => {
    const failures = [new FlysqliteError("E_LINK", "a"), new FlysqliteError("E_VOLUME", "b")] as const;
    expect(new Refusal(failures)).toMatchObject({ name: "Refusal", message: "a; b", failures });
  });
});

describe("systemCode", () => {
  it("reads the code of a system error, and of nothing else", () => {
    expect(systemCode(Object.assign(new Error("gone"), { code: "ENOENT" }))).toBe("ENOENT");
    for (const other of [new Error("gone"), Object.assign(new Error(), { code: 2 }), { code: "ENOENT" }, undefined]) {
      expect(systemCode(other)).toBeUndefined();
    }
  });
});

describe("describe", () => {
  it("has a text for anything that was thrown", () => {
    expect([new Error("a"), "b", 3, null, undefined].map(describeError)).toEqual(["a", "b", "3", "null", "undefined"]);
  });
});
