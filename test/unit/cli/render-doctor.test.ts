import { describe, expect, it } from "vitest";
import { FlysqliteError } from "../../../src/base/errors.ts";
import { renderDiagnosis, renderFinding } from "../../../src/cli/render-doctor.ts";
import { attempt, failed, ok, skipped, warning } from "../../../src/doctor/finding.ts";

const { signal } = new AbortController();

describe("a finding", () => {
  it("is one line, and one with the way out", () => {
    expect(renderFinding(ok("WAL mode", "works on the volume"))).toBe("ok       WAL mode      works on the volume\n");
    expect(renderFinding(warning("clock", "it is behind", "Set it"))).toBe(
      "warning  clock         it is behind\n                  try  Set it\n",
    );
  });

  it("has a failure's code, and can't fake a line", () => {
    const error = new FlysqliteError("E_VOLUME", "Cannot use\nok  it", { hint: "Use another" });
    expect(renderFinding(failed("WAL mode", error))).toBe(
      "failed   WAL mode      E_VOLUME: Cannot use | ok  it\n                  try  Use another\n",
    );
  });

  it("has the parts of a failure on the same line", () => {
    const error = new FlysqliteError("E_CONFIG", "Cannot start: 2 settings are wrong", { problems: ["a", "b"] });
    expect(failed("start", error).text).toBe("Cannot start: 2 settings are wrong: a; b");
  });

  it("is what a probe throws, but for the reason to stop", async () => {
    const fail = () => {
      throw new FlysqliteError("E_REPLICA_DENIED", "denied");
    };
    expect(await attempt("replica", fail, { signal })).toMatchObject({ result: "failed", code: "E_REPLICA_DENIED" });
    const stopped = AbortSignal.abort(new Error("stopped"));
    await expect(attempt("replica", fail, { signal: stopped })).rejects.toThrow("stopped");
  });
});

it("the last line counts what failed and what is a warning", () => {
  const bad = failed("start", new FlysqliteError("E_LINK", "two"));
  const odd = warning("clock", "behind", "set it");
  expect(renderDiagnosis([ok("start", "fine"), skipped("replica", "none")])).toBe("Nothing failed\n");
  expect(renderDiagnosis([odd])).toBe("Nothing failed, 1 warning\n");
  expect(renderDiagnosis([bad, odd, odd])).toBe("1 failed, 2 warnings\n");
});
