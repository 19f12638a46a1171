// What `init` makes of each project, as files: test/fixtures/init/<project>/. `npx vitest run -u` writes them anew; then
// they are read before they are committed.

import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { detect } from "../../../src/init/detect.ts";
import { look } from "../../../src/init/look.ts";
import { makeFiles } from "../../../src/init/make-files.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { SKELETON_NAMES, writeSkeleton } from "./skeletons.ts";

const FIXTURES = join(import.meta.dirname, "../../fixtures/init");

describe.each(SKELETON_NAMES)("init, on %s", (name) => {
  it("writes the files that were read and found good", async () => {
    using directory = temporaryDirectory();
    writeSkeleton(directory.path, name);
    const found = await look({ appDirectory: directory.path });
    const plan = makeFiles(detect(found, "1.2.3"), found.texts, { force: false, litestreamYml: true });
    expect(plan.byHand).toEqual([]);
    for (const { path, after } of plan.files) {
      await expect(after).toMatchFileSnapshot(join(FIXTURES, name, path.replace(/^\./, "")));
    }
    await expect(plan.notes.map((note) => `${note}\n`).join("")).toMatchFileSnapshot(join(FIXTURES, name, "notes.txt"));
  });
});
