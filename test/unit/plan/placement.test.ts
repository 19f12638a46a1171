import { describe, expect, it } from "vitest";
import type { Entry } from "../../../src/plan/facts.ts";
import { decidePlacement, type PlacementFacts } from "../../../src/plan/placement.ts";
import { DATABASE } from "./facts.ts";

const FROM = "/app/app.db";
const literal: PlacementFacts = {
  url: { path: FROM, fileName: "app.db", source: "the schema", variable: undefined },
  entry: { kind: "nothing" },
  canLink: true,
  database: { path: DATABASE, state: "absent" },
  replicaHasHistory: false,
};
const file: Entry = { kind: "file", sizeBytes: 4096, sameAsDatabase: false };
const database = { path: DATABASE, state: "present" } as const;

const refusal = (text: string) =>
  expect.objectContaining({ code: "E_LINK", message: expect.stringContaining(text) as string });

describe("decidePlacement", () => {
  it("leaves a url alone that leads to the volume", () => {
    expect(decidePlacement({ ...literal, entry: "on the volume" })).toEqual({ kind: "direct" });
    const url = { path: DATABASE, fileName: "app.db", source: "DATABASE_URL", variable: "DATABASE_URL" };
    expect(decidePlacement({ ...literal, url, entry: "on the volume" })).toEqual({ kind: "direct" });
  });

  it.each([
    ["nothing", { kind: "nothing" }],
    ["a file", file],
    ["a directory", { kind: "directory" }],
    ["a link", { kind: "link", target: "/elsewhere" }],
  ] as const)("tells the app by its variable, and leaves %s in the app's tree as it is", (_, entry) => {
    const url = { path: FROM, fileName: "app.db", source: "DATABASE_URL", variable: "DATABASE_URL" };
    for (const canLink of [true, false]) {
      expect(decidePlacement({ ...literal, url, entry, canLink, database })).toEqual({
        kind: "variable",
        name: "DATABASE_URL",
        url: `file:${DATABASE}`,
      });
    }
  });

  it.each([
    ["nothing stands there", { entry: { kind: "nothing" } }, "nothing"],
    ["its link stands there", { entry: { kind: "link", target: DATABASE } }, "already linked"],
    ["an empty file stands there", { entry: { ...file, sizeBytes: 0 } }, "replace an empty file"],
    [
      "an empty file stands there and the volume has the database",
      { entry: { ...file, sizeBytes: 0 }, database },
      "replace an empty file",
    ],
    ["a copy stands there", { entry: { ...file, sameAsDatabase: true }, database }, "replace a copy"],
    ["the only database stands there", { entry: file }, "move the file to the volume"],
    [
      "the only database stands there and the volume has an empty file",
      { entry: file, database: { path: DATABASE, state: "empty" } },
      "move the file to the volume",
    ],
  ] as const)("links where %s", (_, found, before) => {
    expect(decidePlacement({ ...literal, ...found })).toEqual({ kind: "link", from: FROM, to: DATABASE, before });
  });

  it.each([
    ["both hold a database", { entry: file, database }, "both it and"],
    ["the replica holds another one", { entry: file, replicaHasHistory: true }, "the replica holds another one"],
    ["a link leads elsewhere", { entry: { kind: "link", target: "/elsewhere.db" } }, 'a link to "/elsewhere.db"'],
    ["a directory stands there", { entry: { kind: "directory" } }, "it is a directory"],
    ["a file with two names stands there", { entry: { kind: "hard link" } }, "it is a hard link"],
    ["a device or the like stands there", { entry: { kind: "other" } }, "it is not a regular file"],
  ] as const)("refuses where %s", (_, found, text) => {
    expect(() => decidePlacement({ ...literal, ...found })).toThrow(refusal(text));
    expect(() => decidePlacement({ ...literal, ...found })).toThrow(refusal(FROM));
  });

  it("refuses a directory that can't be written to, and says how the app could be told", () => {
    for (const entry of [{ kind: "nothing" }, file] as const) {
      expect(() => decidePlacement({ ...literal, entry, canLink: false })).toThrow(
        expect.objectContaining({
          code: "E_LINK",
          message: expect.stringContaining("its directory is read-only") as string,
          hint: expect.stringContaining('env("DATABASE_URL")') as string,
        }),
      );
    }
  });

  it("needs no writable directory where the link is in the image", () => {
    const linked = { ...literal, entry: { kind: "link", target: DATABASE }, canLink: false } as const;
    expect(decidePlacement(linked)).toMatchObject({ before: "already linked" });
  });
});
