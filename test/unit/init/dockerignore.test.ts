import { describe, expect, it } from "vitest";
import { detect } from "../../../src/init/detect.ts";
import { editDockerignore, isIgnored, listIgnoredNeeds } from "../../../src/init/dockerignore.ts";
import { found } from "./project.ts";

const facts = detect(found({ databasePath: "prisma/dev.db", names: ["package-lock.json"] }), "1.2.3");

const SECRET = [
  "node_modules",
  ".env",
  ".env.local",
  "prisma/dev.db",
  "prisma/dev.db-wal",
  "prisma/.dev.db-litestream",
];

describe("editDockerignore", () => {
  it.each([
    ["none", undefined],
    ["an empty one", ""],
    ["one that is about other things", "dist\n# node_modules\n"],
    ["one that takes the database back in", "*.db\nprisma/*.db\n!prisma/dev.db\n"],
    ["one whose last line is not ended", "dist"],
  ])("keeps the local database, packages and secrets out, with %s", (_, text) => {
    const after = editDockerignore(text, facts);
    for (const path of SECRET) expect(isIgnored(after, path), path).toBe(true);
    expect(listIgnoredNeeds(after, facts)).toEqual([]);
    expect(after.startsWith(text ?? "#")).toBe(true);
    expect(editDockerignore(after, facts)).toBe(after);
  });

  it("adds only what is not ignored yet", () => {
    const text = "node_modules/\n.env*\n**/*.db*\n";
    expect(editDockerignore(text, facts)).toBe(text);
    expect(editDockerignore("node_modules\n.env*\n", facts)).toBe(
      "node_modules\n.env*\n\n# Not for an image: `npx flysqlite init` added these.\n**/*.db\n**/*.db-*\n**/.*.db-*\n",
    );
  });

  it("goes by the file's whole name where that has no usual end", () => {
    const odd = detect(found({ databasePath: "data/store" }), "1.2.3");
    expect(editDockerignore("", odd)).toContain("**/store\n**/store-*\n**/.store-*\n");
  });
});

describe("listIgnoredNeeds", () => {
  it("names what an image can't be built without", () => {
    expect(listIgnoredNeeds("prisma\npackage-lock.json\n", facts)).toEqual([
      "package-lock.json",
      "prisma/migrations/migration_lock.toml",
    ]);
    expect(listIgnoredNeeds("*\n!package*.json\n!prisma\n", facts)).toEqual([]);
  });
});

describe("isIgnored", () => {
  // Expected by Docker's own examples: https://docs.docker.com/build/concepts/context/#matching
  it.each([
    ["*/temp*", "somedir/temporary.txt", true],
    ["*/temp*", "temporary.txt", false],
    ["*/*/temp*", "a/b/temp", true],
    ["temp?", "tempa", true],
    ["temp?", "temp", false],
    ["**/*.go", "main.go", true],
    ["**/*.go", "a/b/main.go", true],
    ["*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true],
    ["*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false],
    ["/foo/bar", "foo/bar", true],
    ["foo", "foo/bar", true],
    ["foo", "a/foo", false],
    ["#foo", "#foo", false],
    ["a+b.[ch]", "a+b.c", true],
    ["[", "a", false],
  ])("%j on %s: %s", (text, path, expected) => {
    expect(isIgnored(text, path)).toBe(expected);
  });
});
