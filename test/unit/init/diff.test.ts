import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { unifiedDiff } from "../../../src/init/diff.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `line ${index + 1}\n`).join("");

describe("unifiedDiff", () => {
  it("is nothing for equal texts", () => {
    expect(unifiedDiff("a", "x\n", "x\n")).toEqual([]);
  });

  it("shows a new file whole", () => {
    expect(unifiedDiff("a", undefined, "x\ny\n")).toEqual(["--- /dev/null", "+++ b/a", "@@ -0,0 +1,2 @@", "+x", "+y"]);
  });

  it.each([
    ["one change", numbered(20), numbered(20).replace("line 10\n", "line ten\n")],
    ["changes far apart", numbered(30), numbered(30).replace("line 2\n", "").replace("line 28\n", "line 28\nmore\n")],
    ["changes side by side", numbered(12), numbered(12).replace("line 4\n", "").replace("line 9\n", "x\n")],
    ["lines before and after", numbered(3), `first\n${numbered(3)}last\n`],
    ["everything", numbered(4), "other\n"],
  ])("is a patch that git applies: %s", (_, before, after) => {
    using directory = temporaryDirectory();
    const file = join(directory.path, "a");
    writeFileSync(file, before);
    execFileSync("git", ["apply", "-"], {
      cwd: directory.path,
      input: `${unifiedDiff("a", before, after).join("\n")}\n`,
    });
    expect(readFileSync(file, "utf8")).toBe(after);
  });
});
