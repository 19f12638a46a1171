import { describe, expect, it } from "vitest";
import { FlysqliteError } from "../../../src/base/errors.ts";
import { info, warn } from "../../../src/base/events.ts";
import { colourLine, wantsColour } from "../../../src/cli/colour.ts";
import { renderEvent, renderFailure } from "../../../src/cli/render-event.ts";

describe("colour", () => {
  it.each([
    ["a terminal", {}, true, true],
    ["a pipe", {}, false, false],
    ["a terminal whose user wants none", { NO_COLOR: "1" }, true, false],
    ["a terminal that knows none", { TERM: "dumb" }, true, false],
    ["a variable that is empty, which is as if it were not there", { NO_COLOR: "" }, true, true],
  ])("for %s", (_, environment, isTerminal, wanted) => {
    expect(wantsColour(environment, { isTerminal })).toBe(wanted);
  });

  it("marks a warning, and a failure by its name", () => {
    expect(colourLine(renderEvent(warn("stop", "late")))).toBe(
      "flysqlite  stop       \u001b[33mwarning\u001b[39m: late",
    );
    const [first = "", hint = ""] = renderFailure(new FlysqliteError("E_USAGE", "No"), "text");
    expect(colourLine(first)).toBe("flysqlite  \u001b[31mfailed     E_USAGE\u001b[39m: No");
    expect(colourLine(hint)).toBe(hint);
  });

  it("marks a warning of a debug log too, and nothing else of a line", () => {
    const line = `    42 ms  ${renderEvent(warn("stop", "warning: twice"))}`;
    expect(colourLine(line)).toBe("    42 ms  flysqlite  stop       \u001b[33mwarning\u001b[39m: warning: twice");
    expect(colourLine(renderEvent(info("seed", "a warning: no")))).toBe("flysqlite  seed       a warning: no");
  });
});
