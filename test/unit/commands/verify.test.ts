import { join } from "node:path";
import { expect, it } from "vitest";
import { systemRandom } from "../../../src/base/system.ts";
import { verifyCommand } from "../../../src/commands/verify.ts";
import { inspectReplica } from "../../../src/replica/inspect.ts";
import { openFileStore } from "../../../src/storage/file.ts";
import { stepContext } from "../../support/step-context.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { settings } from "../plan/facts.ts";

const REPLICA = join(import.meta.dirname, "../../fixtures/litestream/generated/v0.5.15/replica");

it("shows how much of the replica it has read", async () => {
  using place = temporaryDirectory();
  const store = openFileStore(REPLICA, { random: systemRandom });
  const signal = new AbortController().signal;
  const context = stepContext({
    settings: { ...settings, replica: { value: { kind: "file", path: REPLICA }, source: "--replica" } },
    signal,
    replica: async () => ({ store, source: "--replica" }),
  });
  const shown: { readonly doneBytes: number; readonly totalBytes: number }[] = [];
  let printed = "";
  const telling = {
    progress: (progress: (typeof shown)[number]) => void shown.push(progress),
    print: (text: string) => {
      printed += text;
    },
  };
  await verifyCommand({ deep: false, directory: place.path }, context, telling);
  const { files } = await inspectReplica(store, { signal });
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  expect(shown).toHaveLength(files.length);
  expect(shown.at(-1)).toEqual({ doneBytes: totalBytes, totalBytes });
  expect(printed).toMatch(/all sound/);
});
