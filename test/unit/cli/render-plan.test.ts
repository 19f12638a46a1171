import { describe, expect, it } from "vitest";
import { FlysqliteError } from "../../../src/base/errors.ts";
import { renderPlan, renderPlanJson, renderRefusalJson } from "../../../src/cli/render-plan.ts";
import { makePlan, type Plan } from "../../../src/plan/plan.ts";
import { firstStart, settings } from "../plan/facts.ts";

function planned(command: readonly string[]): Plan {
  const facts = { ...firstStart, command: { ...firstStart.command, file: "/bin/node", arguments: command } };
  const plan = makePlan(facts, settings);
  if (!("lines" in plan)) throw new Error("it was refused");
  return plan;
}

describe("renderPlan", () => {
  it("numbers the steps, and gives each its reason", () => {
    const lines = renderPlan(planned(["server.js"])).split("\n");
    expect(lines.slice(0, 4)).toEqual([
      "1. volume     use /data",
      "              because: default",
      "2. link       link /app/app.db to /data/app.db",
      "              because: the schema says so",
    ]);
    expect(lines).toHaveLength(15);
  });

  it("keeps a command of several lines on one", () => {
    expect(renderPlan(planned(["-e", "one\n8. fake  two"]))).toContain("/bin/node -e one | 8. fake  two\n");
  });
});

describe("the plan as JSON", () => {
  it("has the steps as they are", () => {
    const plan = planned(["-e", "one\ntwo"]);
    expect(JSON.parse(renderPlanJson(plan))).toEqual({
      ok: true,
      database: { path: "/data/app.db", state: "absent", sizeBytes: 0 },
      volume: "/data",
      steps: plan.lines,
    });
  });

  it("has every failure with its code, its status and the way out", () => {
    const failure = new FlysqliteError("E_LINK", "Cannot link", { problems: ["a"] });
    expect(JSON.parse(renderRefusalJson([failure]))).toEqual({
      ok: false,
      problems: [{ code: "E_LINK", exitStatus: 73, message: "Cannot link", problems: ["a"], try: failure.hint }],
    });
  });
});
