import { describe, expect, it } from "vitest";
import { FlysqliteError } from "../../../src/base/errors.ts";
import { renderRefusalJson, renderSteps } from "../../../src/cli/render-plan.ts";

describe("the steps of a plan", () => {
  it("are numbered, and have their reasons", () => {
    const text = renderSteps([
      { step: "volume", action: "use /data", reason: "default" },
      { step: "replicate", action: "nothing", reason: "no replica is configured" },
    ]);
    expect(text).toBe(
      [
        "1. volume     use /data",
        "              because: default",
        "2. replicate  nothing",
        "              because: no replica is configured",
        "",
      ].join("\n"),
    );
  });

  it("keep a command of several lines on one", () => {
    const line = { step: "launch", action: "/bin/node -e one\n8. fake  two", reason: "the command line" } as const;
    expect(renderSteps([line])).toContain("/bin/node -e one | 8. fake  two\n");
  });
});

it("a refusal as JSON has every failure with its code, its status and the way out", () => {
  const failure = new FlysqliteError("E_LINK", "Cannot link", { problems: ["a"] });
  expect(JSON.parse(renderRefusalJson([failure]))).toEqual({
    ok: false,
    exitStatus: 73,
    problems: [{ code: "E_LINK", exitStatus: 73, message: "Cannot link", problems: ["a"], try: failure.hint }],
  });
});
